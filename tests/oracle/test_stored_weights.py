"""Large weights are multiplied and looked up as they are stored, without a copy in float64."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from normonnx.oracle.oracle import Oracle
from normonnx.oracle.roundoff import Roundoff
from tests.judge.building import graph_model

Array = np.ndarray[Any, Any]
RANDOM = np.random.default_rng(0)
WIDE = RANDOM.standard_normal((640, 896))


def model(text: str, *, overridable: bool = False, **weights: Array) -> ir.Model:
    made = ir.from_proto(graph_model(text, **weights))
    if overridable:
        made.graph.inputs.append(made.graph.initializers["w"])
    return made


def made(text: str, x: Array, weight: Array, **options: Any) -> Array:
    found = Oracle(model(text, w=weight)).run({"x": x}, **options)
    assert not found.narrow
    return np.asarray(found.outputs["y"])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(640,), (1, 640), (5, 640), (30, 640), (2, 3, 640), (0, 640)])
def test_products(shape: tuple[int, ...], dtype: type) -> None:
    weight = WIDE.astype(dtype)
    kind = {np.float16: "float16", np.float32: "float", np.float64: "double"}[dtype]
    text = f"({kind}[{', '.join(map(str, shape))}] x) => ({kind}[N] y) {{ y = MatMul(x, w) }}"
    x = RANDOM.standard_normal(shape).astype(dtype)
    expected = x.astype(np.float64) @ weight.astype(np.float64)
    found = made(text, x, weight)
    assert found.dtype == np.float64
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 4, 40])
def test_gemm(rows: int) -> None:
    weight = WIDE.T.astype(np.float32)
    text = """(float[M, 640] x) => (float[M, 896] y) {
        y = Gemm <transB = 1, alpha = 0.5, beta = 2.0> (x, w, c)
    }"""
    x, c = (RANDOM.standard_normal(s).astype(np.float32) for s in ((rows, 640), (896,)))
    found = Oracle(model(text, w=weight, c=c)).run({"x": x}).outputs["y"]
    expected = 0.5 * (x.astype(np.float64) @ weight.T.astype(np.float64)) + 2 * c.astype(float)
    assert np.allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_rows_of_a_table() -> None:
    weight = WIDE.astype(np.float32)
    text = "(int64[2, 2] x) => (float[2, 2, 896] y) { y = Gather(w, x) }"
    found = made(text, np.array([[0, 639], [-1, 7]]), weight)
    assert found.dtype == np.float64
    assert np.array_equal(found, weight[[[0, 639], [-1, 7]]].astype(np.float64))


def test_what_is_given_or_exact_stands_for_the_stored_weight() -> None:
    weight, x = WIDE.astype(np.float32), np.ones((2, 640), np.float32)
    text = "(float[2, 640] x) => (float[2, 896] y) { y = MatMul(x, w) }"
    other = 3 * weight
    given = Oracle(model(text, overridable=True, w=weight)).run({"x": x, "w": other})
    assert np.allclose(given.outputs["y"], x.astype(float) @ other.astype(float), rtol=1e-12)
    exact = Oracle(model(text, w=weight), exact={"w": WIDE}).run({"x": x})
    assert np.allclose(exact.outputs["y"], x.astype(float) @ WIDE, rtol=1e-12, atol=1e-12)


def test_it_is_disturbed_where_weights_are() -> None:
    weight, x = WIDE.astype(np.float32), np.ones((1, 640), np.float32)
    text = "(float[1, 640] x) => (float[1, 896] y) { y = MatMul(x, w) }"
    steady = made(text, x, weight)
    moved = made(text, x, weight, roundoff=Roundoff({}, seed=0, weights=True))
    assert np.array_equal(steady, moved)  # no type is known of it
    float32 = np.dtype(np.float32)
    moved = made(text, x, weight, roundoff=Roundoff(float32, seed=0, weights=True))
    assert not np.array_equal(np.float32(steady), moved)
    assert np.allclose(steady, moved, rtol=1e-4, atol=1e-4)


def test_no_copy_of_it_is_made() -> None:
    weight = RANDOM.standard_normal((2048, 2048)).astype(np.float32)
    text = "(float[2, 2048] x) => (float[2, 2048] y) { y = MatMul(x, w) }"
    oracle = Oracle(model(text, w=weight))
    tracemalloc.start()
    oracle.run({"x": np.ones((2, 2048), np.float32)})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.2 * weight.nbytes  # in float64 it would take twice as much
