"""Chance and jumps, read off the graph."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from normonnx.judge.graph_facts import jumps, random_outputs
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
