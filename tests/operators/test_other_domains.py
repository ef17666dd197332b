"""my::Add is not ONNX's Add: no engine, no rule and no feed takes it for that."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from normonnx import pipeline
from normonnx.feeds.domains import Kind, domain_of
from normonnx.judge.graph_facts import jumps, random_outputs
from normonnx.options import Options
from tests.graphs import context, model, operators, value


def foreign(text: str, operator: str, **weights: tuple[int, ...]) -> ir.Model:
    """A model in which every node of this operator is of the domain my."""
    m: ir.Model = model(text, **weights)
    m.opset_imports["my"] = 1
    for node in m.graph:
        if node.op_type == operator:
            node.domain = "my"
    return m


FOLD = """(float[2,3,4,4] x) => (float[2,4,2,2] y, int64[] s) {
  c = Conv (x, w)
  s = Size (c)
  y = Mul (c, k)
}"""


def outcome(m: ir.Model) -> str:
    found: str = operators(pipeline.run(m, Options(target="onnx")).model)
    return found


@pytest.mark.parametrize("operator", ["Shape", "Size"])
def test_what_reads_more_than_a_shape_keeps_a_fold_away(operator: str) -> None:
    text = FOLD.replace("Size", operator).replace("int64[] s", "int64[n] s")
    weights = {"w": (4, 3, 3, 3), "k": (1, 4, 1, 1)}
    assert "Mul" not in outcome(model(text, **weights))
    assert "Mul" in outcome(foreign(text, operator, **weights))


@pytest.mark.parametrize("operator", ["Conv", "Mul"])
def test_a_layer_or_a_map_of_another_domain_is_none(operator: str) -> None:
    text = "(float[2,3,4,4] x) => (float[2,4,2,2] y) { c = Conv (x, w) y = Mul (c, k) }"
    weights = {"w": (4, 3, 3, 3), "k": (1, 4, 1, 1)}
    assert outcome(foreign(text, operator, **weights)) == "Conv Mul"
    assert outcome(model(text, **weights)) == "Conv"


def test_shapes_are_followed_through_onnx_operators_alone() -> None:
    text = "(float[n,3] x) => (float[m,p] y) { s = Shape (x) z = Relu (x) y = Reshape (z, s) }"
    for operator, known in (("", 2), ("Shape", 2), ("Relu", None)):
        m = foreign(text, operator)
        m.graph.outputs[0].shape = None
        for node in m.graph:
            node.outputs[0].shape = None
        assert context(m).shapes.rank(value(m, "z")) == known
    m = foreign(text, "Shape")
    assert context(m).shapes.vector(value(m, "s")) is None


def test_the_judge_and_the_proof_know_nothing_of_it() -> None:
    text = "(float[2] x) => (float[2] y) { y = Round (x) }"
    assert jumps(model(text))
    assert not jumps(foreign(text, "Round"))
    text = "(float[2] x) => (float[2] y) { y = RandomNormalLike (x) }"
    assert random_outputs(model(text)) == ("y",)
    assert random_outputs(foreign(text, "RandomNormalLike")) == ()


def test_no_table_is_seen_behind_it() -> None:
    text = "(int64[2] x, float[9,4] t) => (float[2,4] y) { i = Identity (x) y = Gather (t, i) }"
    for operator, kind in (("", Kind.INDEX), ("Gather", Kind.INTEGER), ("Identity", Kind.INTEGER)):
        m = foreign(text, operator)
        assert domain_of(value(m, "x"), m.functions).kind is kind
