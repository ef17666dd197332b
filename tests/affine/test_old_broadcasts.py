"""Before opset 7 the second operand lies along the axes that attributes name.

Neither ONNX Runtime nor onnx.reference computes these, so what is right is written out in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from normonnx import pipeline
from normonnx.affine import recognise
from normonnx.affine.recognise import Affine
from normonnx.options import Options
from normonnx.oracle.oracle import Oracle
from tests.graphs import context, model, node, operators

RNG = np.random.default_rng(0)
SQUARE = RNG.uniform(0.5, 2, (4, 4)).astype(np.float32)
CUBE = RNG.uniform(0.5, 2, (2, 4, 4, 4)).astype(np.float32)
K = np.float32([1, 2, 3, 4])

OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Pow": np.power,
    "Greater": np.greater,
    "Less": np.less,
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize(
    ("x", "axis", "shape"),
    [
        (SQUARE, 0, (4, 1)),
        (SQUARE, 1, (1, 4)),
        (SQUARE, None, (1, 4)),
        (CUBE, 1, (1, 4, 1, 1)),
        (CUBE, 2, (1, 1, 4, 1)),
        (CUBE, -1, (1, 1, 1, 4)),
    ],
)
def test_computed(name: str, x: np.ndarray, axis: int | None, shape: tuple[int, ...]) -> None:
    at = "broadcast=1" if axis is None else f"broadcast=1, axis={axis}"
    dims = ",".join(map(str, x.shape))
    kind = "bool" if name in ("Greater", "Less") else "float"
    m = model(
        f"(float[{dims}] x) => ({kind}[{dims}] y) {{ y = {name} <{at}> (x, k) }}", opset=6, k=K
    )
    expected = OPERATORS[name](x.astype(np.float64), K.astype(np.float64).reshape(shape))
    np.testing.assert_allclose(Oracle(m).run({"x": x}).outputs["y"], expected, rtol=1e-12)


def test_a_slope_for_each_channel() -> None:
    m = model("(float[2,4,4,4] x) => (float[2,4,4,4] y) { y = PRelu (x, k) }", opset=6, k=K)
    x = CUBE - 1
    expected = np.where(x < 0, x.astype(np.float64) * K[:, None, None], x)
    np.testing.assert_allclose(Oracle(m).run({"x": x}).outputs["y"], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("attributes", "axis"),
    [("broadcast=1, axis=0", 0), ("broadcast=1, axis=1", 1), ("broadcast=1", 1)],
)
def test_recognised(attributes: str, axis: int) -> None:
    m = model(f"(float[4,4] x) => (float[4,4] y) {{ y = Mul <{attributes}> (x, k) }}", opset=6, k=K)
    site = recognise(context(m), node(m, "y"))
    assert isinstance(site, Affine)
    assert site.map.axis == axis


def test_constants_are_worked_out_so() -> None:
    m = model(
        "(float[4,4] x) => (float[4,4] y) { c = Mul <broadcast=1, axis=0> (w, k)\n"
        "y = MatMul (x, c) }",
        opset=6,
        w=SQUARE,
        k=K,
    )
    found = context(m).constants.array(node(m, "c").outputs[0])
    np.testing.assert_array_equal(found, SQUARE * K[:, None])


@pytest.mark.parametrize(
    ("body", "becomes", "expected"),
    [
        ("m = MatMul (x, w)\n s = Mul <broadcast=1, axis=0> (m, k)\n y = Add <broadcast=1, axis=0>"
         "(s, k)", "MatMul Mul Add", lambda x, w: (x @ w) * K[:, None] + K[:, None]),
        ("m = MatMul (x, w)\n s = Mul <broadcast=1, axis=1> (m, k)\n y = Add <broadcast=1, axis=1>"
         "(s, k)", "MatMul Add", lambda x, w: (x @ w) * K + K),
    ],
)  # fmt: skip
def test_folded(body: str, becomes: str, expected: Callable[..., np.ndarray]) -> None:
    given = {"w": SQUARE.T.copy(), "k": K, "two": np.float32(2)}
    weights = {name: w for name, w in given.items() if f", {name})" in body}
    m = model(f"(float[4,4] x) => (float[4,4] y) {{ {body} }}", opset=6, **weights)
    outcome = pipeline.run(m, Options())
    assert operators(outcome.model) == becomes
    right = expected(SQUARE.astype(np.float64), given["w"].astype(np.float64))
    again = ir.from_proto(ir.to_proto(outcome.model))
    for run in (Oracle(m), Oracle(again)):
        np.testing.assert_allclose(run.run({"x": SQUARE}).outputs["y"], right, rtol=1e-6)


@pytest.mark.parametrize(
    ("body", "becomes", "expected"),
    [
        ("a = Mul <broadcast=1, axis=1> (x, k)\n b = Mul <broadcast=1, axis=1> (a, k)\n"
         "y = Tanh (b)", "Mul Tanh", lambda x, k: np.tanh(x * k * k)),
        ("a = Mul <broadcast=1> (x, two)\n b = Mul <broadcast=1, axis=1> (a, k)\n"
         "c = Add <broadcast=1, axis=1> (b, k)\n y = Tanh (c)", "Mul Add Tanh",
         lambda x, k: np.tanh(x * 2 * k + k)),
        ("b = BatchNormalization <is_test=1, epsilon=0.0> (x, k, k, k, o)\n"
         "c = Mul <broadcast=1, axis=1> (b, k)\n y = Tanh (c)", "BatchNormalization Tanh",
         lambda x, k: np.tanh(((x - k) * k + k) * k)),
        ("c = Conv (x, w)\n b = Sub <broadcast=1, axis=1> (c, k)\n y = Tanh (b)", "Conv Tanh",
         lambda x, k: np.tanh(x.sum(axis=1, keepdims=True) - k)),
    ],
)  # fmt: skip
def test_merged_along_the_channels(
    body: str, becomes: str, expected: Callable[..., np.ndarray]
) -> None:
    given = {
        "k": K,
        "two": np.float32(2),
        "o": np.ones(4, np.float32),
        "w": np.ones((4, 4, 1, 1), np.float32),
    }
    weights = {name: w for name, w in given.items() if f", {name}" in body}
    text = f"(float[2,4,4,4] x) => (float[2,4,4,4] y) {{ {body} }}"
    m = model(text, opset=6, **weights)
    outcome = pipeline.run(m, Options())
    assert operators(outcome.model) == becomes
    right = expected(CUBE.astype(np.float64), K.astype(np.float64)[:, None, None])
    again = ir.from_proto(ir.to_proto(outcome.model))
    for run in (Oracle(m), Oracle(again)):
        np.testing.assert_allclose(run.run({"x": CUBE}).outputs["y"], right, rtol=1e-6)


def test_statistics_per_element_of_a_row_are_per_channel() -> None:
    weights = {name: RNG.uniform(0.5, 2, 5).astype(np.float32) for name in "somv"}
    m = model(
        "(float[2,8] x) => (float[2,5] y) { g = Gemm <transB=1> (x, w, b)\n"
        "y = BatchNormalization <spatial=0> (g, s, o, m, v) }",
        opset=7,
        w=(5, 8),
        b=(5,),
        **weights,
    )
    outcome = pipeline.run(m, Options())
    assert operators(outcome.model) == "Gemm"
