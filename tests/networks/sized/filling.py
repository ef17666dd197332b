"""Steps that grow or fill tensors to a computed shape."""

from __future__ import annotations

import numpy as np
from onnx import numpy_helper

from .sketch import Sketch, Tensor


def expanded(s: Sketch, x: Tensor) -> Tensor | None:
    """A constant grown to the shape of x, with -1 for what stays, and added."""
    if s.opset < 8:
        return None
    small = s.constant(s.rng.standard_normal([1] * x.rank), np.float32)
    target = s.vector(x, [-1 if d == 1 and s.chance(0.5) else d for d in x.shape])
    if s.opset >= 9:
        ones = s.op(
            "ConstantOfShape", [s.op("Shape", [target], np.array([x.rank]))],
            np.ones(x.rank, np.int64), value=numpy_helper.from_array(np.array([1], np.int64)),
        )  # fmt: skip
        is_open = s.op("Equal", [target, s.constant(-1)], target.array == -1)
        target = s.op(
            "Where", [is_open, ones, target], np.where(target.array == -1, 1, target.array)
        )
    elif -1 in target.array:
        return None
    grown = s.op("Expand", [small, target], np.broadcast_to(small.array, x.shape))
    return s.op("Add", [x, grown], x.array)


def grown(s: Sketch, x: Tensor) -> Tensor:
    """x expanded to its own shape, or with an axis of 1 in front."""
    if s.opset < 8:
        return s.op("Identity", [x], x.array)
    target = s.op("Shape", [x], np.array(x.shape, np.int64))
    if s.chance(0.5):
        target = s.concat([s.constant([1]), target])
        grown = s.op("Expand", [x, target], x.array[None])
        return s.squeeze(grown, [0])
    return s.op("Expand", [x, target], x.array)


def filled(s: Sketch, x: Tensor) -> Tensor | None:
    """Zeros of either sign, or infinities, of a computed shape."""
    if s.opset < 9:
        return None
    number = s.pick([0.0, -0.0, 1.0, -np.inf])
    value = numpy_helper.from_array(np.array([number], np.float32))
    given = {} if s.chance(0.2) else {"value": value}
    size = s.vector(x, x.shape)
    made = s.op("ConstantOfShape", [size], np.full(x.shape, number, np.float32), **given)
    return s.op(s.pick(["Add", "Mul", "Sub"]), [x, made], x.array)


def positions(s: Sketch, x: Tensor) -> Tensor | None:
    """A Range over an axis, cast and added along it."""
    if s.opset < 11 or x.rank < 1:
        return None
    axis = int(s.rng.integers(x.rank))
    size = s.dim(x, axis, scalar=True)
    count = s.op(
        "Range", [s.constant(0), size, s.constant(1)], np.arange(x.shape[axis], dtype=np.int64)
    )
    row = s.cast(count, np.float32)
    if axis < x.rank - 1:
        row = s.unsqueeze(row, list(range(1, x.rank - axis)))
    if s.chance(0.5):
        repeats = s.vector(x, [1] * row.rank)
        row = s.op("Tile", [row, repeats], row.array)
    return s.op("Add", [x, row], x.array)


def masked(s: Sketch, x: Tensor) -> Tensor | None:
    """A causal mask of −inf, built of sizes, in front of a Softmax."""
    if s.opset < 14 or x.rank < 2 or 0 in x.shape:
        return None
    size = s.concat([s.dim(x, x.rank - 2), s.dim(x, x.rank - 1)])
    fill = numpy_helper.from_array(np.array([-np.inf], np.float32))
    full = s.op("ConstantOfShape", [size], np.zeros(x.shape[-2:]), value=fill)
    upper = s.op("Trilu", [full, s.constant(1)], full.array)
    return s.op("Softmax", [s.op("Add", [x, upper], x.array)], x.array, axis=-1)
