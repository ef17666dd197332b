"""Arithmetic, reductions, placement and products: as onnx.reference has them, type for type."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from normonnx.oracle.planner import compute
from tests.judge.building import Array, feeds_of, node_model

Random = np.random.Generator
Case = tuple[dict[str, Any], list[Array | None]]
Draw = Callable[[Random, np.dtype[Any]], Case]

FLOATS = (np.float64, np.float32, np.float16)
NUMBERS = (*FLOATS, np.int64, np.int32)


def numbers(random: Random, dtype: np.dtype[Any], *shape: int) -> Array:
    drawn = random.standard_normal(shape) * 4
    whole = np.where(np.round(drawn) == 0, 3, np.round(drawn))
    return (whole if dtype.kind == "i" else drawn).astype(dtype)


def shape_of(random: Random, low: int = 1, high: int = 4) -> tuple[int, ...]:
    return tuple(int(n) for n in random.integers(1, 5, int(random.integers(low, high))))


def one(random: Random, dtype: np.dtype[Any]) -> Case:
    return {}, [numbers(random, dtype, *shape_of(random, 0))]


def positive(random: Random, dtype: np.dtype[Any]) -> Case:
    return {}, [np.abs(numbers(random, dtype, *shape_of(random, 0)))]


def two(random: Random, dtype: np.dtype[Any]) -> Case:
    shape = shape_of(random, 0)
    other = [n if random.random() < 0.7 else 1 for n in shape[int(random.integers(0, 2)) :]]
    pair: list[Array | None] = [numbers(random, dtype, *shape), numbers(random, dtype, *other)]
    return {}, pair if random.random() < 0.5 else pair[::-1]


def sloped(random: Random, dtype: np.dtype[Any]) -> Case:
    slope = numbers(random, dtype, *random.choice([[1, 1], [3, 1], [3, 4]]))
    return {}, [numbers(random, dtype, 2, 3, 4), slope]


def part_of_shape(random: Random, dtype: np.dtype[Any]) -> Case:
    last = int(random.choice([-3, -2, -1, 1, 2, 3]))  # 0 is the end, to onnx.reference
    attributes = {"start": int(random.integers(-4, 4)), "end": last}
    kept = {name: value for name, value in attributes.items() if random.random() < 0.5}
    return kept, [numbers(random, dtype, 2, 3, 4)]


def steps(random: Random, dtype: np.dtype[Any]) -> Case:
    start, limit = (np.array(int(n), dtype) for n in random.integers(-9, 9, 2))
    return {}, [start, limit, np.array(int(random.choice([-3, -1, 1, 2])), dtype)]


def fmod(random: Random, dtype: np.dtype[Any]) -> Case:
    fmod = 1 if dtype.kind == "f" else int(random.integers(0, 2))
    return {"fmod": fmod}, two(random, dtype)[1]


def many(random: Random, dtype: np.dtype[Any]) -> Case:
    return {}, [numbers(random, dtype, 2, 3) for _ in range(int(random.integers(1, 4)))]


def powers(random: Random, dtype: np.dtype[Any]) -> Case:
    base = np.abs(numbers(random, dtype, 2, 3))
    exponent = numbers(random, np.dtype(random.choice([dtype, np.dtype(np.int64)])), 3)
    return {}, [base, np.clip(exponent, -2, 2)]


def chosen(random: Random, dtype: np.dtype[Any]) -> Case:
    return {}, [random.random((2, 3)) < 0.5, numbers(random, dtype, 3), numbers(random, dtype, 1)]


def reduced(random: Random, dtype: np.dtype[Any]) -> Case:
    attributes: dict[str, Any] = {"keepdims": int(random.integers(0, 2))}
    if random.random() < 0.3:
        return attributes, [numbers(random, dtype, 2, 3, 4)]
    axes = random.permutation(3)[: int(random.integers(1, 4))]
    signed = np.where(random.random(len(axes)) < 0.5, axes, axes - 3)
    return attributes, [numbers(random, dtype, 2, 3, 4), signed.astype(np.int64)]


def pooled(random: Random, dtype: np.dtype[Any]) -> Case:
    return {}, [numbers(random, dtype, 2, 3, *shape_of(random))]


def reshaped(random: Random, dtype: np.dtype[Any]) -> Case:
    shape = [[-1], [0, -1], [4, 0, -1], [2, 12], [0, 0, 2, 2]][int(random.integers(0, 5))]
    return {}, [numbers(random, dtype, 2, 3, 4), np.array(shape)]


def flattened(random: Random, dtype: np.dtype[Any]) -> Case:
    return {"axis": int(random.integers(-3, 4))}, [numbers(random, dtype, 2, 3, 4)]


def transposed(random: Random, dtype: np.dtype[Any]) -> Case:
    order = {"perm": [int(n) for n in random.permutation(3)]} if random.random() < 0.8 else {}
    return order, [numbers(random, dtype, 2, 3, 4)]


def squeezed(random: Random, dtype: np.dtype[Any]) -> Case:
    x = numbers(random, dtype, 1, 3, 1)
    axes = [[0], [-1], [0, 2], None][int(random.integers(0, 4))]
    return {}, [x] if axes is None else [x, np.array(axes)]


def unsqueezed(random: Random, dtype: np.dtype[Any]) -> Case:
    axes = [[0], [-1], [0, 3], [1, -1]][int(random.integers(0, 4))]
    return {}, [numbers(random, dtype, 2, 3), np.array(axes)]


def expanded(random: Random, dtype: np.dtype[Any]) -> Case:
    shape = [[2, 3, 4], [4], [1, 3, 1], [5, 1, 3, 4]][int(random.integers(0, 4))]
    return {}, [numbers(random, dtype, 3, 1), np.array(shape)]


def joined(random: Random, dtype: np.dtype[Any]) -> Case:
    axis = int(random.integers(-2, 2))
    parts: list[Array | None] = []
    for _ in range(int(random.integers(1, 4))):
        shape = [2, 3]
        shape[axis] = int(random.integers(0, 4))
        parts.append(numbers(random, dtype, *shape))
    return {"axis": axis}, parts


def gathered(random: Random, dtype: np.dtype[Any]) -> Case:
    indices = random.integers(-2, 2, shape_of(random, 0))
    return {"axis": int(random.integers(-2, 2))}, [numbers(random, dtype, 2, 3), indices]


def sliced(random: Random, dtype: np.dtype[Any]) -> Case:
    axes = random.permutation(3)[: int(random.integers(1, 4))]
    ends = [2**31 - 1, -(2**31), -9, -2, 0, 1, 2, 3, 9]
    starts, stops = random.choice(ends, (2, len(axes)))
    steps = random.choice([1, 1, 2, -1, -2], len(axes))
    given: list[Array | None] = [starts, stops, axes - 3 * random.integers(0, 2, len(axes)), steps]
    x = numbers(random, dtype, 4, 5, 6)
    return {}, [x, *(np.asarray(g, dtype=np.int64) for g in given)]


def padded(random: Random, dtype: np.dtype[Any]) -> Case:
    given: list[Array | None] = [numbers(random, dtype, 2, 3), random.integers(0, 3, 4)]
    if random.random() < 0.5:
        given.append(numbers(random, dtype))
    return {}, given


def multiplied(random: Random, dtype: np.dtype[Any]) -> Case:
    left, right = [((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((3,), (3, 4)), ((2, 3), (3,))][
        int(random.integers(0, 4))
    ]
    return {}, [numbers(random, dtype, *left), numbers(random, dtype, *right)]


def gemm(random: Random, dtype: np.dtype[Any]) -> Case:
    flip, turn = (int(n) for n in random.integers(0, 2, 2))
    attributes = {"transA": flip, "transB": turn, "alpha": 0.5, "beta": 1.5}
    a, b = numbers(random, dtype, 2, 3), numbers(random, dtype, 3, 4)
    operands: list[Array | None] = [a.T if flip else a, b.T if turn else b]
    if random.random() < 0.7:
        operands.append(numbers(random, dtype, *[(4,), (1, 4), (2, 4), ()][random.integers(0, 4)]))
    return attributes, operands


CASES: dict[str, tuple[Draw, tuple[type, ...]]] = {
    **dict.fromkeys(("Abs", "Neg", "Identity", "Relu"), (one, NUMBERS)),
    **dict.fromkeys(("Ceil", "Exp", "Floor", "Reciprocal", "Tanh"), (one, FLOATS)),
    "Sqrt": (positive, FLOATS),
    **dict.fromkeys(("Add", "Sub", "Mul", "Equal", "Greater", "Less"), (two, NUMBERS)),
    **dict.fromkeys(("GreaterOrEqual", "LessOrEqual"), (two, NUMBERS)),
    **dict.fromkeys(("And", "Or", "Xor"), (two, (np.bool_,))),
    "PRelu": (sloped, FLOATS),
    "Shape": (part_of_shape, NUMBERS),
    "Size": (one, NUMBERS),
    "Range": (steps, NUMBERS[3:]),
    "Div": (two, FLOATS),  # integers: below
    "Mod": (fmod, NUMBERS),
    "Pow": (powers, FLOATS),
    **dict.fromkeys(("Max", "Min"), (many, NUMBERS)),
    "Sum": (many, FLOATS),
    "Where": (chosen, NUMBERS),
    **dict.fromkeys(("ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum"), (reduced, NUMBERS)),
    **dict.fromkeys(("ReduceMean", "ReduceSumSquare", "ReduceL2"), (reduced, FLOATS)),
    "GlobalAveragePool": (pooled, FLOATS),
    "Reshape": (reshaped, NUMBERS),
    "Flatten": (flattened, NUMBERS),
    "Transpose": (transposed, NUMBERS),
    "Squeeze": (squeezed, NUMBERS),
    "Unsqueeze": (unsqueezed, NUMBERS),
    "Expand": (expanded, NUMBERS),
    "Concat": (joined, NUMBERS),
    "Gather": (gathered, NUMBERS),
    "Slice": (sliced, NUMBERS),
    "Pad": (padded, NUMBERS),
    "MatMul": (multiplied, FLOATS),
    "Gemm": (gemm, FLOATS),
}
OPSET = 18


def computed(op_type: str, inputs: list[Array | None], attributes: dict[str, Any]) -> Array:
    model = node_model(op_type, inputs, opset=OPSET, **attributes)
    (node,) = ir.from_proto(model).graph
    (result,) = compute(node, inputs, {"": OPSET})
    return np.asarray(result)


@pytest.mark.parametrize("op_type", CASES)
def test_kernel_equals_stock_operator(op_type: str) -> None:
    draw, types = CASES[op_type]
    random = np.random.default_rng(5)
    for turn in range(40):
        attributes, inputs = draw(random, np.dtype(types[turn % len(types)]))
        model = node_model(op_type, inputs, opset=OPSET, **attributes)
        with np.errstate(all="ignore"):
            (expected,) = ReferenceEvaluator(model).run(None, feeds_of(inputs))
            got = computed(op_type, inputs, attributes)
        assert got.dtype == np.asarray(expected).dtype, (attributes, inputs)
        tolerance = 1e-2 if got.dtype == np.float16 else 1e-6
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def test_division_of_integers_goes_towards_zero() -> None:
    # onnx.reference rounds down; the standard and ONNX Runtime do not.
    a, b = np.array([7, -7, 7, -7, 6, -6, 0]), np.array([2, 2, -2, -2, 3, 3, -5])
    assert computed("Div", [a, b], {}).tolist() == [3, -3, -3, 3, 2, -2, 0]


def test_relu_keeps_nan() -> None:
    x = np.array([np.nan, -1.0, 2.0])
    np.testing.assert_array_equal(computed("Relu", [x], {}), [np.nan, 0, 2])


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "wrap"])
def test_padding_that_cuts_off_is_what_onnx_runtime_makes_of_it(mode: str) -> None:
    """onnx.reference takes no numbers below zero."""
    x = np.arange(18, dtype=np.float32).reshape(3, 6)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for head, tail, above in itertools.product((-2, -1, 0, 2), (-2, -1, 0, 2), (-1, 0, 1)):
        inputs = [x, np.array([above, head, -1, tail])]
        model = node_model("Pad", inputs, opset=19, mode=mode)
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        [expected] = session.run(None, feeds_of(inputs))
        (node,) = ir.from_proto(model).graph
        (found,) = compute(node, inputs, {"": 19})
        np.testing.assert_array_equal(found, expected)
