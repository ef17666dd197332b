"""When a copy of a constant is made: its bytes, what was asked for, and who else reads it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from normonnx.journal import Refusal, Rewrite
from normonnx.rewrite import Proposal, commit
from normonnx.rewrite.copies import MAX_COPIED_BYTES, Copies, Copy, stored_bytes
from tests.graphs import context, model, node, operators, value

TWO_READERS = (
    "(float[8,64] x) => (float[8,64] y, float[8,64] z) { y = Mul (x, w)\n z = Add (x, w) }"
)


def by_four(m: ir.Model) -> Proposal:
    """One product with four for the two products with two that make b of x."""
    proposal = Proposal(context(m), m.graph, key="k", rule="R", site=node(m, "b"), kind="test")
    four = proposal.constant(np.float64(4), ir.DataType.FLOAT, "four")
    proposal.replace(value(m, "b"), proposal.node("Mul", [value(m, "x"), four]))
    return proposal


def copy_of(m: ir.Model, bytes_: int = 256) -> Copy:
    exact = np.ones(bytes_ // 4)
    tensor = ir.Tensor(exact.astype(np.float32), name="w")
    return Copy(ir.Value(name="w", const_value=tensor), exact, value(m, "w"), [node(m, "y")])


@pytest.mark.parametrize(
    ("stored", "size", "made"),
    [(0, 64, True), (0, 68, False), (256_000, 256, True), (256_000, 260, False)],
)
def test_a_copy_that_is_next_to_nothing_is_made(stored: int, size: int, made: bool) -> None:
    copy = copy_of(model(TWO_READERS, w=(64,)), size)
    assert copy.size == size
    refusal = Copies(stored).objection(size, [copy], allowed=False)
    assert (refusal is None) == made
    assert Copies(stored).objection(size, [copy], allowed=True) is None


def test_who_else_reads_it_is_told_and_how_much_it_would_be() -> None:
    m = model(TWO_READERS, w=(64,))
    small = Copies(0).objection(5000, [copy_of(m, 200), copy_of(m, 800)], allowed=False)
    assert small is not None
    assert "'w' is also read by Add 'Add_1', and a copy would add 1000 bytes" in small.reason
    large = Copies(0).objection(5000, [copy_of(m, 4096)], allowed=False)
    assert large is not None
    assert "add 4 KiB to" in large.reason
    grown = Copies(0).objection(100, [copy_of(m, 4096)], allowed=False)
    assert grown is not None
    assert "add 100 bytes to" in grown.reason


def test_what_does_not_grow_is_made() -> None:
    copy = copy_of(model(TWO_READERS, w=(64,)), 4096)
    assert Copies(0).objection(0, [copy], allowed=False) is None
    assert Copies(0).objection(-5, [copy], allowed=False) is None
    assert Copies(0).objection(5000, [], allowed=False) is None


def test_the_budget_is_for_all() -> None:
    copies = Copies(0)
    over = copies.objection(MAX_COPIED_BYTES + (1 << 20), [], allowed=True)
    assert over is not None
    assert "a copy of 17 MiB is over the budget of 16 MiB" in over.reason
    assert copies.objection(MAX_COPIED_BYTES, [], allowed=True) is None


def test_what_all_readers_want_is_made_with_the_last() -> None:
    m = model(TWO_READERS, w=(64,))
    copies = Copies(0)
    first = copy_of(m)
    second = Copy(first.new, first.exact, first.old, [node(m, "z")])
    other = Copy(first.new, 2 * first.exact, first.old, [node(m, "z")])
    assert copies.objection(256, [first], allowed=False) is not None
    assert copies.objection(256, [other], allowed=False) is not None
    assert copies.objection(256, [second], allowed=False) is None


def test_stored_bytes_are_those_of_the_initializers() -> None:
    m = model(TWO_READERS, w=(64,))
    assert stored_bytes(m.graph) == 256
    assert context(m).copies.stored == 256


FUNCTION = """<domain: "local", opset_import: ["" : 17]> scaled (x) => (y) {
  p = Constant <value = float {2}> ()
  a = Mul (x, p)
  b = Mul (a, p)
  y = Relu (b)
}"""


@pytest.mark.parametrize(("hint", "name"), [("four", "four"), ("x", "x_1")])
def test_a_constant_of_a_function_is_a_node_of_it(hint: str, name: str) -> None:
    m = model("(float[2,3] x) => (float[2,3] y) { y = local.scaled (x) }", functions=FUNCTION)
    [function] = m.functions.values()
    nodes = {str(n.outputs[0].name): n for n in function}
    ctx = context(m)
    proposal = Proposal(ctx, function.graph, key="k", rule="R", site=nodes["b"], kind="test")
    four = proposal.constant(np.float64(4), ir.DataType.FLOAT, hint)
    new = proposal.node("Mul", [function.inputs[0], four])
    proposal.replace(nodes["b"].outputs[0], new)
    assert isinstance(commit(proposal, summary=""), Rewrite)
    assert [n.op_type for n in function] == ["Constant", "Mul", "Relu"]
    constant = next(iter(function))
    assert (constant.name, constant.outputs[0].name) == (name, name)
    assert constant.attributes["value"].as_tensor().numpy() == 4
    assert not function.graph.initializers
    assert not m.graph.initializers
    x = np.float32([[1, -2, 3], [4, 5, -6]])
    [y] = ReferenceEvaluator(ir.to_proto(m)).run(None, {"x": x})
    np.testing.assert_array_equal(y, np.maximum(4 * x, 0))


def test_a_reader_of_the_shape_moves_along() -> None:
    m = model(
        "(float[n,3] x) => (float[n,3] y, int64[2] h) "
        "{ a = Mul (x, two)\n h = Shape (a)\n b = Mul (a, two)\n y = Relu (b) }",
        two=np.float32(2),
    )
    proposal = by_four(m)
    proposal.redirect(value(m, "a"), value(m, "x"))
    assert isinstance(commit(proposal, summary=""), Rewrite)
    assert operators(m) == "Shape Mul Relu"
    assert node(m, "h").inputs[0] is value(m, "x")


@pytest.mark.parametrize("identities", [0, 1, 2])
def test_identities_hide_no_transpose_from_a_vector(identities: int) -> None:
    """ONNX Runtime drops them, and fuses what is then side by side."""
    chain = "".join(f"i{k + 1} = Identity (i{k})\n" for k in range(identities))
    m = model(
        "(float[2,3,4] x) => (float[2,4] y) { i0 = Transpose <perm=[0,2,1]> (x)\n"
        f"{chain} a = Neg (i{identities})\n b = Neg (a)\n y = MatMul (b, v) }}",
        v=(3,),
    )
    proposal = Proposal(context(m), m.graph, key="k", rule="R", site=node(m, "b"), kind="test")
    proposal.replace(value(m, "b"), value(m, f"i{identities}"))
    result = commit(proposal, summary="")
    assert isinstance(result, Refusal)
    assert "by a vector, and wrongly" in result.reason


def test_a_new_product_of_a_transpose_and_a_vector_is_not_made() -> None:
    m = model(
        "(float[2,3,4] x) => (float[2,4] y) { t = Transpose <perm=[0,2,1]> (x)\n"
        "a = Neg (t)\n b = MatMul (a, v)\n y = Neg (b) }",
        v=(3,),
    )
    proposal = Proposal(context(m), m.graph, key="k", rule="R", site=node(m, "y"), kind="test")
    new = proposal.node("MatMul", [value(m, "t"), value(m, "v")])
    proposal.replace(value(m, "y"), new)
    result = commit(proposal, summary="")
    assert isinstance(result, Refusal)
    assert "by a vector, and wrongly" in result.reason


def test_what_is_withdrawn_leaves_nothing() -> None:
    m = model(
        "(float[2,3] x) => (float[2,3] y) { a = Mul (x, two)\n b = Mul (a, two)\n y = Relu (b) }",
        two=np.float32(2),
    )
    proposal = by_four(m)
    proposal.withdraw()
    assert not proposal.nodes
    assert not proposal.replacements
    assert value(m, "x").consumers() == (node(m, "a"),)


def test_what_is_rewound_redirects_nothing() -> None:
    """A redirect to what stays is kept, and one to a new value that goes is not."""
    m = model(
        "(float[2,3] x) => (float[2,3] y, int64[2] h, int64[2] k) { a = Mul (x, two)\n"
        "b = Mul (a, two)\n h = Shape (a)\n k = Shape (b)\n y = Relu (b) }",
        two=np.float32(2),
    )
    proposal = Proposal(context(m), m.graph, key="k", rule="R", site=node(m, "b"), kind="test")
    proposal.redirect(value(m, "a"), value(m, "x"))
    mark = proposal.mark()
    proposal.redirect(value(m, "b"), proposal.node("Neg", [value(m, "x")]))
    assert len(proposal.redirects) == 2
    proposal.rewind(mark)
    assert proposal.redirects == {value(m, "a"): value(m, "x")}


def test_a_constant_that_is_made_again_knows_how() -> None:
    m = model(TWO_READERS, w=(64,))
    proposal = Proposal(context(m), m.graph, key="k", rule="R", site=node(m, "y"), kind="test")
    made = proposal.constant(np.ones(3), ir.DataType.FLOAT, "made", maker=lambda: np.ones(3))
    kept = proposal.constant(np.ones(3), ir.DataType.FLOAT, "kept")
    assert set(proposal.makers) == {made}
    assert set(proposal.constants) == {made, kept}
