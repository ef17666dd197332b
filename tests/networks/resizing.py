"""Upsampling: by factors, by sizes, by sizes that the network computes, and by other operators."""

from __future__ import annotations

import numpy as np

from . import layers, sizes
from .draft import Draft, Value


def _options(draft: Draft, mode: str) -> dict[str, str | None]:
    coordinates = ["asymmetric", "half_pixel", "pytorch_half_pixel"]
    if mode == "linear":
        coordinates.append("align_corners")
    rounding = draft.one_of([None, "floor", "round_prefer_floor"]) if mode == "nearest" else None
    return {
        "mode": mode,
        "coordinate_transformation_mode": draft.one_of(coordinates),
        "nearest_mode": rounding,
    }


def _absent(draft: Draft) -> str:
    """An input that is not there, which takes an empty tensor before opset 13."""
    return "" if draft.opset >= 13 else draft.stored(np.zeros(0, np.float32))


def by_factor(draft: Draft, x: Value, factor: int = 2) -> Value:
    """Twice as large, by the operator of the opset."""
    draft.need(x.rank == 4)
    mode = draft.one_of(["nearest", "nearest", "linear"])
    scales = draft.constant(np.array([1, 1, factor, factor]), 1)
    if draft.opset == 9:
        return draft.node("Upsample", [x, scales], mode=mode)[0]
    if draft.opset == 10:
        return draft.node("Resize", [x, scales], mode=mode)[0]
    draft.need(x.dtype == 1)
    inputs: list[Value | str] = [x, _absent(draft), scales]
    return draft.node("Resize", inputs, **_options(draft, mode))[0]


def _computed_scales(draft: Draft, x: Value, like: Value) -> Value:
    """Before opset 11 there are no sizes: the factor is a quotient of sizes."""
    quotients = []
    for axis in (2, 3):
        pair = []
        for value in (like, x):
            whole = sizes.size(draft, value, axis)
            number = np.array([value.shape[axis]], np.float32)
            pair.append(draft.known("Cast", [whole], number, to=1))
        exact = np.array([like.shape[axis] / x.shape[axis]], np.float32)
        quotients.append(draft.known("Div", pair, exact))
    ones = draft.constant(np.ones(2), 1)
    factors = np.array([1, 1, *(like.shape[a] / x.shape[a] for a in (2, 3))], np.float32)
    scales = draft.known("Concat", [ones, *quotients], factors, axis=0)
    operator = "Upsample" if draft.opset == 9 else "Resize"
    return draft.node(operator, [x, scales], mode="nearest")[0]


def to_size_of(draft: Draft, x: Value, like: Value) -> Value:
    """As large as another value, whatever the size of that."""
    draft.need(x.rank == 4 and x.dtype == 1)
    if draft.opset < 11:
        return _computed_scales(draft, x, like)
    places = sizes.sizes(draft, like, (2, 3))
    if draft.chance(0.7):
        before = sizes.sizes(draft, x, (0, 1))
    else:
        channels = draft.initializer([x.shape[1]])
        parts = [(sizes.size(draft, x, 0), x.shape[:1]), (channels, x.shape[1:2])]
        before = sizes.joined(draft, parts)
    target = sizes.joined(draft, [(before, x.shape[:2]), (places, like.shape[2:])])
    mode = draft.one_of(["nearest", "linear"])
    inputs: list[Value | str] = [x, _absent(draft), _absent(draft), target]
    return draft.node("Resize", inputs, **_options(draft, mode))[0]


def doubled_by_sizes(draft: Draft, x: Value) -> Value:
    """Sizes as Shape, Slice, Mul and Concat make them of x's own."""
    draft.need(x.rank == 4 and x.dtype == 1 and draft.opset >= 11)
    places = sizes.sizes(draft, x, (2, 3))
    numbers = np.array([2 * n for n in x.shape[2:]], np.int64)
    twice = draft.known("Mul", [places, draft.initializer(2)], numbers)
    front = sizes.sizes(draft, x, (0, 1))
    target = sizes.joined(draft, [(front, x.shape[:2]), (twice, [int(n) for n in numbers])])
    inputs: list[Value | str] = [x, _absent(draft), _absent(draft), target]
    return draft.node("Resize", inputs, **_options(draft, draft.one_of(["nearest", "linear"])))[0]


def upsampled(draft: Draft, x: Value) -> list[Value]:
    """Larger, then a layer; or a layer's norm behind the upsampling."""
    draft.need(x.rank == 4)
    inner = layers.conv(draft, x, draft.between(2, 5), draft.one_of([1, 3]))
    way = draft.one_of([by_factor, doubled_by_sizes])
    large = way(draft, inner)
    if draft.chance(0.5):
        return [layers.norm(draft, large)]
    return [layers.layer(draft, large, draft.between(2, 5))]


def transposed(draft: Draft, x: Value) -> list[Value]:
    """ConvTranspose that doubles the places, with output_padding or an even kernel."""
    layers.about_channels(draft, x)
    count, out = x.rank - 2, draft.between(2, 4)
    kernel, pads, extra = draft.one_of([(3, 1, 1), (2, 0, 0), (4, 1, 0)])
    group = 2 if x.shape[1] % 2 == 0 and draft.chance(0.3) else 1
    w = draft.weight((x.shape[1], out, *(kernel,) * count), x.dtype, gain=0.3)
    bias = [draft.weight((out * group,), x.dtype)] if draft.chance(0.5) else []
    y = draft.node(
        "ConvTranspose",
        [x, w, *bias],
        strides=[2] * count,
        pads=[pads] * (2 * count),
        output_padding=[extra] * count if extra else None,
        group=group,
    )[0]
    return [layers.activation(draft, layers.norm(draft, y))]


def shuffled(draft: Draft, x: Value) -> list[Value]:
    """Sub-pixel convolution: DepthToSpace of a layer, normalised before or behind."""
    draft.need(x.rank == 4)
    y = layers.conv(draft, x, 8, 3)
    if draft.chance(0.5):
        y = layers.norm(draft, y)
    mode = draft.one_of([None, "DCR", "CRD"]) if draft.opset >= 11 else None
    y = draft.node("DepthToSpace", [y], blocksize=2, mode=mode)[0]
    return [layers.norm(draft, y) if draft.chance(0.6) else layers.activation(draft, y)]


OPERATORS = {upsampled: 3, transposed: 2, shuffled: 1}
