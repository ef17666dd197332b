from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

import normonnx
from normonnx.journal import Refusal, RefusedError, Rewrite
from normonnx.rewrite import Context, Proposal, commit, gain
from tests.graphs import context, model, node, operators, proto, value

TWICE = "(float[2,3] x) => (float[2,3] y) { a = Mul (x, two)\n b = Mul (a, two)\n y = Relu (b) }"


def propose(ctx: Context, site: str, *, key: str = "k") -> Proposal:
    return Proposal(
        ctx, ctx.model.graph, key=key, rule="NX004", site=node(ctx.model, site), kind="test"
    )


def doubled(ctx: Context, factor: float) -> Proposal:
    """x·2·2 → x·factor, right for a factor of 4 only."""
    proposal = propose(ctx, "b")
    k = proposal.constant(np.float64(factor), ir.DataType.FLOAT, "four")
    new = proposal.node("Mul", [value(ctx.model, "x"), k])
    proposal.replace(value(ctx.model, "b"), new)
    return proposal


def test_a_right_rewrite_is_made_and_recorded() -> None:
    m = model(TWICE, two=np.float32(2))
    ctx = context(m)
    proposal = doubled(ctx, 4.0)
    assert gain(proposal) == 1
    rewrite = commit(proposal, summary="Mul·Mul → Mul")
    assert isinstance(rewrite, Rewrite)
    assert operators(m) == "Mul Relu"
    assert list(m.graph.initializers) == ["four"]
    assert ctx.journal.rewrites == [rewrite]
    assert dict(rewrite.removed) == {"Mul": "Mul_1"} | {"Mul": "Mul_1"}
    assert "float64" in rewrite.certificate
    # Name of node and value are those of what it stands for.
    assert m.graph[0].name == "Mul_1"
    assert m.graph[0].outputs[0].name == "b"
    onnx.checker.check_model(ir.to_proto(m), full_check=True)


def test_a_wrong_rewrite_gets_no_certificate_and_leaves_no_trace() -> None:
    m = model(TWICE, two=np.float32(2))
    before = ir.to_proto(m).SerializeToString(deterministic=True)
    ctx = context(m)
    refusal = commit(doubled(ctx, 4.000001), summary="wrong")
    assert isinstance(refusal, Refusal)
    assert "differ" in refusal.reason
    assert ir.to_proto(m).SerializeToString(deterministic=True) == before
    assert not ctx.journal.rewrites
    assert len(value(m, "x").uses()) == 1


def test_a_stored_weight_that_is_not_its_exact_value_rounded_is_refused() -> None:
    m = model(TWICE, two=np.float32(2))
    proposal = doubled(context(m), 4.0)
    constant = next(iter(proposal.constants))
    constant.const_value = ir.tensor(np.float32(4.0000005), name="four")
    refusal = commit(proposal, summary="wrong")
    assert isinstance(refusal, Refusal)
    assert "rounded once" in refusal.reason


def test_a_rewrite_that_saves_nothing_is_declined() -> None:
    m = model("(float[3] x) => (float[3] y) { y = Mul (x, two) }", two=np.float32(2))
    ctx = context(m)
    proposal = propose(ctx, "y")
    k = proposal.constant(np.float64(2), ir.DataType.FLOAT, "k")
    proposal.replace(value(m, "y"), proposal.node("Mul", [value(m, "x"), k]))
    refusal = commit(proposal, summary="same")
    assert isinstance(refusal, Refusal)
    assert "smaller" in refusal.reason


def test_what_is_read_elsewhere_stays() -> None:
    m = model(
        "(float[2,3] x) => (float[2,3] y, float[2,3] z) "
        "{ a = Mul (x, two)\n b = Mul (a, two)\n y = Relu (b)\n z = Neg (a) }",
        two=np.float32(2),
    )
    assert gain(doubled(context(m), 4.0)) == 0


