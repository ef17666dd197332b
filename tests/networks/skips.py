"""Blocks whose branches meet again: U-Net, feature pyramid, dense block, neck of a detector."""

from __future__ import annotations

from . import layers, resizing
from .draft import Draft, Value


def _concat(draft: Draft, parts: list[Value], axis: int = 1) -> Value:
    named = axis - parts[0].rank if draft.opset >= 11 and draft.chance(0.2) else axis
    return draft.node("Concat", parts, axis=named)[0]  # type: ignore[arg-type]


def _smaller(draft: Draft, x: Value) -> Value:
    way = draft.one_of(["MaxPool", "AveragePool", "stride"])
    if way == "stride":
        return layers.layer(draft, x, x.shape[1], stride=2)
    count = x.rank - 2
    return draft.node(way, [x], kernel_shape=[2] * count, strides=[2] * count)[0]


def _larger(draft: Draft, x: Value, like: Value) -> Value:
    if draft.chance(0.5):
        return resizing.to_size_of(draft, x, like)
    if draft.chance(0.5):
        return resizing.transposed(draft, x)[0]
    return resizing.by_factor(draft, x)


def unet(draft: Draft, x: Value) -> list[Value]:
    """Down, up, and a Concat with what was there on the way down."""
    draft.need(x.rank == 4 and all(size % 4 == 0 for size in x.shape[2:]))
    levels = []
    for _ in range(draft.between(1, 2)):
        x = layers.layer(draft, x, draft.between(2, 5))
        levels.append(x)
        x = _smaller(draft, x)
    x = layers.layer(draft, x, draft.between(2, 6))
    for skip in reversed(levels):
        large = _larger(draft, x, skip)
        pair = [large, skip] if draft.chance(0.5) else [skip, large]
        x = _concat(draft, pair)
        x = layers.norm(draft, x) if draft.chance(0.2) else x
        x = layers.layer(draft, x, draft.between(2, 5), draft.one_of([1, 3]))
    return [x]


def feature_pyramid(draft: Draft, x: Value) -> list[Value]:
    """Lateral 1×1, and the sum with what comes from above; every level is handed on."""
    draft.need(x.rank == 4 and all(size % 4 == 0 for size in x.shape[2:]))
    levels = [layers.layer(draft, x, 4)]
    for _ in range(2):
        levels.append(layers.layer(draft, levels[-1], draft.between(2, 6), stride=2))
    width = draft.between(2, 4)
    has_norm = draft.chance(0.6)
    lateral = [layers.conv(draft, level, width, 1) for level in levels]
    if has_norm:
        lateral = [layers.norm(draft, level) for level in lateral]
    above, made = lateral[-1], []
    for level in reversed(lateral[:-1]):
        up = resizing.to_size_of(draft, above, level) if draft.chance(0.6) else (
            resizing.by_factor(draft, above))  # fmt: skip
        above = draft.node("Add", [level, up])[0]
        made.append(layers.norm(draft, layers.conv(draft, above, width, 3)))
    return [*made, layers.conv(draft, lateral[-1], width, 3)]


def dense_block(draft: Draft, x: Value) -> list[Value]:
    """Norm, activation, convolution in front, on a Concat that grows."""
    draft.need(3 <= x.rank <= 5)
    parts, grow = [x], draft.between(1, 3)
    for _ in range(draft.between(2, 4)):
        # torchvision joins all parts anew, Keras the last two.
        whole = parts[0] if len(parts) == 1 else _concat(draft, parts)
        y = layers.activation(draft, layers.norm(draft, whole), ("Relu",))
        if draft.chance(0.4):
            y = layers.conv(draft, y, 4, 1)
            y = layers.activation(draft, layers.norm(draft, y), ("Relu",))
        y = layers.conv(draft, y, grow, 3, bias=False)
        parts = [*parts, y] if draft.chance(0.5) else [whole, y]
    whole = layers.norm(draft, _concat(draft, parts))
    if draft.chance(0.5):
        return [whole]
    # The transition.
    y = layers.conv(draft, layers.activation(draft, whole, ("Relu",)), 3, 1, bias=False)
    count = x.rank - 2
    draft.need(min(y.shape[2:]) >= 2)
    return draft.node("AveragePool", [y], kernel_shape=[2] * count, strides=[2] * count)


def _stage(draft: Draft, x: Value, out: int) -> Value:
    """The cross-stage block of a detector: a split, bottlenecks, and a Concat."""
    y = layers.layer(draft, x, 2 * out, 1, kinds=("SiLU", "LeakyRelu"))
    if draft.opset >= 13:
        first, second = draft.node("Split", [y, draft.integers([out, out])], outputs=2, axis=1)
    else:
        first, second = draft.node("Split", [y], outputs=2, axis=1, split=[out, out])
    parts = [first, second]
    for _ in range(draft.between(1, 2)):
        inner = layers.layer(draft, parts[-1], out, 3, kinds=("SiLU",))
        inner = layers.layer(draft, inner, out, 3, kinds=("SiLU",))
        parts.append(draft.node("Add", [parts[-1], inner])[0] if draft.chance(0.7) else inner)
    return layers.layer(draft, _concat(draft, parts), out + 1, 1, kinds=("SiLU",))


def pooled_pyramid(draft: Draft, x: Value) -> Value:
    """MaxPools of growing windows, or of one window again and again, joined."""
    inner = layers.layer(draft, x, max(x.shape[1] // 2, 1), 1, kinds=("SiLU",))
    parts, again = [inner], draft.chance(0.5)
    for width in (3, 5, 7)[: draft.between(2, 3)]:
        window = 3 if again else width
        source = parts[-1] if again else inner
        parts.append(draft.node("MaxPool", [source], kernel_shape=[window] * 2,
                                pads=[window // 2] * 4)[0])  # fmt: skip
    return layers.layer(draft, _concat(draft, parts), x.shape[1], 1, kinds=("SiLU",))


def neck(draft: Draft, x: Value) -> list[Value]:
    """Two levels of a detector, pooled, up, down again."""
    draft.need(x.rank == 4 and all(size % 2 == 0 and size >= 8 for size in x.shape[2:]))
    fine = _stage(draft, x, 2)
    coarse = layers.layer(draft, fine, 4, stride=2, kinds=("SiLU",))
    coarse = pooled_pyramid(draft, coarse)
    up = _larger(draft, layers.layer(draft, coarse, 3, 1, kinds=("SiLU",)), fine)
    fine = _stage(draft, _concat(draft, [up, fine]), 2)
    down = layers.layer(draft, fine, 3, stride=2, kinds=("SiLU",))
    return [fine, _stage(draft, _concat(draft, [down, coarse]), 2)]


def spatial_pyramid(draft: Draft, x: Value) -> list[Value]:
    """The pooled pyramid alone."""
    draft.need(x.rank == 4 and min(x.shape[2:]) >= 4)
    return [pooled_pyramid(draft, x)]


OPERATORS = {unet: 3, feature_pyramid: 2, dense_block: 3, neck: 1.5, spatial_pyramid: 1}
