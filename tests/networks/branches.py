"""Operators with several tensors in or out, and those that are no affine map at all."""

from __future__ import annotations

import numpy as np

from . import arithmetic, linear
from .draft import Draft, Value


def _sibling(draft: Draft, x: Value, *, free: int | None = None) -> Value:
    """Another live value of the same shape, but for one axis that is free; else x's own branch."""
    fitting = [
        v
        for v in draft.live
        if v.name != x.name
        and v.dtype == x.dtype
        and v.rank == x.rank
        and all(a == b or i == free for i, (a, b) in enumerate(zip(v.shape, x.shape, strict=True)))
    ]
    if fitting and draft.chance(0.8):
        return draft.one_of(fitting)
    return draft.one_of([activation, arithmetic.batch_normalization])(draft, x)[0]


def addition(draft: Draft, x: Value) -> list[Value]:
    pair = [x, _sibling(draft, x)]
    if draft.chance(0.5):
        pair.reverse()
    return draft.node(draft.one_of(["Add", "Add", "Sub", "Sum"]), pair)


def broadcast_addition(draft: Draft, x: Value) -> list[Value]:
    """x and its mean over places: a branch without some of the axes' extent."""
    draft.need(3 <= x.rank <= 5)
    return draft.node("Add", [x, draft.node("GlobalAveragePool", [x])[0]])


def product(draft: Draft, x: Value) -> list[Value]:
    gate = draft.node("Sigmoid", [_sibling(draft, x)])[0]
    return draft.node("Mul", [x, gate])


def concat(draft: Draft, x: Value) -> list[Value]:
    draft.need(x.rank >= 1)
    axis = 1 if x.rank > 1 and draft.chance(0.7) else draft.between(0, x.rank - 1)
    parts = [x, _sibling(draft, x, free=axis)]
    if draft.chance(0.2):
        parts.append(draft.one_of(parts))
    named = axis - x.rank if draft.opset >= 11 and draft.chance(0.3) else axis
    return draft.node("Concat", parts, axis=named)


def split(draft: Draft, x: Value) -> list[Value]:
    axis = 1 if x.rank > 1 and draft.chance(0.7) else draft.between(0, x.rank - 1)
    size = x.shape[axis]
    draft.need(size >= 2)
    first = draft.between(1, size - 1)
    sizes = [first, size - first]
    if draft.opset < 13:
        return draft.node("Split", [x], outputs=2, axis=axis, split=sizes)
    return draft.node("Split", [x, draft.integers(sizes)], outputs=2, axis=axis)


def parallel_convolutions(draft: Draft, x: Value) -> list[Value]:
    """RepVGG's block: 3×3 and 1×1 and, where channels agree, the identity, all normalised."""
    draft.need(x.rank in (3, 4))
    count = x.rank - 2
    out = x.shape[1] if draft.chance(0.6) else draft.between(1, 4)
    group = x.shape[1] if out == x.shape[1] and draft.chance(0.3) else 1
    strides = [draft.one_of([1, 1, 2])] * count
    depth = x.shape[1] // group
    gain = 1 / np.sqrt(depth * 3**count)
    wide = draft.weight((out, depth, *(3,) * count), x.dtype, gain=gain)
    narrow = draft.weight((out, depth, *(1,) * count), x.dtype, gain=gain)
    one = draft.node("Conv", [x, wide], pads=[1] * (2 * count), strides=strides, group=group)[0]
    two = draft.node("Conv", [x, narrow], strides=strides, group=group)[0]
    branches = [one, two]
    if out == x.shape[1] and strides[0] == 1:
        branches.append(x)
    normal = [arithmetic.batch_normalization(draft, branch)[0] for branch in branches]
    total = normal[0]
    for branch in normal[1:]:
        total = draft.node("Add", [total, branch])[0]
    return [total]


def residual_block(draft: Draft, x: Value) -> list[Value]:
    """BN(Conv(x)) + x where the shapes allow it, the original's ResNet order."""
    draft.need(x.rank in (3, 4))
    count = x.rank - 2
    w = draft.weight((x.shape[1], x.shape[1], *(3,) * count), x.dtype, gain=0.2)
    inner = draft.node("Conv", [x, w], pads=[1] * (2 * count))[0]
    inner = arithmetic.batch_normalization(draft, inner)[0]
    return draft.node("Add", [inner, x])


def activation(draft: Draft, x: Value) -> list[Value]:
    op_type = draft.one_of(["Relu", "Relu", "LeakyRelu", "PRelu", "Sigmoid", "Tanh"])
    if op_type != "PRelu":
        return draft.node(op_type, [x])
    shape = (x.shape[1], *(1,) * (x.rank - 2)) if x.rank > 1 and draft.chance(0.6) else (1,)
    return draft.node("PRelu", [x, draft.weight(shape, x.dtype)])


def layer_normalization(draft: Draft, x: Value) -> list[Value]:
    draft.need(draft.opset >= 17 and x.rank >= 2 and x.shape[-1] > 1)
    scale = draft.factor((x.shape[-1],), x.dtype)
    bias = [draft.weight((x.shape[-1],), x.dtype)] if draft.chance(0.6) else []
    return draft.node("LayerNormalization", [x, scale, *bias], epsilon=1e-3)


def instance_normalization(draft: Draft, x: Value) -> list[Value]:
    draft.need(3 <= x.rank <= 5 and int(np.prod(x.shape[2:])) > 1)
    parameters = [draft.factor(x.shape[1:2], x.dtype), draft.weight(x.shape[1:2], x.dtype)]
    return draft.node("InstanceNormalization", [x, *parameters], epsilon=1e-2)


def linear_and_norm(draft: Draft, x: Value) -> list[Value]:
    """A layer and its BatchNormalization, as nearly every network has it."""
    layer = draft.one_of([linear.conv, linear.conv_transpose, linear.gemm, linear.matmul])
    return arithmetic.batch_normalization(draft, layer(draft, x)[0])


OPERATORS = {
    addition: 3,
    broadcast_addition: 0.5,
    product: 1,
    concat: 3,
    split: 2,
    parallel_convolutions: 1,
    residual_block: 1.5,
    activation: 5,
    layer_normalization: 1,
    instance_normalization: 0.7,
    linear_and_norm: 4,
}
