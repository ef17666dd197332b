"""Means written with a stored 1/N, which is 1/N rounded unless N is a power of two."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import normonnx
from normonnx import pipeline
from normonnx.journal import Refusal
from normonnx.norm.algebra.counts import count_behind, rounded_reciprocal
from normonnx.options import Options
from normonnx.rewrite import Proposal, commit
from tests import graphs

from .fusing import fuse
from .text import model

LENGTHS = (3, 10, 24, 768)
LN, RN = "LayerNormalization", "RMSNormalization"
END = "e = Add (v, eps) r = Sqrt (e) y = Div (d, r)"
SUM = f"""s = ReduceSum <keepdims=1> (x, last) m = Mul (s, k) d = Sub (x, m) p = Mul (d, d)
 t = ReduceSum <keepdims=1> (p, last) v = Mul (k, t) {END}"""
SPELLINGS = {
    "sum": SUM,
    "product": f"m = MatMul (x, c) d = Sub (x, m) p = Mul (d, d) v = MatMul (p, c) {END}",
    "sum of shares": f"""a = Mul (x, k) m = ReduceSum <keepdims=1> (a, last) d = Sub (x, m)
        p = Mul (d, d) q = Mul (p, k) v = ReduceSum <keepdims=1> (q, last) {END}""",
    "without the axis": f"""s = ReduceSum <keepdims=0> (x, last) u = Unsqueeze (s, last)
        m = Mul (k, u) d = Sub (x, m) t = ReduceSumSquare <axes=[-1]> (d) v = Mul (t, k) {END}""",
    "difference": f"""s = ReduceSum (x, last) m = Mul (s, k) d = Sub (x, m) p = Mul (x, x)
        t = ReduceSum (p, last) q = Mul (t, k) w = Mul (m, m) v = Sub (q, w) {END}""",
    "product with ones": f"""s = MatMul (x, ones) m = Mul (s, k) d = Sub (x, m) p = Mul (d, d)
        t = MatMul (p, ones) v = Mul (t, k) {END}""",
    "constant node": "k2 = Constant <value = float {K}> () "
    + SUM.replace(" k)", " k2)").replace("(k,", "(k2,"),
}


def spelled(nodes: str, n: int, *, k: float | None = None, y: str = "y") -> onnx.ModelProto:
    number = np.float32(1 / n if k is None else k)
    nodes = nodes.replace("{K}", f"{{{float(number)!r}}}")
    return model(
        f"(float[2,3,{n}] x) => (float[2,3,{n}] {y}) {{ {nodes} }}",
        {
            "k": number,
            "c": np.full((n, 1), number),
            "ones": np.ones((n, 1), np.float32),
            "last": np.array([-1]),
        },
    )


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("nodes", SPELLINGS.values(), ids=list(SPELLINGS))
def test_it_is_a_norm_and_the_judge_agrees(nodes: str, n: int) -> None:
    result = normonnx.optimize(spelled(nodes, n))
    report = result.report
    assert [node.op_type for node in result.model.graph] == [LN], report.near_misses
    assert report.status == "pass"
    [rewrite] = report.rewrites
    [(_, value)] = rewrite.readings
    assert value == 1 / n
    assert f"as 1/{n}" in rewrite.certificate
    [norm] = result.model.graph
    assert np.float32(norm.attributes["epsilon"].as_float()) == np.float32(1e-5)


def test_a_mean_square_gets_no_scale_of_its_own() -> None:
    nodes = f"t = ReduceSumSquare <axes=[-1]> (x) v = Mul (t, k) {END.replace('d,', 'x,')}"
    fused = fuse(spelled(nodes, 24))
    assert fused.norms == [RN]
    [scale] = [fused.array(name) for name in fused.node(RN).input[1:]]
    assert (scale == 1).all()


def test_a_power_of_two_needs_no_reading() -> None:
    [rewrite] = normonnx.optimize(spelled(SUM, 64)).report.rewrites
    assert not rewrite.readings


@pytest.mark.parametrize(
    ("what", "k"),
    [
        ("the next number up", np.nextafter(np.float32(1 / 24), np.float32(1))),
        ("the next number down", np.nextafter(np.float32(1 / 24), np.float32(0))),
        ("three digits", 0.0417),
    ],
)
def test_what_is_no_rounded_reciprocal_is_not_read(what: str, k: float) -> None:
    report = normonnx.optimize(spelled(SUM, 24, k=k)).report
    assert not [r for r in report.rewrites if r.rule == "NX101"], what
    assert all(not r.readings for r in report.rewrites)
    assert report.status == "pass"


@pytest.mark.parametrize("n", [23, 25])
def test_the_reciprocal_of_another_count_is_not_read(n: int) -> None:
    fused = fuse(spelled(SUM, 24, k=1 / n))
    assert LN not in fused.norms
    assert all(not r.readings for r in fused.journal.rewrites)


def test_a_matrix_without_dimensions_is_no_count() -> None:
    proto = spelled(SUM.replace("m = Mul (s, k)", "m = MatMul (s, k)"), 24)
    outcome = pipeline.run(ir.from_proto(proto), Options())
    assert not outcome.journal.rewrites


def test_a_factor_that_is_something_else_too_is_not_read() -> None:
    nodes = SUM.replace("y = Div (d, r)", "n = Div (d, r) y = Mul (n, k)")
    fused = fuse(spelled(nodes, 24))
    assert LN not in fused.norms


@pytest.mark.parametrize(("domain", "count"), [("", 24), ("local.", None)])
def test_a_product_is_that_of_onnx(domain: str, count: int | None) -> None:
    m = graphs.model(
        f"(float[2,24] x) => (float[2,1] y) {{ s = ReduceSum (x, last) y = {domain}Mul (s, k) }}",
        k=np.float32(1 / 24), last=np.array([-1]),
        functions='<domain: "local", opset_import: ["" : 17]> Mul (a, b) => (c) '
        "{ c = Sub (a, b) }",
    )  # fmt: skip
    assert count_behind(graphs.context(m), graphs.value(m, "k")) == count


def test_two_norms_share_one_constant() -> None:
    second = SUM.replace("(x", "(f").replace(" x)", " f)")
    for name in ("s", "m", "d", "p", "t", "v", "e", "r"):
        second = second.replace(f"{name} = ", f"{name}2 = ").replace(f"({name},", f"({name}2,")
        second = second.replace(f", {name})", f", {name}2)").replace(f"({name})", f"({name}2)")
    both = f"{SUM} f = Tanh (y) {second.replace('y = ', 'z = ')}"
    result = normonnx.optimize(spelled(both, 24, y="z"))
    assert [node.op_type for node in result.model.graph] == [LN, "Tanh", LN], (
        result.report.near_misses
    )
    assert result.report.status == "pass"


def test_a_mean_that_is_read_elsewhere_stays_as_it_was() -> None:
    proto = spelled(SUM, 24)
    proto.graph.output.append(onnx.helper.make_tensor_value_info("m", 1, [2, 3, 1]))
    result = normonnx.optimize(proto)
    assert sorted(node.op_type for node in result.model.graph) == [LN, "Mul", "ReduceSum"]
    assert result.report.status == "pass"


def test_a_name_that_is_not_the_only_one_is_not_read() -> None:
    half = "k = Constant <value = float {0.5}> () y = Mul (x, k)"
    nodes = SUM.replace("y = Div (d, r)", "n = Div (d, r) y = local.f (n)")
    proto = model(
        f"(float[2,3,24] x) => (float[2,3,24] y) {{ {nodes} }}",
        {"k": np.float32(1 / 24), "last": np.array([-1])},
        functions=f'<domain: "local", opset_import: ["" : 17]> f (x) => (y) {{ {half} }}',
    )
    assert LN not in fuse(proto).norms


@pytest.mark.parametrize("n", [2, 3, 5, 10, 24, 768, 4095, 1 << 20, (1 << 23) - 1])
def test_a_reciprocal_names_its_count(n: int) -> None:
    found = rounded_reciprocal(np.float32(1 / n))
    assert found == (None if n & (n - 1) == 0 else n)


@pytest.mark.parametrize(
    ("n", "same"), [(11866887, -1), (11864338, 1), ((1 << 26) + 1, 1), ((1 << 27) + 3, -1)]
)
def test_a_reciprocal_of_several_counts_names_none(n: int, same: int) -> None:
    """That of the count below, of the count above, and of many."""
    assert np.float32(1 / n) == np.float32(1 / (n + same))
    assert rounded_reciprocal(np.float32(1 / n)) is None


@pytest.mark.parametrize("n", [11866886, 11864337])
def test_counts_beside_one_another_are_told_apart_as_long_as_they_can_be(n: int) -> None:
    reciprocals = [np.float32(1 / count) for count in (n - 1, n, n + 1)]
    expected = n if reciprocals.count(reciprocals[1]) == 1 else None
    assert rounded_reciprocal(reciprocals[1]) == expected


@pytest.mark.parametrize("number", [0.0, 1.0, 2.0, -1 / 24, np.inf, np.nan, 1e-45])
def test_what_is_no_share_names_no_count(number: float) -> None:
    assert rounded_reciprocal(np.float32(number)) is None


@pytest.mark.parametrize(
    ("name", "exact", "reason"),
    [
        ("k", 1 / 23, "rounded once"),
        ("k", float(np.float32(1 / 24)), "rounded once"),
        ("k", 0.0417, "rounded once"),
        ("eps", 1 / 100000, "factor"),
    ],
)
def test_the_certificate_takes_no_other_reading(name: str, exact: float, reason: str) -> None:
    refusal = _proposed(name, exact)
    assert isinstance(refusal, Refusal)
    assert reason in refusal.reason


def test_the_certificate_takes_this_one() -> None:
    assert not isinstance(_proposed("k", 1 / 24), Refusal)


def _proposed(name: str, exact: float) -> object:
    m = graphs.model(
        f"(float[2,3,24] x) => (float[2,3,24] y) {{ {SUM} }}",
        k=np.float32(1 / 24), eps=np.float32(1e-5), last=np.array([-1]),
    )  # fmt: skip
    context = graphs.context(m)
    y = graphs.value(m, "y")
    proposal = Proposal(
        context, m.graph, key="k", rule="NX101", site=y.producer(), kind="LayerNorm"
    )
    scale = proposal.constant(np.ones(24), ir.DataType.FLOAT, "ones")
    attributes = {"axis": -1, "epsilon": float(np.float32(1e-5))}
    new = proposal.node(LN, [graphs.value(m, "x"), scale], attributes)
    proposal.read_as(graphs.value(m, name), np.asarray(exact))
    proposal.replace(y, new)
    return commit(proposal, summary="")


def test_the_model_without_the_rewrite_is_judged_by_the_same_truth() -> None:
    """That is how a guilty rewrite is told from an innocent one."""
    original = ir.from_proto(spelled(SUM, 24))
    outcome = pipeline.run(original, Options())
    assert list(outcome.readings) == ["k"]
    judge = normonnx.judge.Judge(original, readings=outcome.readings)
    bare = pipeline.run(original, Options(), limit=0)
    assert not bare.journal.rewrites
    assert judge.judge(bare.model, exact={**outcome.readings, **bare.exact}).status == "pass"
    # Where only one side reads it exactly, they differ.
    assert judge.judge(bare.model, exact=bare.exact, certified=0).status == "fail"


def test_the_judge_takes_no_wrong_reading() -> None:
    original = graphs.model("(float[2] x) => (float[2] y) { y = Mul (x, k) }", k=np.float32(0.1))
    normonnx.judge.Judge(original, readings={"k": np.asarray(0.1)})
    with pytest.raises(ValueError, match="rounded"):
        normonnx.judge.Judge(original, readings={"k": np.asarray(0.1001)})
