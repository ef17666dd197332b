from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from normonnx.affine import recognise
from normonnx.affine.recognise import Affine
from normonnx.journal import Refusal
from tests.graphs import context, model, node

X = "(float[2,4,5,4] x) => (float[] y)"
K = np.float32([1, 2, 3, 4])
BN = {"s": (4,), "o": (4,), "m": (4,), "v": np.float32([0.5, 1, 2, 3])}


def found(body: str, opset: int = 17, x: str = X, **weights: Any) -> Affine | Refusal | None:
    m = model(f"{x} {{ {body} }}", opset=opset, **weights)
    return recognise(context(m), node(m, "y"))


@pytest.mark.parametrize(
    ("body", "k", "a", "b", "axis"),
    [
        ("y = Mul (x, k)", K.reshape(4, 1, 1), K, 0, 1),
        ("y = Mul (k, x)", K.reshape(1, 4, 1, 1), K, 0, 1),
        ("y = Mul (x, k)", K, K, 0, 3),
        ("y = Add (k, x)", K.reshape(4, 1, 1), 1, K, 1),
        ("y = Sub (x, k)", K.reshape(4, 1, 1), 1, -K, 1),
        ("y = Sub (k, x)", K.reshape(4, 1, 1), -1, K, 1),
        ("y = Div (x, k)", np.float32([1, 2, 4, 8]).reshape(4, 1, 1), [1, 0.5, 0.25, 0.125], 0, 1),
        ("y = Neg (x)", np.float32(0), -1, 0, None),
        ("y = Mul (x, k)", np.float32(3), 3, 0, None),
        ("y = Mul (x, k)", np.float32([3]).reshape(1, 1, 1, 1), 3, 0, None),
        ("y = Mul (x, k)", np.full((4, 1, 1), 3, np.float32), 3, 0, None),
        ("y = Mul (x, k)", np.broadcast_to(K.reshape(4, 1, 1), (4, 5, 1)).copy(), K, 0, 1),
    ],
)
def test_arithmetic(body: str, k: np.ndarray, a: Any, b: Any, axis: int | None) -> None:
    site = found(body, k=k)
    assert isinstance(site, Affine)
    assert site.map.axis == axis
    np.testing.assert_array_equal(site.map.a, np.broadcast_to(np.float64(a), site.map.a.shape))
    np.testing.assert_array_equal(site.map.b, np.broadcast_to(np.float64(b), site.map.b.shape))


def test_batch_normalization_is_computed_in_float64() -> None:
    site = found("y = BatchNormalization <epsilon=0.01> (x, s, o, m, v)", **BN)
    assert isinstance(site, Affine)
    assert site.map.axis == 1
    m = model(f"{X} {{ y = BatchNormalization (x, s, o, m, v) }}", **BN)
    s, o, mu, v = (
        m.graph.initializers[name].const_value.numpy().astype(np.float64) for name in "somv"
    )
    a = s / np.sqrt(v + np.float64(np.float32(0.01)))
    np.testing.assert_allclose(site.map.a, a, rtol=1e-15)
    np.testing.assert_allclose(site.map.b, o - mu * a, rtol=1e-15)


@pytest.mark.parametrize(
    ("body", "weights", "reason"),
    [
        ("y = Mul (x, k)", {"k": (4, 5, 1)}, "several axes"),
        ("y = Mul (x, k)", {"k": (1, 4, 5, 1)}, "several axes"),
        ("y = Mul (x, k)", {"k": (3, 2, 1, 1, 1)}, "adds dimensions"),
        ("y = Mul (x, k)", {"k": np.float32([[[[1]]]]).reshape(1, 1, 1, 1, 1)}, "dimensions"),
        ("y = Div (x, k)", {"k": np.float32(0)}, "finite"),
        ("y = Add (x, k)", {"k": np.float32(np.inf)}, "finite"),
        ("y = BatchNormalization (x, s, o, m, x4)", BN | {"x4": (4, 1)}, "2 dimensions"),
        (
            "y = BatchNormalization (x, s, o, m, x4)",
            BN | {"x4": np.float32([1, -1, 1, 1])},
            "channel 1",
        ),
    ],
)
def test_what_is_no_map_along_one_axis(body: str, weights: dict[str, Any], reason: str) -> None:
    site = found(body, **weights)
    assert isinstance(site, Refusal)
    assert reason in site.reason


def test_broadcasting_that_grows_the_tensor_is_no_affine_map() -> None:
    site = found("y = Add (x, k)", x="(float[2,1,5,5] x) => (float[] y)", k=K.reshape(4, 1, 1))
    assert isinstance(site, Refusal)
    assert "larger" in site.reason
    unknown = found("y = Add (x, k)", x="(float[2,c,5,5] x) => (float[] y)", k=K.reshape(4, 1, 1))
    assert isinstance(unknown, Refusal)


@pytest.mark.parametrize(
    ("body", "x"),
    [
        ("y = Div (k, x)", X),
        ("y = Mul (x, x)", X),
        ("y = Relu (x)", X),
        ("y = Mul (x, i)", "(int64[2,4] x) => (int64[] y)"),
        ("y = Neg (x)", "(int64[2,4] x) => (int64[] y)"),
    ],
)
def test_what_is_not_affine_at_all(body: str, x: str) -> None:
    assert found(body, x=x, k=K, i=np.int64(2)) is None


def test_training_mode_is_refused() -> None:
    m = model(
        f"{X} {{ y, n, w = BatchNormalization <training_mode=1> (x, s, o, m, v) }}", opset=15, **BN
    )
    site = recognise(context(m), node(m, "y"))
    assert isinstance(site, Refusal)
    assert "training" in site.reason
    assert "evaluation" in site.remedy


@pytest.mark.parametrize(
    ("opset", "attributes", "reason"),
    [
        (6, "is_test=0", "training"),
        (6, "is_test=1, spatial=0", "spatial=0"),
        (7, "spatial=0", "spatial=0"),
    ],
)
def test_old_opsets(opset: int, attributes: str, reason: str) -> None:
    site = found(f"y = BatchNormalization <{attributes}> (x, s, o, m, v)", opset=opset, **BN)
    assert isinstance(site, Refusal)
    assert reason in site.reason


def test_opset_6_in_test_form_is_read() -> None:
    site = found("y = BatchNormalization <is_test=1> (x, s, o, m, v)", opset=6, **BN)
    assert isinstance(site, Affine)


def test_a_parameter_that_is_an_input_names_the_way_out() -> None:
    x = "(float[2,4,5,4] x, float[4] s) => (float[] y)"
    weights = {key: weight for key, weight in BN.items() if key != "s"}
    site = found("y = BatchNormalization (x, s, o, m, v)", x=x, **weights)
    assert isinstance(site, Refusal)
    assert site.reason == "its scale is not a constant"
    assert "input" in site.remedy
