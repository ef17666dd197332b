"""Chance, jumps and saturation, read off the graph."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from normonnx.judge.graph_facts import jumps, random_outputs
from normonnx.judge.tiers.saturation import logarithm, saturating_outputs
from tests.judge.building import graph_model


def model(text: str, functions: str = "") -> ir.Model:
    return ir.from_proto(graph_model(text, functions=functions))


def test_only_what_depends_on_chance_is_random() -> None:
    text = """(float[N] x) => (float[N] a, float[N] b) {
        r = RandomUniformLike(x)
        s = Add(r, x)
        a = Neg(s)
        b = Neg(x)
    }"""
    assert random_outputs(model(text)) == ("a",)


def test_chance_in_a_branch_and_in_a_function() -> None:
    branch = """(float[N] x, bool c) => (float[N] y) {
        y = If(c) <
            then_branch = a () => (float[N] t) { t = RandomNormalLike(x) },
            else_branch = b () => (float[N] e) { e = Neg(x) }
        >
    }"""
    assert random_outputs(model(branch)) == ("y",)
    function = """
    <domain: "local", opset_import: ["" : 17]>
    Noise (a) => (b) { b = RandomNormalLike(a) }
    """
    text = "(float[N] x) => (float[N] y, float[N] z) { y = local.Noise(x) z = Neg(x) }"
    assert random_outputs(model(text, function)) == ("y",)


@pytest.mark.parametrize(("training", "expected"), [("true", ("y",)), ("false", ())])
def test_a_dropout_is_random_only_when_it_trains(training: str, expected: tuple[str, ...]) -> None:
    text = "(float[N] x) => (float[N] y) { y = Dropout(x, r, t) }"
    loaded = ir.from_proto(
        graph_model(text, r=np.array(0.5, np.float32), t=np.array(training == "true"))
    )
    assert random_outputs(loaded) == expected


def test_jumps() -> None:
    assert jumps(model("(float[N] x) => (float[N] y) { y = Round(x) }"))
    assert not jumps(model("(float[N] x) => (float[N] y) { y = Relu(x) }"))


def test_saturating_outputs_behind_moving_operators() -> None:
    text = """(float[2,3] x) => (float[6] a, float[2,3] b, float[2,3] c) {
        s = Softmax(x)
        a = Reshape(s, shape)
        b = Sigmoid(x)
        c = Neg(s)
    }"""
    loaded = ir.from_proto(graph_model(text, shape=np.array([6])))
    assert saturating_outputs(loaded) == {"a": "Softmax", "b": "Sigmoid"}


def test_logarithms_are_cut_off_alike() -> None:
    values = np.array([1.0, 1e-30, 1e-40, 0.0], np.float32)
    found = logarithm(values, values.dtype)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:2], np.log([1, 1e-30]), rtol=1e-6)
    assert found[2] == found[3]
    truth = logarithm(np.array([0.0]), np.dtype(np.float32))
    assert truth.dtype == np.float64
    assert np.float32(truth[0]) == found[3]
