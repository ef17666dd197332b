"""BatchNormalization, and arithmetic with constants of any shape that broadcasts."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from .draft import Draft, Value


def batch_normalization(draft: Draft, x: Value) -> list[Value]:
    draft.need(x.rank >= 2)
    channels = x.shape[1]
    scale = draft.rng.uniform(0.3, 1.7, channels)
    if draft.chance(0.4):
        scale = scale * draft.rng.choice([-1.0, 0.0, 1.0, 1.0], channels)
    variance = draft.rng.uniform(0.05, 2.5, channels)
    if draft.chance(0.1):
        variance[0] = 0.0
    wide = draft.opset >= 15 and x.dtype == TensorProto.FLOAT16 and draft.chance(0.5)
    statistics = TensorProto.FLOAT if wide else x.dtype
    parameters = [
        draft.constant(scale, x.dtype),
        draft.weight((channels,), x.dtype),
        draft.constant(draft.rng.standard_normal(channels), statistics),
        draft.constant(variance, statistics),
    ]
    epsilon = draft.one_of([None, 1e-3, 0.1])
    momentum = draft.one_of([None, 0.9])
    return draft.node("BatchNormalization", [x, *parameters], epsilon=epsilon, momentum=momentum)


def _shape(draft: Draft, x: Value) -> tuple[int, ...]:
    """Mostly one number or one per channel, now and then along some other axis or several."""
    kind = draft.rng.random()
    if kind < 0.2 or x.rank == 0:
        return draft.one_of([(), (1,), (1,) * x.rank])
    if kind < 0.65:
        axis = 1 if x.rank > 1 and draft.chance(0.6) else x.rank - 1
    else:
        axis = draft.between(0, x.rank - 1)
    shape = [1] * x.rank
    shape[axis] = x.shape[axis]
    if kind > 0.9:
        second = draft.between(0, x.rank - 1)
        shape[second] = x.shape[second] if kind < 0.96 else max(x.shape[second], 1)
    if kind > 0.97:
        return (draft.between(1, 2), *shape)
    if kind > 0.95 and 1 in x.shape:
        # Against an axis of size one the constant makes the tensor larger.
        shape[x.shape.index(1)] = 3
    first = draft.between(0, x.rank) if draft.chance(0.5) else 0
    while first > 0 and any(size != 1 for size in shape[:first]):
        first -= 1
    return tuple(shape[first:])


def multiplication(draft: Draft, x: Value) -> list[Value]:
    op_type = draft.one_of(["Mul", "Mul", "Div"])
    inputs: list[Value | str] = [x, draft.factor(_shape(draft, x), x.dtype)]
    if op_type == "Mul" and draft.chance(0.3):
        inputs.reverse()
    return draft.node(op_type, inputs)


def addition(draft: Draft, x: Value) -> list[Value]:
    inputs: list[Value | str] = [x, draft.constant(
        draft.rng.standard_normal(_shape(draft, x)), x.dtype)]  # fmt: skip
    if draft.chance(0.3):
        inputs.reverse()
    return draft.node(draft.one_of(["Add", "Sub"]), inputs)


def negation(draft: Draft, x: Value) -> list[Value]:
    return draft.node("Neg", [x])


def scale_and_shift(draft: Draft, x: Value) -> list[Value]:
    """The two nodes that BatchNormalization is spelled with, along one axis."""
    draft.need(x.rank >= 2)
    axis = 1 if draft.chance(0.5) else x.rank - 1
    shape = (x.shape[axis], *(1,) * (x.rank - 1 - axis))
    first = draft.node("Mul", [x, draft.factor(shape, x.dtype)])[0]
    return draft.node("Add", [first, draft.constant(draft.rng.standard_normal(shape), x.dtype)])


def division_of_a_constant(draft: Draft, x: Value) -> list[Value]:
    """1 / (1 + x²): no affine map, though it looks like one."""
    square = draft.node("Mul", [x, x])[0]
    one = draft.constant(np.ones(()), x.dtype)
    return draft.node("Div", [one, draft.node("Add", [square, one])[0]])


OPERATORS = {
    batch_normalization: 8,
    multiplication: 4,
    addition: 4,
    negation: 1,
    scale_and_shift: 4,
    division_of_a_constant: 0.5,
}
