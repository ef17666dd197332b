"""Branches with pools: squeeze and excitation, Inception, residuals with pooled shortcuts."""

from __future__ import annotations

from collections.abc import Sequence

from . import layers
from .draft import Draft, Value


def _everywhere(draft: Draft, x: Value) -> Value:
    """The mean over all places."""
    if draft.chance(0.5):
        return draft.node("GlobalAveragePool", [x])[0]
    axes = list(range(2, x.rank))
    return draft.with_axes("ReduceMean", x, axes, since=18, keepdims=1)[0]


def squeeze_and_excite(draft: Draft, x: Value) -> list[Value]:
    """A gate per channel, between a convolution and its norm or behind both."""
    draft.need(3 <= x.rank <= 5)
    y = layers.conv(draft, x, 4, 3)
    if draft.chance(0.8):
        y = layers.norm(draft, y)
    gate = _everywhere(draft, y)
    if draft.chance(0.5):
        gate = layers.activation(draft, layers.conv(draft, gate, 2, 1), ("Relu", "SiLU"))
        gate = layers.conv(draft, gate, 4, 1)
        gate = layers.norm(draft, gate) if draft.chance(0.3) else gate
    else:
        flat = draft.node("Flatten", [gate])[0]
        flat = layers.activation(draft, layers.linear(draft, flat, 2), ("Relu",))
        gate = layers.linear(draft, flat, 4)
        gate = draft.with_axes("Unsqueeze", gate, list(range(2, x.rank)))[0]
    gate = draft.node(draft.one_of(["Sigmoid", "HardSigmoid"]), [gate])[0]
    y = draft.node("Mul", [y, gate])[0]
    return [layers.norm(draft, y) if draft.chance(0.4) else layers.conv(draft, y, 3, 1)]


def _pool(draft: Draft, x: Value, op_type: str) -> Value:
    count = x.rank - 2
    place = {"auto_pad": "SAME_UPPER"} if draft.chance(0.25) else {"pads": [1] * (2 * count)}
    counted = int(draft.chance(0.5)) if op_type == "AveragePool" else None
    return draft.node(op_type, [x], kernel_shape=[3] * count, count_include_pad=counted,
                      strides=[1] * count, **place)[0]  # fmt: skip


def inception(draft: Draft, x: Value) -> list[Value]:
    """Parallel layers and a pool with a projection, joined."""
    draft.need(3 <= x.rank <= 4 and min(x.shape[2:]) >= 3)
    parts = [layers.layer(draft, x, draft.between(1, 3), 1, kinds=("Relu",))]
    inner = layers.layer(draft, x, 2, 1, kinds=("Relu",))
    parts.append(layers.layer(draft, inner, draft.between(1, 3), draft.one_of([3, 5])))
    pool = _pool(draft, x, draft.one_of(["AveragePool", "MaxPool"]))
    if draft.chance(0.7):
        pool = layers.norm(draft, layers.conv(draft, pool, 2, 1))
    parts.append(pool)
    whole = draft.node("Concat", parts, axis=1)[0]  # type: ignore[arg-type]
    return [layers.norm(draft, whole) if draft.chance(0.5) else layers.activation(draft, whole)]


def residual(draft: Draft, x: Value) -> list[Value]:
    """ResNet's block, its shortcut projected and pooled where it has a stride."""
    draft.need(3 <= x.rank <= 5)
    stride = draft.one_of([1, 1, 2]) if all(n % 2 == 0 for n in x.shape[2:]) else 1
    out = x.shape[1] if stride == 1 and draft.chance(0.5) else draft.between(2, 5)
    y = layers.layer(draft, x, draft.between(2, 4), 3, stride=stride)
    y = layers.norm(draft, layers.conv(draft, y, out, draft.one_of([1, 3])))
    short = x
    if stride == 2 and draft.chance(0.5):
        count = x.rank - 2
        short = draft.node("AveragePool", [x], kernel_shape=[2] * count, strides=[2] * count)[0]
        short = layers.norm(draft, layers.conv(draft, short, out, 1))
    elif stride == 2 or out != x.shape[1]:
        short = layers.norm(draft, layers.conv(draft, x, out, 1, stride=stride))
    pair: Sequence[Value] = [y, short] if draft.chance(0.7) else [short, y]
    total = draft.node("Add", list(pair))[0]
    return [layers.activation(draft, total) if draft.chance(0.8) else layers.norm(draft, total)]


def pooled_norm(draft: Draft, x: Value) -> list[Value]:
    """A norm in front of or behind a pool, beside a convolution."""
    draft.need(3 <= x.rank <= 4 and min(x.shape[2:]) >= 3)
    y = layers.conv(draft, x, 3, 3)
    pool = draft.one_of(["AveragePool", "AveragePool", "MaxPool"])
    if draft.chance(0.5):
        return [layers.norm(draft, _pool(draft, y, pool))]
    return [layers.conv(draft, _pool(draft, layers.norm(draft, y), pool), 2, 1)]


def classifier(draft: Draft, x: Value) -> list[Value]:
    """The mean over all places, flattened, and a layer with its norm."""
    draft.need(3 <= x.rank <= 5)
    flat = draft.node("Flatten", [_everywhere(draft, layers.norm(draft, x))])[0]
    y = layers.linear(draft, flat, draft.between(2, 5))
    return [layers.norm(draft, y) if draft.chance(0.6) else y]


OPERATORS = {
    squeeze_and_excite: 3, inception: 2, residual: 4, pooled_norm: 2, classifier: 0.7,
}  # fmt: skip
