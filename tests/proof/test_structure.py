"""Inputs are stacked in a certificate only where no row of an output reads another row."""

from __future__ import annotations

import numpy as np
import pytest

from normonnx.proof.structure import are_independent
from tests.graphs import context, model, value

PER_CHANNEL = np.ones((3, 1, 1), np.float32)
MATRIX = np.ones((4, 4), np.float32)


def independent(text: str, *inputs: str, rows: int = 2, **weights: np.ndarray) -> bool:
    m = model(text, **weights)
    constants = {
        v: array
        for node in m.graph
        for v in node.inputs
        if v is not None and (array := context(m).constants.float64(v)) is not None
    }
    rng = np.random.default_rng(0)
    drawn = {
        value(m, name): rng.standard_normal([rows, *_extents(value(m, name).shape)])
        for name in inputs
    }
    return are_independent(list(m.graph), constants, drawn)


def _extents(shape: object) -> list[int]:
    return [int(str(dim)) for dim in list(shape)[1:]]  # type: ignore[call-overload]


CONV = """(float[n,3,5,5] x) => (float[n,4,3,3] y) {
  c = Conv (x, w)
  b = BatchNormalization (c, s, t, m, v)
  y = Relu (b)
}"""
PARTS = {name: np.ones(4, np.float32) for name in "stmv"}


def test_layers_with_constant_weights_keep_rows_apart() -> None:
    assert independent(CONV, "x", w=np.ones((4, 3, 3, 3), np.float32), **PARTS)
    text = "(float[n,3,5,5] x) => (float[n,3,1,1] y) { a = Mul (x, k) y = GlobalAveragePool (a) }"
    assert independent(text, "x", k=PER_CHANNEL)
    text = "(float[n,4] x, float[n,4] z) => (float[n,4] y) { a = MatMul (x, w) y = Add (a, z) }"
    assert independent(text, "x", "z", w=MATRIX)


DEPENDENT = {
    "a number for each row": (
        "(float[n,4] x) => (float[n,4] y) { y = Add (x, k) }", {"k": np.ones((2, 4), np.float32)},
    ),
    "a constant of higher rank": (
        "(float[n,4] x) => (float[1,n,4] y) { y = Add (x, k) }",
        {"k": np.ones((1, 1, 4), np.float32)},
    ),
    "training": (
        CONV.replace("BatchNormalization", "BatchNormalization <training_mode=1>"),
        {"w": np.ones((4, 3, 3, 3), np.float32), **PARTS},
    ),
    "rows that are summed over": (
        "(float[n,4] x) => (float[4,4] y) { y = Gemm <transA=1> (x, w) }", {"w": MATRIX},
    ),
    "a weight on the left": (
        "(float[n,4] x) => (float[2,4] y) { y = MatMul (w, x) }",
        {"w": np.ones((2, 2), np.float32)},
    ),
    "the indices of a pooling": (
        """(float[n,3,5,5] x) => (float[n,3,5,5] y) {
          y, i = MaxPool <kernel_shape=[1,1]> (x)
        }""", {},
    ),
    "a product of the input with itself": (
        "(float[n,4,4] x) => (float[n,4,4] y) { y = MatMul (x, x) }", {},
    ),
    "an operator that is not known to": (
        "(float[n,4] x) => (float[n,4] y) { y = CumSum (x, k) }", {"k": np.int64(0)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DEPENDENT)
def test_whatever_mixes_rows_or_may_do_so_is_not_stacked(case: str) -> None:
    text, weights = DEPENDENT[case]
    assert not independent(text, "x", **weights)


def test_inputs_of_different_rows_are_not_stacked() -> None:
    m = model("(float[2,4] x, float[1,4] z) => (float[2,4] y) { y = Add (x, z) }")
    drawn = {value(m, "x"): np.ones((2, 4)), value(m, "z"): np.ones((1, 4))}
    assert not are_independent(list(m.graph), {}, drawn)
    same = {value(m, "x"): np.ones((2, 4)), value(m, "z"): np.ones((2, 4))}
    assert are_independent(list(m.graph), {}, same)
    whole = {v: array.astype(np.int64) for v, array in same.items()}
    assert not are_independent(list(m.graph), {}, whole)