def test_a_graph_output_keeps_its_name() -> None:
    m = model(
        "(float[2,3] x) => (float[2,3] b) { a = Mul (x, two)\n b = Mul (a, two) }",
        two=np.float32(2),
    )
    assert isinstance(commit(doubled(context(m), 4.0), summary="Mul·Mul → Mul"), Rewrite)
    assert [str(out.name) for out in m.graph.outputs] == ["b"]
    onnx.checker.check_model(ir.to_proto(m), full_check=True)


def test_a_new_name_never_clashes() -> None:
    m = model(TWICE.replace("y = Relu (b)", "y = Mul (b, four)"), two=np.float32(2), four=(3,))
    assert isinstance(commit(doubled(context(m), 4.0), summary=""), Rewrite)
    assert set(m.graph.initializers) == {"four", "four_1"}
    onnx.checker.check_model(ir.to_proto(m), full_check=True)


def test_skipped_and_limited_rewrites_are_not_made() -> None:
    for settings in ({"skip": frozenset({"k"})}, {"limit": 0}):
        m = model(TWICE, two=np.float32(2))
        ctx = context(m)
        for name, setting in settings.items():
            setattr(ctx.journal, name, setting)
        assert isinstance(commit(doubled(ctx, 4.0), summary=""), Refusal)
        assert operators(m) == "Mul Mul Relu"


def test_readers_of_the_shape_alone_move_along() -> None:
    m = model(
        "(float[n,3] x) => (float[n,3] y, int64[2] h) "
        "{ a = Mul (x, two)\n h = Shape (a)\n b = Mul (a, two)\n y = Relu (b) }",
        two=np.float32(2),
    )
    ctx = context(m)
    proposal = doubled(ctx, 4.0)
    proposal.redirect(value(m, "a"), value(m, "x"))
    assert isinstance(commit(proposal, summary=""), Rewrite)
    assert node(m, "h").inputs[0] is value(m, "x")


@pytest.mark.parametrize(
    ("exact", "dtype", "fragment"),
    [
        ([1.0, 1e6], ir.DataType.FLOAT16, "overflow"),
        ([1e-9, 2e-9], ir.DataType.FLOAT16, "denormals"),
        ([1e39, 1.0], ir.DataType.FLOAT, "overflow"),
    ],
)
def test_values_that_a_type_cannot_hold_are_refused(
    exact: list[float], dtype: ir.DataType, fragment: str
) -> None:
    m = model(TWICE, two=np.float32(2))
    with pytest.raises(RefusedError, match=fragment):
        propose(context(m), "b").constant(np.array(exact), dtype, "w", channel_axis=0)


def test_a_channel_among_denormals_is_named() -> None:
    m = model(TWICE, two=np.float32(2))
    weight = np.array([[1.0, 2.0], [1e-8, 1e-8]])
    with pytest.raises(RefusedError, match="channel 1"):
        propose(context(m), "b").constant(weight, ir.DataType.FLOAT16, "w", channel_axis=0)
    # A small number beside large ones of the same channel loses nothing that shows.
    propose(context(m), "b").constant(weight.T, ir.DataType.FLOAT16, "w", channel_axis=0)


def test_new_nodes_of_a_model_without_names_get_names_of_their_own() -> None:
    """A convolution that is replaced twice, and a bias map beside it the second time."""
    nameless = proto(
        """(float[2,3,5,6] x) => (float[2,1,5,6] y) {
            n = BatchNormalization (x, s, b, m, v)
            c = Conv <pads = [1, 1, 1, 1]> (n, w)
            p = Pad <mode = "reflect"> (c, none)
            y = Add (k, p)
        }""",
        s=np.full(3, 1.3), b=np.arange(3.0), m=np.arange(3.0), v=np.full(3, 1.7), w=(1, 3, 3, 3),
        none=np.zeros(8, np.int64), k=np.float32(0.7),
    )  # fmt: skip
    for each in nameless.graph.node:
        each.name = ""
    optimized = normonnx.optimize(nameless, verify=False, simplify=False)
    made = onnx.ModelProto.FromString(optimized.to_bytes(unverified=True))
    assert sorted(node.op_type for node in made.graph.node) == ["Add", "Conv", "Pad"]
    names = [node.name for node in made.graph.node if node.name]
    assert len(set(names)) == len(names)
    onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
