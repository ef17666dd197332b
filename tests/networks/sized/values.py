"""Steps that compute with constants, types, texts, sequences and chance."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from .sketch import Sketch, Tensor


def cast_about(s: Sketch, x: Tensor) -> Tensor:
    """Casts there and back, through types that hold everything or not."""
    floats = [np.float64, np.float32, np.float16]
    names = floats if s.is_coarse else [*floats, np.float64, np.int32, np.int64]
    found = x
    for _ in range(int(s.rng.integers(1, 4))):
        found = s.cast(found, s.pick(names))
    return s.cast(found, np.float32)


def constant_chain(s: Sketch, x: Tensor) -> Tensor:
    """A constant that is worked out by many operators, and added."""
    shape = list(x.shape[-1:]) if s.chance(0.6) else []
    found = s.constant(s.rng.uniform(0.5, 2, shape), np.float32)
    for _ in range(int(s.rng.integers(2, 7))):
        kind = int(s.rng.integers(11))
        if s.is_coarse and kind in (7, 9, 10):
            continue
        a = found.array
        if kind == 0:
            found = s.op("Sqrt", [s.op("Abs", [found], np.abs(a))], np.sqrt(np.abs(a)))
        elif kind == 1:
            found = s.op("Mul", [found, s.constant(s.rng.uniform(0.5, 2), np.float32)], a)
        elif kind == 2:
            found = s.cast(s.cast(found, np.float16), np.float32)
        elif kind == 3:
            big = s.constant(2_000_000_000, np.int32)
            wrapped = s.op("Mul", [big, s.constant(3, np.int32)], np.int32(0))
            small = s.op("Div", [wrapped, s.constant(1 << 28, np.int32)], np.int32(0))
            found = s.op("Add", [found, s.cast(small, np.float32)], a)
        elif kind == 4:
            found = s.op("Tanh", [found], a)
        elif kind == 5 and shape:
            found = s.op("Transpose", [found], a)
        elif kind == 6:
            half = s.cast(found, np.float16)
            grown = s.op("Mul", [half, s.constant(3, np.float16)], half.array)
            s.is_coarse = True
            found = s.cast(grown, np.float32)
        elif kind == 7:
            whole = s.cast(s.op("Floor", [found], a), np.int64)
            found = s.op("Add", [found, s.cast(whole, np.float32)], a)
        elif kind == 8:
            found = s.op("Reshape", [found, s.op("Shape", [found], np.array(a.shape))], a)
        elif kind == 9 and s.opset >= 10:
            scale, zero = s.constant(0.02, np.float32), s.constant(100, np.uint8)
            stored = s.op("QuantizeLinear", [found, scale, zero], a)
            found = s.op("DequantizeLinear", [stored, scale, zero], a)
        elif kind == 10 and s.opset >= 9:
            below = s.op("Less", [found, s.constant(1, np.float32)], a < 1)
            found = s.op("Where", [below, found, s.constant(-1, np.float32)], a)
    return s.op(s.pick(["Add", "Mul"]), [x, found], x.array)


def text(s: Sketch, x: Tensor) -> Tensor | None:
    """Strings that are picked and compared."""
    if s.opset < 19:
        return None
    words = Tensor(s.fresh(), np.array(["a", "b"], object))
    s.weights.append(helper.make_tensor(words.name, TensorProto.STRING, [2], [b"a", b"b"]))
    one = s.op("Identity", [s.op("Gather", [words, s.constant([1])], words.array[1:])], ["b"])
    same = s.op("Equal", [one, Tensor("text", np.array(["b"], object))], [True])
    return s.op("Mul", [x, s.cast(same, np.float32)], x.array)


def sequence(s: Sketch, x: Tensor) -> Tensor | None:
    """Into a sequence and out of it."""
    if s.opset < 11:
        return None
    made = s.op("SequenceConstruct", [x, s.op("Identity", [x], x.array)], 0)
    made = s.op("Identity", [made], 0) if s.opset >= 14 and s.chance(0.5) else made
    return s.op("SequenceAt", [made, s.constant(s.pick([0, 1, -1]))], x.array)


def random(s: Sketch, x: Tensor) -> Tensor | None:
    """Seeded random numbers, twice the same."""
    if s.opset > 21:
        return None
    parts = [s.op("RandomUniformLike", [x], x.array, seed=3.0) for _ in range(2)]
    return s.op("Add", [x, s.op("Sub", parts, x.array)], x.array)


def foreign(s: Sketch, x: Tensor) -> Tensor:
    """An operator of another domain, of a constant that is worked out."""
    read = s.op("Identity", [x], x.array)
    return s.op(s.pick(["Gelu", "QuickGelu"]), [read], x.array, domain="com.microsoft")
