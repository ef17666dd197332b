"""The judge: correct rewrites pass, faults fail, and what proves nothing is inconclusive."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from msgspec.structs import replace
from onnx import helper, numpy_helper

from normonnx.errors import EnvironmentLacksError, UsageError
from normonnx.judge import Judge, Verdict, VerifyOptions, verify
from normonnx.oracle.execution import OverBudgetError
from normonnx.oracle.oracle import Oracle
from tests.judge.building import graph_model, judge, replace_weight, respelled
from tests.judge.networks import FAULTS, folded, original, random_network


def tier(verdict: Verdict, code: str) -> str:
    return next((t.status for t in verdict.tiers if t.code == code), "")


def test_no_false_alarms_on_correct_folds() -> None:
    for seed in range(25):
        network = random_network(np.random.default_rng(seed))
        after, exact = folded(network)
        judged = Judge(ir.from_proto(original(network)))
        with_exact = judged.judge(ir.from_proto(after), exact=exact)
        assert with_exact.passed, (seed, with_exact.line(), with_exact.tiers)
        assert tier(with_exact, "T2") == "pass"
        alone = judged.judge(ir.from_proto(after))
        assert alone.passed, (seed, alone.line())
        assert tier(alone, "T2") == "pass"


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_caught(fault: str) -> None:
    """Every fault that moves the float64 result by more than 1e-6 of its size."""
    live = 0
    for seed in range(100, 108):
        random = np.random.default_rng(seed)
        network = random_network(random)
        at = int(random.integers(len(network.layers)))
        before = original(network)
        after, exact = folded(network, fault=fault, at=at, random=random)
        judged = Judge(ir.from_proto(before))
        with_exact = judged.judge(ir.from_proto(after), exact=exact)
        alone = judged.judge(ir.from_proto(after))
        effect = _effect(before, after, network.size, exact)
        if effect > 1e-6:
            live += 1
            assert with_exact.status == "fail", (seed, effect)
            assert alone.status == "fail", (seed, effect, alone.line())
            assert alone.first_failure
        elif effect < 1e-12:
            assert with_exact.passed, (seed, effect, with_exact.line())
    assert live >= 4


def _effect(
    before: onnx.ModelProto, after: onnx.ModelProto, size: int, exact: dict[str, np.ndarray]
) -> float:
    x = np.random.default_rng(0).standard_normal((4, 3, size, size)).astype(np.float32)
    truth, faulty = (
        Oracle(ir.from_proto(model), exact=weights).run({"x": x}).outputs["y"]
        for model, weights in ((before, {}), (after, exact))
    )
    return float(np.abs(faulty - truth).max() / np.abs(truth).max())


def test_the_algebra_sees_what_rounding_hides() -> None:
    network = random_network(np.random.default_rng(4))
    after, exact = folded(network)
    weight = exact["W0"].copy()
    weight[0] *= 1 + 3e-7
    wrong = replace_weight(after, "W0", weight.astype(np.float32))
    assert judge(original(network), wrong).passed
    verdict = judge(original(network), wrong, exact={**exact, "W0": weight})
    assert tier(verdict, "T2") == "fail"
    assert "differs in float64 by" in verdict.first_failure


def test_a_stored_weight_must_be_its_exact_value_rounded() -> None:
    network = random_network(np.random.default_rng(4))
    after, exact = folded(network)
    stored = numpy_helper.to_array(next(t for t in after.graph.initializer if t.name == "W0"))
    bumped = np.nextafter(stored, np.float32(9), dtype=np.float32)
    verdict = judge(original(network), replace_weight(after, "W0", bumped), exact=exact)
    assert verdict.first_failure.startswith("weight 'W0' is not its exact value rounded")


def layer_norm_text(body: str) -> str:
    return f"(float[batch, seq, 32] x) => (float[batch, seq, 32] y) {{ {body} }}"


DECOMPOSED = layer_norm_text(
    """m = ReduceMean<axes = [-1]>(x)
    d = Sub(x, m)
    q = Mul(d, d)
    v = ReduceMean<axes = [-1]>(q)
    e = Add(v, eps)
    s = Sqrt(e)
    n = Div(d, s)
    g = Mul(n, gamma)
    y = Add(g, beta)"""
)


def layer_norm_weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(9)
    gamma, beta = random.standard_normal((2, 32)).astype(np.float32)
    return {"gamma": gamma, "beta": beta}


def test_a_fused_layer_norm_passes_and_its_faults_do_not() -> None:
    weights = layer_norm_weights()
    before = ir.from_proto(graph_model(DECOMPOSED, eps=np.array(1e-5, np.float32), **weights))
    judged = Judge(before)
    fused = "y = LayerNormalization<axis = -1, epsilon = {}>(x, gamma, beta)"
    good = graph_model(layer_norm_text(fused.format(1e-5)), **weights)
    verdict = judged.judge(ir.from_proto(good), exact={}, certified=1)
    assert verdict.passed, verdict.tiers
    assert tier(verdict, "T1") == "pass"
    for body in (
        fused.format(1e-3),
        "n = LayerNormalization<axis = -1, epsilon = 1e-5>(x, gamma) y = Sub(n, beta)",
        "y = LayerNormalization<axis = -1, epsilon = 1e-5>(x, beta, gamma)",
        "y = LayerNormalization<axis = -1, epsilon = 1e-5>(x, gamma)",
    ):
        wrong = judged.judge(ir.from_proto(graph_model(layer_norm_text(body), **weights)))
        assert wrong.status == "fail", body


TOKENS = """(int64[batch, seq] ids, int64[batch, seq] attention_mask) => (float[batch, seq, 8] y) {
    e = Gather(table, ids)
    f = Cast<to = 1>(attention_mask)
    u = Unsqueeze(f, last)
    h = Mul(e, u)
    y = MatMul(h, w)
}"""


def token_model() -> onnx.ModelProto:
    random = np.random.default_rng(3)
    table = random.standard_normal((500, 8)).astype(np.float32)
    weight = random.standard_normal((8, 8)).astype(np.float32)
    return graph_model(TOKENS, table=table, w=weight, last=np.array([-1]))


def test_corrupted_rows_of_an_embedding_are_caught() -> None:
    before = token_model()
    table = numpy_helper.to_array(before.graph.initializer[0]).copy()
    table[10:] *= 1.01
    verdict = judge(before, replace_weight(before, "table", table))
    assert verdict.status == "fail"
    assert judge(before, before).passed


def test_the_last_row_of_a_table_is_looked_up() -> None:
    before = token_model()
    table = numpy_helper.to_array(before.graph.initializer[0]).copy()
    table[-1] += 1
    assert judge(before, replace_weight(before, "table", table)).status == "fail"


def test_open_dimensions_are_bound_at_several_sizes() -> None:
    verdict = judge(token_model(), respelled(token_model()))
    sizes = [dict(f.binding) for f in verdict.feeds if f.decisive]
    assert {(s["batch"], s["seq"]) for s in sizes} == {(2, 17), (3, 8), (1, 1)}
    assert "batch = 2, 3, 1" in verdict.line()
    assert verdict.domains is not None
    assert verdict.domains["ids"].startswith("index 0..499")


def test_a_model_that_takes_only_multiples_is_asked() -> None:
    # Reshape to rows of 32 fits only where the length is a multiple of 32.
    text = """(float[batch, samples] x) => (float[n, 32] y) {
        r = Reshape(x, rows)
        y = Exp(r)
    }"""
    model = graph_model(text, rows=np.array([-1, 32]))
    verdict = judge(model, respelled(model))
    assert verdict.passed
    decisive = [f for f in verdict.feeds if f.decisive]
    assert all(f.shapes["x"][0] * f.shapes["x"][1] % 32 == 0 for f in decisive)
    assert len({tuple(f.binding.items()) for f in decisive}) >= 2


BASE = "(float[N, 4] x) => (float[N, 4] y) { y = Tanh(x) }"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("(float[N, 4] x) => (float[N, 4] z) { z = Tanh(x) }", "output 'y' is gone"),
        ("(double[N, 4] x) => (double[N, 4] y) { y = Tanh(x) }", "input 'x' was FLOAT"),
        ("(float[N, 4] x, float e) => (float[N, 4] y) { y = Tanh(x) }", "input 'e' is new"),
    ],
)
def test_another_interface_fails(text: str, sentence: str) -> None:
    verdict = judge(graph_model(BASE), graph_model(text))
    assert verdict.status == "fail"
    assert tier(verdict, "T0") == "fail"
    assert sentence in verdict.first_failure
    assert verdict.outputs == ()


def test_a_model_that_does_not_load_fails() -> None:
    broken = graph_model(BASE.replace("Tanh", "NoSuchOperator"))
    verdict = judge(graph_model(BASE), broken)
    assert verdict.status == "fail"
    assert "does not load" in verdict.first_failure
    assert verdict.warnings


def test_a_model_that_does_not_run_fails() -> None:
    before = graph_model("(float[N, 4] x) => (float[N, 4] y) { y = Tanh(x) }")
    text = "(float[N, 4] x) => (float[N, 4] y) { r = Reshape(x, two) y = Tanh(r) }"
    verdict = judge(before, graph_model(text, two=np.array([2, 4])))
    assert verdict.status == "fail"
    assert "does not run on feed 1" in verdict.first_failure


def test_another_shape_at_run_time_fails() -> None:
    before = graph_model("(float[N, M] x) => (float[A, B] y) { y = Tanh(x) }")
    after = graph_model("(float[N, M] x) => (float[A, B] y) { t = Tanh(x) y = Transpose(t) }")
    verdict = judge(before, after)
    assert verdict.status == "fail"
    assert "had shape (2, 17) and has (17, 2)" in verdict.first_failure


def test_integers_must_be_equal() -> None:
    before = graph_model(
        "(float[N, 4] x) => (int64[N] y) { y = ArgMax<axis = 1, keepdims = 0>(x) }"
    )
    after = graph_model("(float[N, 4] x) => (int64[N] y) { y = ArgMin<axis = 1, keepdims = 0>(x) }")
    assert judge(before, before).passed
    verdict = judge(before, after)
    assert tier(verdict, "T4") == "fail"
    assert "differs in" in verdict.first_failure


def test_a_choice_between_equals_is_free() -> None:
    # Six equal columns: which sum is the largest is decided by noise, as it is in the original.
    text = """(float[N, 6] x) => (int64[N] y) {
        h = MatMul(x, w)
        y = ArgMax<axis = 1, keepdims = 0>(h)
    }"""
    random = np.random.default_rng(0)
    columns = np.tile(random.standard_normal((6, 1)), 6)
    noise = random.uniform(-1e-8, 1e-8, columns.shape)
    steps = 1e-2 * np.arange(6)
    before, after, clear, other = (
        graph_model(text, w=w.astype(np.float32))
        for w in (columns + noise, columns - noise, columns + steps, columns - steps)
    )
    verdict = judge(before, after)
    assert verdict.passed, verdict.line()
    assert any(r.output == "what ArgMax 'ArgMax_1' reads" for r in verdict.outputs)
    assert judge(clear, other).status == "fail"


def test_infinities_that_are_equal_in_place_and_sign_agree() -> None:
    text = "(float[N, 4] x) => (float[N, 4] y) { a = Mul(x, k) y = Div(a, none) }"
    zeros = np.zeros(4, np.float32)
    one, same, other = (
        graph_model(text, none=zeros, k=np.array([1, f, 1, 1], np.float32)) for f in (1, 2, -1)
    )
    assert judge(one, same).passed
    assert judge(one, other).status == "fail"


def test_nothing_but_nan_is_inconclusive() -> None:
    text = "(float[N, 4] x) => (float[N, 4] y) { a = Abs(x) n = Neg(a) m = Sub(n, one) y = Log(m) }"
    model = graph_model(text, one=np.ones(1, np.float32))
    verdict = judge(model, respelled(model))
    assert verdict.status == "inconclusive"
    assert verdict.first_failure == "nothing of 'y' is finite on any feed"
    assert not verdict.passed


def test_new_nan_is_a_violation() -> None:
    text = "(float[N, 4] x) => (float[N, 4] y) {{ a = {}(x) y = Sqrt(a) }}"
    verdict = judge(graph_model(text.format("Abs")), graph_model(text.format("Neg")))
    assert verdict.status == "fail"
    assert "is nan at" in verdict.first_failure


def test_rows_of_zeros_are_tried() -> None:
    # Without its eps this norm is right on every natural feed, and 0/0 on zeros.
    text = """(float[batch, 3] x) => (float[batch, 3] y) {
        q = Mul(x, x)
        v = ReduceMean<axes = [-1]>(q)
        e = Add(v, eps)
        s = Sqrt(e)
        y = Div(x, s)
    }"""
    before, after = (graph_model(text, eps=np.array(e, np.float32)) for e in (1e-30, 0))
    verdict = judge(before, after)
    assert verdict.status == "fail"
    assert "is nan at" in verdict.first_failure
    assert "feed 50" in verdict.first_failure


def test_random_operators_are_fed_alike() -> None:
    text = """(float[N, 4] x) => (float[N, 4] y, float[N, 4] z) {{
        r = RandomNormalLike{}(x)
        s = Add(x, r)
        y = Add(s, k)
        z = Exp(x)
    }}"""
    plain, shifted = (graph_model(text.format(""), k=np.array([k], np.float32)) for k in (1, 1.001))
    verdict = judge(plain, respelled(plain))
    assert verdict.passed
    assert {r.output for r in verdict.outputs if not r.inner} == {"y", "z"}
    assert judge(plain, shifted).status == "fail"
    other = judge(plain, graph_model(text.format("<mean = 100.0>"), k=np.ones(1, np.float32)))
    assert other.status == "fail"
    assert "has no such random operator" in other.first_failure


def test_what_is_random_itself_is_the_same_operator() -> None:
    text = "(float[N, 4] x) => (float[N, 4] y) {{ a = Mul(x, k) y = RandomNormalLike{}(a) }}"
    plain = graph_model(text.format(""), k=np.ones(1, np.float32))
    assert judge(plain, plain).passed
    assert (
        judge(plain, graph_model(text.format("<scale = 2.0>"), k=np.ones(1, np.float32))).status
        == "fail"
    )


def test_random_numbers_in_a_branch_are_fed_alike() -> None:
    text = """(float[N, 4] x, bool c) => (float[N, 4] y) {
        y = If(c) <
            then_branch = a () => (float[N, 4] p) { p = RandomNormalLike(x) },
            else_branch = b () => (float[N, 4] q) { q = Exp(x) }
        >
    }"""
    assert judge(graph_model(text), respelled(graph_model(text))).status == "pass"
    wrong = graph_model(
        text.replace("p = RandomNormalLike(x)", "r = RandomNormalLike(x) p = Exp(r)")
    )
    assert judge(graph_model(text), wrong).status == "fail"


def test_an_original_that_does_not_load_is_inconclusive() -> None:
    broken = graph_model(BASE.replace("Tanh", "NoSuchOperator"))
    verdict = judge(broken, graph_model(BASE))
    assert verdict.status == "inconclusive"
    assert "the original does not load" in verdict.first_failure


def test_an_original_that_accepts_nothing_is_inconclusive() -> None:
    text = "(float[N, 4] x) => (float[5, 7] y) { r = Reshape(x, shape) y = Tanh(r) }"
    model = graph_model(text, shape=np.array([5, 7]))
    verdict = judge(model, respelled(model))
    assert verdict.status == "inconclusive"
    assert "accepts no generated inputs" in verdict.first_failure


def without_reference() -> onnx.ModelProto:
    """ONNX Runtime computes this, and the oracle has no float64 for it."""
    node = helper.make_node(
        "NGramRepeatBlock", ["ids", "x"], ["y"], domain="com.microsoft", ngram_size=2
    )
    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, [2, 5]),
            helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 8]),
        ],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 8])],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def test_without_a_truth_the_originals_own_noise_decides() -> None:
    model = without_reference()
    other = respelled(model)
    verdict = judge(model, other)
    assert verdict.passed
    assert verdict.grade == "original"
    assert "no float64 reference for com.microsoft.NGramRepeatBlock" in str(verdict.tiers)
    assert "grade original" in verdict.line()
    judged = judge(model, other, rtol=1e-5)
    assert judged.passed
    assert judged.approximate
    assert judged.grade == "truth"


def behind_no_reference(factor: float) -> onnx.ModelProto:
    """A dense layer in front of an operator of which there is no reference."""
    weight = factor * np.random.default_rng(0).standard_normal((8, 16))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node(
            "NGramRepeatBlock", ["ids", "h"], ["z"], domain="com.microsoft", ngram_size=9
        ),
        helper.make_node("Tanh", ["z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 8]),
            helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, [2, 3]),
        ],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 16])],
        [numpy_helper.from_array(weight.astype(np.float32), "w")],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def test_without_a_truth_a_thousandth_is_seen() -> None:
    original = behind_no_reference(1)
    assert judge(original, behind_no_reference(1.001)).status == "fail"
    same = judge(original, respelled(original))
    assert same.passed
    assert same.grade == "original"


def scaled(factor: float) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    text = "(float[N, 4] x) => (float[N, 4] y) { y = Mul(x, w) }"
    return tuple(  # type: ignore[return-value]
        graph_model(text, w=np.array([f], np.float32)) for f in (1.0, factor)
    )


def test_tolerances_replace_the_rule() -> None:
    before, after = scaled(1.001)
    assert judge(before, after).status == "fail"
    assert judge(before, after, rtol=1e-2).passed
    tight = judge(before, after, rtol=1e-4, atol=0)
    assert tight.status == "fail"
    assert "(rtol 0.0001, atol 0)" in tight.first_failure


def two_outputs(factor: float) -> onnx.ModelProto:
    text = "(float[n] x) => (float[n] a, float[n] b) { a = Mul(x, k) b = Exp(a) }"
    return graph_model(text, k=np.array([factor], np.float32))


def test_tolerances_by_output_leave_the_others_to_the_rule() -> None:
    before, after = two_outputs(1.0), two_outputs(1.0001)
    assert judge(before, after, rtol={"a": 1e-3, "b": 1e-2}).passed
    verdict = judge(before, after, rtol={"a": 1e-3})
    assert {r.output for r in verdict.outputs if not r.passed} == {"b"}
    assert {r.flaw for r in verdict.outputs if not r.passed} == {"rounding"}
    assert judge(before, after, rtol={"": 1e-2, "a": 1e-3}).passed
    verdict = judge(before, after, rtol={"": 1e-2}, atol={"b": 1e-9})
    assert verdict.passed
    verdict = judge(before, after, atol={"": 1.0, "a": 1e-12})
    assert {r.flaw for r in verdict.outputs if not r.passed} == {"tolerance"}
    with pytest.raises(UsageError, match="'c', which is no output"):
        judge(before, after, rtol={"c": 1e-3})


def test_data_from_a_function() -> None:
    before, after = two_outputs(1.0), respelled(two_outputs(1.0))
    verdict = judge(before, after, data=lambda: [{"x": [1.0, 2.0]}, {"x": np.zeros(3)}])
    assert verdict.passed
    assert [feed.title for feed in verdict.feeds] == ["data 0", "data 1"]
    assert [feed.shapes["x"] for feed in verdict.feeds] == [(2,), (3,)]
    for wrong in (list, lambda: [np.zeros(3)], lambda: [{"y": np.zeros(3)}]):
        with pytest.raises(UsageError):
            judge(before, after, data=wrong)


def test_the_originals_own_difference_is_measured() -> None:
    assert judge(two_outputs(1), respelled(two_outputs(1))).own_difference == 0.0
    random = graph_model("(float[n] x) => (float[n] y) { r = RandomNormalLike(x) y = Add(x, r) }")
    verdict = judge(random, respelled(random))
    assert verdict.own_difference == 0.0  # it is fed the same random numbers


def test_strict_wants_the_same_bits() -> None:
    network = random_network(np.random.default_rng(4))
    before, (after, _) = original(network), folded(network)
    assert judge(before, after).passed
    verdict = judge(before, after, strict=True)
    assert verdict.status == "fail"
    assert "is not bitwise equal" in verdict.first_failure
    assert judge(before, before, strict=True).passed


def test_least_signal_to_noise() -> None:
    before, after = scaled(1.001)
    verdict = judge(before, after, rtol=1e-2, sqnr_min=80)
    assert verdict.status == "fail"
    assert "dB" in verdict.first_failure
    assert judge(before, after, rtol=1e-2, sqnr_min=40).passed


def test_the_checker_warns_and_decides_only_when_told() -> None:
    # ONNX Runtime takes a LayerNormalization of any operator set; the standard does not.
    text = "(float[2, 8] x) => (float[2, 8] y) { y = LayerNormalization(x, w) }"
    before = graph_model(text, w=np.ones(8, np.float32))
    after = graph_model(text, opset=16, w=np.ones(8, np.float32))
    verdict = judge(before, after)
    assert verdict.passed
    assert any("onnx.checker" in warning for warning in verdict.warnings)
    assert judge(before, after, strict_onnx=True).status == "fail"


def test_half_precision_is_judged_in_its_own_ulp() -> None:
    text = "(float16[N, 16] x) => (float16[N, 16] y) {{ {} }}"
    random = np.random.default_rng(1)
    weight, scale = (random.uniform(0.5, 2, s).astype(np.float16) for s in ((16, 16), (16,)))
    before = graph_model(text.format("h = MatMul(x, w) y = Mul(h, s)"), w=weight, s=scale)
    exact = weight.astype(np.float64) * scale.astype(np.float64)
    after = graph_model(text.format("y = MatMul(x, w)"), w=exact.astype(np.float16))
    verdict = judge(before, after, exact={"w": exact})
    assert verdict.passed, verdict.tiers
    wrong = graph_model(text.format("y = MatMul(x, w)"), w=(exact * 1.05).astype(np.float16))
    assert judge(before, wrong).status == "fail"


def test_an_overflow_that_the_rewrite_avoids_is_no_error() -> None:
    # 300² overflows float16 in the original; the fused form divides first.
    text = "(float16[2, 8] x) => (float16[2, 8] y) {{ {} }}"
    big = np.array([300], np.float16)
    before = graph_model(text.format("a = Mul(x, c) b = Mul(a, c) y = Div(b, c)"), c=big)
    after = graph_model(text.format("y = Mul(x, c)"), c=big)
    verdict = judge(before, after)
    assert verdict.status != "fail", verdict.line()


def test_user_data_are_used(tmp_path: Path) -> None:
    before, after = scaled(1.5)
    np.savez(tmp_path / "zeros.npz", x=np.zeros((3, 4), np.float32))
    verdict = judge(before, after, data=tmp_path / "zeros.npz")
    assert verdict.passed
    assert [f.title for f in verdict.feeds] == ["zeros.npz"]
    assert verdict.feeds[0].shapes["x"] == (3, 4)


def test_costly_models_get_fewer_feeds() -> None:
    text = """(float[1, 64, 128, 128] x) => (float[1, 64, 128, 128] y) {
        y = Conv<pads = [1, 1, 1, 1]>(x, w)
    }"""
    weight = np.random.default_rng(0).standard_normal((64, 64, 3, 3)).astype(np.float32)
    model = graph_model(text, w=weight)
    verdict = judge(model, respelled(model))
    assert verdict.passed
    assert len(verdict.feeds) == 2
    assert any("2 feeds only" in note for note in verdict.notes)


def test_no_time_is_inconclusive_and_never_a_pass() -> None:
    text = (
        "(float[1, 8, 32, 32] x) => (float[1, 8, 32, 32] y) { y = Conv<pads = [1, 1, 1, 1]>(x, w) }"
    )
    model = graph_model(text, w=np.ones((8, 8, 3, 3), np.float32))
    starved = judge(model, respelled(model), budget_seconds=1e-9)
    assert starved.status == "inconclusive"
    assert "it takes too long" in starved.first_failure


def test_without_time_for_the_truth_a_tolerance_still_decides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_slow(*args: Any, **options: Any) -> None:
        raise OverBudgetError

    monkeypatch.setattr(Oracle, "run", too_slow)
    before, after = scaled(1.001)
    verdict = judge(before, respelled(before))
    assert verdict.passed
    assert verdict.grade == "original"
    assert "the float64 truth takes more than 60 s" in str(verdict.tiers)
    assert judge(before, after).status == "fail"
    assert "time for 1 feed only" in verdict.notes
    assert judge(before, after, rtol=1e-2).passed
    assert judge(before, after, rtol=1e-5).status == "fail"


def test_small_outputs_are_seen_on_more_feeds() -> None:
    text = "(float[1, 16] x) => (float[1, 1] y) { y = MatMul(x, w) }"
    model = graph_model(
        text, w=np.random.default_rng(0).standard_normal((16, 1)).astype(np.float32)
    )
    verdict = judge(model, respelled(model))
    assert sum(f.decisive for f in verdict.feeds) == 8


def test_outputs_that_say_nothing_are_noted() -> None:
    text = "(float[N, 4] x) => (float[N, 4] y) { z = Mul(x, zero) y = Sigmoid(z) }"
    model = graph_model(text, zero=np.zeros(1, np.float32))
    verdict = judge(model, respelled(model))
    assert any("'y' has the same value everywhere" in note for note in verdict.notes)


def test_the_same_seed_gives_the_same_verdict() -> None:
    network = random_network(np.random.default_rng(12))
    before, (after, _) = original(network), folded(network)
    first, again, other = (judge(before, after, seed=seed) for seed in (5, 5, 6))
    one, two, three = (
        json.dumps({**v.to_dict(), "seconds": 0}, allow_nan=False) for v in (first, again, other)
    )
    assert one == two
    assert one != three


def test_a_missing_provider_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(EnvironmentLacksError, match="has no CUDAExecutionProvider"):
        judge(token_model(), token_model(), providers=("cuda",))


def test_falling_back_to_the_processor_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fallen(onnxruntime.InferenceSession):  # type: ignore[misc]
        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Fallen)
    with pytest.raises(EnvironmentLacksError, match="fell back from CUDAExecutionProvider"):
        judge(token_model(), token_model(), providers=("cuda",))


def test_options_are_checked() -> None:
    for options, message in (
        ({"providers": ("tpu",)}, "no such provider: tpu"),
        ({"providers": ()}, "none given"),
        ({"draws": 0}, "at least one feed"),
        ({"seed": -1}, "seed"),
        ({"rtol": -1.0}, "rtol must not be negative"),
        ({"strict": True, "atol": 1e-3}, "exclude each other"),
    ):
        with pytest.raises(UsageError, match=message):
            VerifyOptions(**options)  # type: ignore[arg-type]


def test_one_judge_for_many_models_computes_the_truth_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network(np.random.default_rng(3))
    judged = Judge(ir.from_proto(original(network)))
    after, exact = folded(network)
    first = judged.judge(ir.from_proto(after), exact=exact)

    def forbidden(*args: Any, **options: Any) -> None:
        raise AssertionError("the truth was computed again")

    assert judged.cases is not None
    monkeypatch.setattr(judged.cases._subject, "case", forbidden)
    second = judged.judge(ir.from_proto(after), exact=exact)
    assert replace(first, seconds=0.0) == replace(second, seconds=0.0)


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    network = random_network(np.random.default_rng(3))
    progress: Callable[[str, int, int], None] = lambda *step: told.append(step)  # noqa: E731
    verify(ir.from_proto(original(network)), ir.from_proto(folded(network)[0]), progress=progress)
    assert {what for what, _, _ in told} == {
        "original and float64 truth",
        "float64 algebra",
        "optimised model",
    }
    assert all(0 <= done < total for _, done, total in told)


def test_no_error_hides_in_a_small_probability() -> None:
    text = "(float[N, 4] x) => (float[N, 3] y) { h = MatMul(x, w) l = Add(h, b) y = Softmax(l) }"
    weight = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    before, after = (
        graph_model(text, w=weight, b=np.array([60, 0, last], np.float32)) for last in (0, 0.01)
    )
    verdict = judge(before, after)
    assert verdict.status == "fail"
    assert "among its elements up to" in verdict.first_failure
    assert judge(before, before, exact={}).passed
    assert "'y' differs in float64" in judge(before, after, exact={}).first_failure


def test_chance_excuses_no_other_integer() -> None:
    """A row that a chosen feed finds is not outvoted by feeds that do not reach it."""
    text = """(int64[N] ids, float[N] x, bool c) => (int64[N] y, float[N] z) {
        y = Gather(table, ids)
        z = If(c) <
            then_branch = a () => (float[N] p) { p = Round(x) },
            else_branch = b () => (float[N] q) { q = Exp(x) }
        >
    }"""
    table = np.arange(3000, dtype=np.int64)
    other = table.copy()
    other[2345] = -1
    right, wrong = (graph_model(text, table=t) for t in (table, other))
    assert judge(right, wrong).status == "fail"


def test_elements_of_a_sequence_are_compared() -> None:
    text = """(float[N, 4] x) => (seq(float[N, 4]) y) {{
        a = Mul(x, k)
        b = {}(a)
        y = SequenceConstruct(a, b)
    }}"""
    right = graph_model(text.format("Relu"), k=np.array([3], np.float32))
    same = graph_model(
        text.format("Max<>").replace("Max<>(a)", "Max(a, zero)"),
        k=np.array([3], np.float32),
        zero=np.zeros(1, np.float32),
    )
    verdict = judge(right, same)
    assert verdict.passed, verdict.line()
    assert {r.output for r in verdict.outputs} == {"y[0]", "y[1]"}
    wrong = graph_model(text.format("Abs"), k=np.array([3], np.float32))
    assert judge(right, wrong).status == "fail"
