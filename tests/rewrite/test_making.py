"""What a commit leaves behind: what is counted, kept, placed, told."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from normonnx.journal import Refusal, Rewrite
from normonnx.rewrite import Proposal, commit, copies, gain
from tests.graphs import context, model, node, operators, proto, value


def proposal_at(m: ir.Model, site: str, **options: Any) -> Proposal:
    return Proposal(
        context(m, **options), m.graph, key="k", rule="NX004", site=node(m, site), kind="test"
    )


def merged(m: ir.Model, end: str = "b", factor: np.ndarray | float = 4.0) -> Proposal:
    """What multiplies twice multiplies once."""
    proposal = proposal_at(m, end)
    k = proposal.constant(np.asarray(factor, np.float64), ir.DataType.FLOAT, "once")
    proposal.replace(value(m, end), proposal.node("Mul", [value(m, "x"), k]))
    return proposal


def same(before: onnx.ModelProto, after: ir.Model, **given: np.ndarray) -> None:
    onnx.checker.check_model(ir.to_proto(after), full_check=True)
    expected = ReferenceEvaluator(before).run(None, given)
    found = ReferenceEvaluator(ir.to_proto(after)).run(None, given)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


LARGE = "(float[8,64] x) => (float[8,64] y) { a = Mul (x, p)\n b = Mul (a, q)\n y = Relu (b) }"
READ = LARGE.replace("y = Relu (b)", "c = Add (b, p)\n y = Add (c, q)")


@pytest.mark.parametrize(("text", "grows"), [(LARGE, False), (READ, True)])
def test_weights_that_die_pay_for_those_that_come(
    text: str, grows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "MAX_COPIED_BYTES", 100)
    before = proto(text, p=(64,), q=(64,))
    m = ir.from_proto(before)
    weights = [np.asarray(m.graph.initializers[name].const_value) for name in "pq"]
    result = commit(merged(m, factor=np.prod(np.float64(weights), axis=0)), summary="")
    if grows:
        assert isinstance(result, Refusal)
        assert "read elsewhere" in result.reason
    else:
        assert isinstance(result, Rewrite)
        assert set(m.graph.initializers) == {"once"}
        same(before, m, x=np.ones((8, 64), np.float32))


def test_size_and_type_of_a_new_constant_are_known_before_it_is_stored() -> None:
    proposal = proposal_at(model(LARGE, p=(64,), q=(64,)), "b")
    shapes = proposal.context.shapes
    weight = proposal.constant(np.ones((3, 5)), ir.DataType.FLOAT16, "w")
    places = proposal.integers([4, 7], "i")
    assert (shapes.dims(weight), shapes.dtype(weight)) == ((3, 5), ir.DataType.FLOAT16)
    assert (shapes.dims(places), shapes.dtype(places)) == ((2,), ir.DataType.INT64)


def test_a_batch_norm_counts_as_two_nodes() -> None:
    text = (
        "(float[2,4] x) => (float[2,4] y) { b = BatchNormalization (x, k, k, k, k)\n y = Relu (b) }"
    )
    m = model(text, k=np.full(4, 0.5, np.float32))
    proposal = proposal_at(m, "b")
    k = proposal.constant(np.ones(4), ir.DataType.FLOAT, "k")
    product = proposal.node("Mul", [value(m, "x"), k])
    assert gain(proposal) == -1
    proposal.replace(value(m, "b"), product)
    assert gain(proposal) == 1
    proposal.node("Add", [product, k])
    assert gain(proposal) == 0


@pytest.mark.parametrize(("read", "saved"), [("x", 1), ("w", 2)])
def test_how_a_quantised_weight_is_stored_costs_nothing(read: str, saved: int) -> None:
    m = model(
        "(int8[2,4] x, float[2,4] z) => (float[2,4] y) "
        "{ d = DequantizeLinear (x, s)\n e = Mul (d, s)\n y = Add (e, z) }",
        s=np.float32(2), w=np.ones((2, 4), np.int8),
    )  # fmt: skip
    proposal = proposal_at(m, "e")
    scale = proposal.constant(np.float64(4), ir.DataType.FLOAT, "scale")
    proposal.replace(value(m, "e"), proposal.node("DequantizeLinear", [value(m, read), scale]))
    assert gain(proposal) == saved


def test_a_constant_that_nothing_reads_is_not_stored() -> None:
    m = model(LARGE, p=np.float32(2), q=np.float32(2))
    proposal = proposal_at(m, "b")
    proposal.constant(np.ones(3), ir.DataType.FLOAT, "spare")
    k = proposal.constant(np.float64(4), ir.DataType.FLOAT, "once")
    proposal.constant(np.ones(3), ir.DataType.FLOAT, "another")
    proposal.replace(value(m, "b"), proposal.node("Mul", [value(m, "x"), k]))
    assert isinstance(commit(proposal, summary=""), Rewrite)
    assert set(m.graph.initializers) == {"once"}


def test_what_people_wrote_on_a_node_goes_along() -> None:
    m = model(LARGE, p=np.float32(2), q=np.float32(2))
    node(m, "a").metadata_props["from"] = "the first"
    old = node(m, "b")
    old.metadata_props["layer"] = "7"
    old.doc_string = "why it is there"
    value(m, "b").metadata_props["unit"] = "m"
    proposal = proposal_at(m, "b")
    k = proposal.constant(np.float64(4), ir.DataType.FLOAT, "once")
    proposal.replace(value(m, "b"), proposal.like(node(m, "a"), [value(m, "x"), k]))
    assert isinstance(commit(proposal, summary=""), Rewrite)
    made = node(m, "b")
    assert dict(made.metadata_props) == {"from": "the first", "layer": "7"}
    assert (made.name, made.doc_string) == ("Mul_0", "why it is there")
    assert dict(value(m, "b").metadata_props) == {"unit": "m"}


@pytest.mark.parametrize("first", [0, 1])
def test_several_values_are_replaced_each_in_its_place(first: int) -> None:
    """New nodes stand before what reads them, in whatever order the values are named."""
    text = """(float[2,3] x) => (float[2,3] y, float[2,3] z) {
      a = Mul (x, two)
      b = Mul (a, two)
      y = Relu (b)
      c = Mul (b, two)
      d = Mul (c, two)
      z = Neg (d)
    }"""
    before = proto(text, two=np.float32(2))
    m = ir.from_proto(before)
    proposal = proposal_at(m, "d")
    four = proposal.constant(np.float64(4), ir.DataType.FLOAT, "four")
    b = proposal.node("Mul", [value(m, "x"), four])
    d = proposal.node("Mul", [b, four])
    pairs = [(value(m, "b"), b), (value(m, "d"), d)]
    for old, new in pairs[first:] + pairs[:first]:
        proposal.replace(old, new)
    assert isinstance(commit(proposal, summary=""), Rewrite)
    assert operators(m) == "Mul Relu Mul Neg"
    same(before, m, x=np.float32([[1, -2, 3], [4, 5, -6]]))


def test_an_output_that_another_value_stands_for_keeps_its_name() -> None:
    """And what is known of it: its type and sizes."""
    text = """(float[2,3] x) => (float[2,3] y, float[2,3] z) {
      y = Relu (x)
      a = Neg (y)
      z = Neg (a)
    }"""
    before = proto(text)
    m = ir.from_proto(before)
    proposal = proposal_at(m, "z")
    proposal.replace(value(m, "z"), value(m, "y"))
    assert isinstance(commit(proposal, summary=""), Rewrite)
    assert operators(m) == "Relu Identity"
    assert [str(out.name) for out in m.graph.outputs] == ["y", "z"]
    assert proposal.context.shapes.dims(value(m, "z")) == (2, 3)
    assert proposal.context.shapes.dtype(value(m, "z")) == ir.DataType.FLOAT
    same(before, m, x=np.float32([[1, -2, 3], [4, 5, -6]]))


class Observer:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, list[str]]] = []

    def before(self, proposal: Proposal, summary: str, dead: list[ir.Node]) -> None:
        self.told.append((f"before {summary}", sorted(str(node.name) for node in dead)))

    def after(self, made: list[ir.Node]) -> None:
        self.told.append(("after", [str(node.outputs[0].name) for node in made]))


def test_an_observer_is_told_before_and_after() -> None:
    m = model(LARGE, p=np.float32(2), q=np.float32(2))
    proposal = merged(m)
    observer = proposal.context.journal.observer = Observer()  # type: ignore[assignment]
    assert isinstance(commit(proposal, summary="once"), Rewrite)
    assert observer.told == [("before once", ["Mul_0", "Mul_1"]), ("after", ["b"])]


@pytest.mark.parametrize(
    ("perm", "text", "fused"),
    [
        ("", "(float[3,4] x) => (float[4] y)", True),
        ("<perm=[1,0]>", "(float[3,4] x) => (float[4] y)", True),
        ("<perm=[0,2,1]>", "(float[2,3,4] x) => (float[2,4] y)", True),
        ("<perm=[1,0,2]>", "(float[2,4,3] x) => (float[4,2] y)", False),
        ("<perm=[2,1,0]>", "(float[3,2,4] x) => (float[4,2] y)", False),
    ],
)
def test_which_transposes_must_not_meet_a_vector(perm: str, text: str, fused: bool) -> None:
    before = proto(
        f"{text} {{ t = Transpose {perm} (x)\n a = Neg (t)\n b = Neg (a)\n y = MatMul (b, v) }}",
        v=(3,),
    )
    m = ir.from_proto(before)
    proposal = proposal_at(m, "b")
    proposal.replace(value(m, "b"), value(m, "t"))
    result = commit(proposal, summary="")
    if fused:
        assert isinstance(result, Refusal)
        assert "by a vector, and wrongly" in result.reason
    else:
        assert isinstance(result, Rewrite)
        assert operators(m) == "Transpose MatMul"


def test_a_vector_on_the_left_meets_any_transpose() -> None:
    before = proto(
        "(float[2,4,3] x) => (float[2,4] y) "
        "{ t = Transpose <perm=[0,2,1]> (x)\n a = Neg (t)\n b = Neg (a)\n y = MatMul (v, b) }",
        v=(3,),
    )
    m = ir.from_proto(before)
    proposal = proposal_at(m, "b")
    proposal.replace(value(m, "b"), value(m, "t"))
    assert isinstance(commit(proposal, summary=""), Rewrite)
    assert operators(m) == "Transpose MatMul"


def test_a_vector_is_found_behind_other_readers() -> None:
    m = model(
        "(float[2,3,4] x, float[2,4,3] c) => (float[2,4,3] z, float[2,4] y) "
        "{ t = Transpose <perm=[0,2,1]> (x)\n a = Neg (t)\n b = Neg (a)\n z = Sub (c, b)\n"
        "y = MatMul (b, v) }",
        v=(3,),
    )
    proposal = proposal_at(m, "b")
    proposal.replace(value(m, "b"), value(m, "t"))
    result = commit(proposal, summary="")
    assert isinstance(result, Refusal)
    assert "by a vector, and wrongly" in result.reason


def test_what_is_computed_of_new_constants_is_constant() -> None:
    m = model(LARGE, p=np.float32(2), q=np.float32(2))
    proposal = proposal_at(m, "b")
    k = proposal.constant(np.float64(-4), ir.DataType.FLOAT, "k")
    four = proposal.node("Neg", [k])
    new = proposal.node("Mul", [value(m, "x"), four])
    proposal.replace(value(m, "b"), new)
    proposal.least_gain = 0
    assert isinstance(commit(proposal, summary=""), Rewrite)
    assert proposal.context.constants.is_constant(four)
    assert not proposal.context.constants.is_constant(new)


def test_a_branch_of_a_function_is_of_the_opset_of_the_function() -> None:
    m = model(
        "(bool c, float[4] x) => (float[4] y) "
        "{ t = local.one (c, x)\n y = If (c) <then_branch = g () => (float[4] z) { z = Neg (t) },"
        " else_branch = h () => (float[4] q) { q = Abs (t) }> }",
        functions="""<domain: "local", opset_import: ["" : 13]> one (c, x) => (y) {
          y = If (c) <then_branch = i () => (float[4] z) { z = Neg (x) },
                      else_branch = j () => (float[4] q) { q = Abs (x) }>
        }""",
    )
    ctx = context(m)
    [function] = m.functions.values()
    inner = {graph.name for graph in ctx.graphs() if ctx.opset_of(graph) == 13}
    assert {"i", "j"} <= inner
    assert inner <= {"i", "j", function.graph.name}
    assert ctx.opset_of(m.graph) == 17


def test_a_reader_of_the_shape_that_does_not_move_along_keeps_its_node() -> None:
    m = model(
        "(float[n,3] x) => (float[n,3] y, int64[2] h) "
        "{ a = Mul (x, two)\n h = Shape (a)\n b = Mul (a, two)\n y = Relu (b) }",
        two=np.float32(2),
    )
    assert gain(merged(m)) == 0


def test_a_name_is_given_once() -> None:
    ctx = context(model(LARGE, p=np.float32(2), q=np.float32(2)))
    assert [ctx.fresh("a") for _ in range(2)] == ["a_1", "a_2"]
    assert [ctx.fresh("new") for _ in range(3)] == ["new", "new_1", "new_2"]
    assert ctx.fresh("") == "_1"


def test_float32_may_hold_what_float16_may_not() -> None:
    """Below 1e-38 no sum of float32 products shows it."""
    small = np.array([[1.0, 2.0], [1e-41, 1e-42]])
    proposal = proposal_at(model(LARGE, p=np.float32(2), q=np.float32(2)), "b")
    constant = proposal.constant(small, ir.DataType.FLOAT, "w", channel_axis=0)
    assert constant.const_value is not None
    assert np.array_equal(constant.const_value.numpy(), small.astype(np.float32))
    assert proposal.context.shapes.dims(constant) == (2, 2)


def test_what_is_computed_in_another_graph_is_not_replaced() -> None:
    m = model(
        """(bool c, float[4] x) => (float[4] y) {
          a = Mul (x, p)
          y = If (c) <then_branch = t () => (float[4] z) { z = Mul (a, p) },
                      else_branch = e () => (float[4] q) { q = Neg (a) }>
        }""",
        p=np.float32(2),
    )
    before = ir.to_proto(m)
    body = node(m, "y").attributes["then_branch"].as_graph()
    [inner] = body
    proposal = Proposal(context(m), body, key="k", rule="NX004", site=inner, kind="test")
    proposal.least_gain = -9
    proposal.replace(value(m, "a"), proposal.node("Add", [value(m, "x"), value(m, "x")]))
    result = commit(proposal, summary="")
    assert isinstance(result, Refusal)
    assert "another graph" in result.reason
    assert ir.to_proto(m) == before
