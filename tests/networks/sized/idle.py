"""Steps that do nothing, or say something twice, or look like it."""

from __future__ import annotations

import numpy as np
from onnx import numpy_helper

from .filling import grown
from .layout import there_and_back, turned
from .sketch import Sketch, Tensor


def nothing(s: Sketch, x: Tensor) -> Tensor | None:
    """A node that gives back what it reads, or one that looks like it."""
    kind = int(s.rng.integers(14))
    rank = x.rank
    if kind == 0:
        return s.op("Identity", [x], x.array)
    if kind == 1:
        ratio = {"ratio": 0.4} if s.opset < 12 else {}
        return s.op("Dropout", [x], x.array, **ratio)
    if kind == 2 and rank:
        end = s.pick([2**31 - 1, 2**63 - 1, max(x.shape[0], 1), 1000])
        return s.slice(x, [0], [end], [0])
    if kind == 3 and rank:
        return s.concat([x], 0)
    if kind == 4 and s.opset >= 11:
        pads = [0] * (2 * rank)
        if rank and s.chance(0.3):
            pads[0] = 1
        array = np.pad(x.array, list(zip(pads[:rank], pads[rank:], strict=True)))
        return s.op("Pad", [x, s.constant(pads)], array)
    if kind == 5:
        return s.op("Tile", [x, s.constant([1] * rank)], x.array)
    if kind == 6:
        one = s.constant(s.pick([1.0, np.ones([1] * (rank + s.pick([0, 1])))]), np.float32)
        return s.op("Mul", [x, one], x.array * one.array)
    if kind == 7:
        zero = s.constant(s.pick([0.0, -0.0, np.zeros([1] * rank)]), np.float32)
        return s.op(s.pick(["Add", "Sub"]), [x, zero], x.array)
    if kind == 8 and rank:
        order = list(range(x.shape[0]))
        if s.chance(0.3):
            order = order[::-1]
        return s.op("Gather", [x, s.constant(order)], x.array[order], axis=0) if order else None
    if kind == 9 and rank == 2:
        return s.op("Flatten", [x], x.array, axis=1)
    if kind == 10:
        return s.op("Sum", [x], x.array)
    if kind == 11 and rank:
        return s.squeeze(s.unsqueeze(s.unsqueeze(x, [0]), [rank + 1 if s.opset >= 11 else 0]),
                         [0, rank + 1] if s.opset >= 11 else [0, 1])  # fmt: skip
    if kind == 12 and rank >= 2:
        first = s.slice(x, [0], [2**31 - 1], [0])
        return s.slice(first, [0], [max(x.shape[1] - 1, 1)], [1])
    if kind == 13 and rank and s.opset >= 10:
        return s.slice(x, [-1], [-(2**31)], [0], [-1])
    return None


def twice(s: Sketch, x: Tensor) -> Tensor | None:
    """The same nodes once more, or all but for the sign of a zero."""
    if s.chance(0.3) and s.opset >= 9 and x.rank:
        parts = []
        for number in (0.0, -0.0):
            zero = numpy_helper.from_array(np.array([number], np.float32))
            size = s.op("Shape", [x], np.array(x.shape))
            fill = s.op("ConstantOfShape", [size], np.full(x.shape, number), value=zero)
            parts.append(s.op("Reciprocal", [fill], x.array))
        return s.op("Max", [x, s.op("Sub", parts, x.array)], x.array)
    if s.chance(0.3):
        slopes = [s.op("LeakyRelu", [x], x.array, alpha=alpha) for alpha in (0.0, -0.0)]
        return s.op("Add", slopes, x.array)
    step = s.pick([there_and_back, turned, grown, nothing])
    state = s.rng.bit_generator.state
    first = step(s, x)
    s.rng.bit_generator.state = state
    second = step(s, x)
    if first is None or second is None or first.shape != second.shape:
        return first
    return s.op("Add", [first, second], first.array)


def dead(s: Sketch, x: Tensor) -> Tensor:
    """What nobody reads."""
    there_and_back(s, x)
    s.constant(s.rng.standard_normal(3), np.float32)
    return x
