"""Both models cut at selections and random operators: what these read is compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from normonnx.judge import Judge
from normonnx.judge.cutting import cut, pair_of
from tests.judge.building import graph_model, judge, respelled

RANDOM = np.random.default_rng(0)
W = RANDOM.standard_normal((8, 12)).astype(np.float32)
CODES = RANDOM.standard_normal((12, 5)).astype(np.float32)


def selecting(
    factor: float = 1.0, *, channel: int | None = None, name: str = "h"
) -> onnx.ModelProto:
    """The strongest features, gathered and mixed."""
    weight = W.copy()
    if channel is None:
        weight *= np.float32(factor)
    else:
        weight[:, channel] *= np.float32(factor)
    text = f"""(float[N, 8] x) => (float[N, 4] y) {{
        {name} = MatMul(x, w)
        v, i = TopK<axis = 1>({name}, k)
        c = GatherElements<axis = 1>({name}, i)
        y = Softmax(c)
    }}"""
    return graph_model(text, w=weight, k=np.array([4]))


@pytest.mark.parametrize("channel", range(0, 12, 3))
@pytest.mark.parametrize("factor", [1.1, 1.001, 0.0])
def test_a_channel_in_front_of_a_selection_is_seen(channel: int, factor: float) -> None:
    assert judge(selecting(), selecting(factor, channel=channel)).status == "fail"


def test_the_same_selection_passes_under_other_names() -> None:
    assert judge(selecting(), selecting(name="renamed")).passed


def test_rounding_in_front_of_a_selection_is_no_error() -> None:
    """Two sums in another order: what is selected may change, what it reads may not."""
    text = """(float[N, 8] x) => (int64[N, 1] y, float[N, 5] z) {{
        a = MatMul(x, w)
        {}
        d = Add(c, small)
        y = ArgMax<axis = 1>(d)
        f = Squeeze(y, one)
        z = Gather(codes, f)
    }}"""
    parts = {
        "w": np.repeat(W[:, :1], 12, axis=1),
        "b": np.full(12, 0.1, np.float32),
        "small": RANDOM.uniform(-1e-7, 1e-7, 12).astype(np.float32),
        "codes": CODES,
        "one": np.array([1]),
    }
    before = graph_model(text.format("e = Add(a, b) c = Sub(e, b)"), **parts)
    after = graph_model(text.format("e = Sub(a, b) c = Add(e, b)"), **parts)
    assert judge(before, after).passed


def test_a_codebook_is_seen_through_its_choice() -> None:
    text = """(float[N, 8] x) => (float[N, 5] y) {
        h = MatMul(x, w)
        i = ArgMin<axis = 1, keepdims = 0>(h)
        y = Gather(codes, i)
    }"""
    right, wrong = (graph_model(text, w=(f * W).astype(np.float32), codes=CODES) for f in (1, 1.3))
    assert judge(right, respelled(right)).passed
    assert judge(right, wrong).status == "fail"


def test_pixels_that_rounding_moves_are_no_error() -> None:
    text = """(float[1, 3, 32, 32] x) => (uint8[1, 3, 32, 32] y) {{
        {}
        r = Round(h)
        c = Clip(r, low, high)
        y = Cast<to = 2>(c)
    }}"""
    k, b = (RANDOM.uniform(50, 90, (1, 3, 1, 1)).astype(np.float32) for _ in range(2))
    ends = {"low": np.array(0, np.float32), "high": np.array(255, np.float32)}
    one = graph_model(text.format("m = Mul(x, k) h = Add(m, b)"), k=k, b=b, **ends)
    other = graph_model(
        text.format("m = Add(x, b) h = Mul(m, k)"), k=k, b=(b / k).astype(np.float32), **ends
    )
    wrong = graph_model(
        text.format("m = Mul(x, k) h = Add(m, b)"), k=k, b=b * np.float32(1.001), **ends
    )
    assert judge(one, other).passed
    assert judge(one, wrong).status == "fail"


def test_both_sides_of_a_quantisation_are_compared() -> None:
    text = """(float[N, 8] x) => (float[N, 5] y) {
        h = MatMul(x, w)
        q = QuantizeLinear(h, scale, zero)
        d = DequantizeLinear(q, scale, zero)
        y = MatMul(d, v)
    }"""
    step = {"scale": np.array(0.05, np.float32), "zero": np.array(0, np.int8)}
    right, before, behind = (
        graph_model(text, w=(a * W).astype(np.float32), v=(b * CODES).astype(np.float32), **step)
        for a, b in ((1, 1), (1.001, 1), (1, 1.001))
    )
    assert judge(right, respelled(right)).passed
    assert judge(right, before).status == "fail"
    assert judge(right, behind).status == "fail"


def test_where_a_model_is_cut() -> None:
    pair = pair_of(*map(ir.from_proto, (selecting(), selecting(name="renamed"))))
    assert pair is not None
    (place,) = pair.places
    assert place.title == "TopK 'TopK_1'"
    assert place.read == {0: "what TopK 'TopK_1' reads"}
    done = cut(pair, {"what TopK 'TopK_1' gives (1)": np.zeros((2, 4), np.int64)})
    assert done is not None
    assert [v.name for v in done.optimized.graph.inputs] == ["x", "what TopK 'TopK_1' gives (1)"]
    assert [n.op_type for n in done.optimized.graph] == [
        "MatMul",
        "Identity",
        "GatherElements",
        "Softmax",
    ]


def test_another_selection_is_not_the_same() -> None:
    largest, smallest = (
        graph_model(
            f"(float[N, 8] x) => (int64[N, 3] i) {{ v, i = TopK<largest = {n}>(x, k) }}",
            k=np.array([3]),
        )
        for n in (1, 0)
    )
    assert judge(largest, smallest).status == "fail"


def test_a_model_without_selections_is_not_cut() -> None:
    model = ir.from_proto(graph_model("(float[N, 8] x) => (float[N, 8] y) { y = Tanh(x) }"))
    assert pair_of(model, model) is None


@pytest.mark.parametrize("factor", [1.001, 1.02])
def test_a_threshold_is_compared_as_what_it_decides(factor: float) -> None:
    text = """(float[N, 8] x) => (bool[N, 12] y) {
        h = MatMul(x, w)
        y = Greater(h, t)
    }"""
    right, wrong = (graph_model(text, w=W, t=np.array([f * 2.5], np.float32)) for f in (1, factor))
    assert judge(right, wrong).status == "fail"
    near = graph_model(text, w=W, t=np.nextafter(np.array([2.5], np.float32), np.float32(9)))
    assert judge(right, near).passed


def test_another_comparison_is_no_pass() -> None:
    text = "(float[N, 8] x) => (bool[N, 8] y) {{ h = Tanh(x) y = {}(h, t) }}"
    right, other = (
        graph_model(text.format(op), t=np.array([0.25], np.float32))
        for op in ("Greater", "GreaterOrEqual")
    )
    verdict = judge(right, other)
    assert verdict.status == "inconclusive"
    assert "is another operator" in verdict.first_failure


def test_defaults_that_are_stated_change_nothing() -> None:
    text = "(float[N, 8] x) => (int64[N, 1] i) {{ h = Tanh(x) i = ArgMax<axis = 1{}>(h) }}"
    stated = graph_model(text.format(", keepdims = 1, select_last_index = 0"))
    silent = graph_model(text.format(""))
    verdict = judge(silent, respelled(stated))
    assert verdict.passed
    assert any(r.inner for r in verdict.outputs)


def test_one_judge_compares_what_each_model_reads() -> None:
    """A threshold that differs in the second model only is compared there, and nowhere else."""
    text = "(float[N, 8] x) => (bool[N, 12] y) { h = MatMul(x, w) y = Greater(h, t) }"
    right, wrong = (graph_model(text, w=W, t=np.array([f * 2.5], np.float32)) for f in (1, 1.001))
    shifted = W.copy()
    shifted[0] += np.spacing(shifted[0])
    near = graph_model(text, w=shifted, t=np.array([2.5], np.float32))
    judging = Judge(ir.from_proto(right))
    assert judging.judge(ir.from_proto(near)).passed
    assert judging.judge(ir.from_proto(wrong)).status == "fail"
    assert judging.judge(ir.from_proto(near)).passed


@pytest.mark.parametrize("demand", [{"strict": True}, {"rtol": 1e-3}])
def test_what_is_demanded_of_outputs_is_held_to_what_comes_out(demand: dict[str, Any]) -> None:
    text = """(float[N, 8] x) => (int64[N] y) {{
        h = MatMul(x, w)
        {}
        y = ArgMax<axis = 1, keepdims = 0>(c)
    }}"""
    sums = ("a = Add(h, b) c = Add(a, b)", "a = Add(b, b) c = Add(h, a)")
    one, other = (graph_model(text.format(s), w=W, b=np.full(12, 0.1, np.float32)) for s in sums)
    verdict = judge(one, other, **demand)
    assert verdict.passed, verdict.line()
    assert not any(r.inner for r in verdict.outputs)
    wrong = graph_model(text.format(sums[0]), w=-W, b=np.full(12, 0.1, np.float32))
    assert judge(one, wrong, **demand).status == "fail"


SOFT = "h = MatMul(x, w) s = {} (h) y = ArgMax<axis = 1> (s)"
HARD = "h = MatMul(x, w) y = ArgMax<axis = 1> (h)"


@pytest.mark.parametrize("rising", ["Softmax<axis = -1>", "LogSoftmax<axis = 1>", "Sigmoid"])
def test_what_changes_no_choice_may_go_or_come(rising: str) -> None:
    text = "(float[N, 8] x) => (int64[N, 1] y) {{ {} }}"
    soft, hard = (graph_model(text.format(each), w=W) for each in (SOFT.format(rising), HARD))
    changed = W.copy()
    changed[:, 2] *= np.float32(1.001)
    wrong = graph_model(text.format(HARD), w=changed)
    assert judge(soft, hard).passed
    assert judge(hard, soft).passed
    assert judge(soft, wrong).status == "fail"


PLACES = "{} v, y = TopK<axis = 1> ({}, k)"


@pytest.mark.parametrize("rising", ["Softmax<axis = -1>", "LogSoftmax<axis = 1>", "Sigmoid"])
def test_what_changes_no_places_of_a_topk_may_go_or_come(rising: str) -> None:
    text = "(float[N, 8] x) => (int64[N, 3] y) {{ h = MatMul(x, w) {} }}"
    ends = PLACES.format(f"s = {rising} (h)", "s"), PLACES.format("", "h")
    k = np.array([3])
    soft, hard = (graph_model(text.format(end), w=W, k=k) for end in ends)
    changed = W.copy()
    changed[:, 2] *= np.float32(1.001)
    wrong = graph_model(text.format(ends[1]), w=changed, k=k)
    assert judge(soft, hard).passed
    assert judge(hard, soft).passed
    assert judge(soft, wrong).status == "fail"


@pytest.mark.parametrize("factor", [1.0, 1.001])
def test_a_router_is_compared_by_what_its_topk_reads(factor: float) -> None:
    """Weights of experts by Softmax, the largest three of them, in the place of a fold."""
    text = """(float[N, 8] x) => (float[N, 3] y, int64[N, 3] best) {{
        h = MatMul(x, w) {} s = Softmax<axis = -1> (g) y, best = TopK (s, k) }}"""
    one = graph_model(text.format("g = Mul(h, two)"), w=W, two=np.float32(2), k=np.array([3]))
    doubled = W * np.float32(2)
    doubled[:, 5] *= np.float32(factor)
    other = graph_model(text.format("g = Identity(h)"), w=doubled, k=np.array([3]))
    assert judge(one, other).passed is (factor == 1)


def test_a_softmax_along_another_axis_is_no_such_thing() -> None:
    text = "(float[N, 8] x) => (int64[N, 1] y) {{ {} }}"
    soft, hard = (
        graph_model(text.format(each), w=W) for each in (SOFT.format("Softmax<axis = 0>"), HARD)
    )
    assert not judge(soft, hard).passed


def test_of_what_random_numbers_are_like_only_the_shape_is_compared() -> None:
    text = """(float[N, 8] x) => (float[N, 8] y) {{
        {} r = RandomNormalLike(like) y = Add(x, r) }}"""
    one, other = (
        graph_model(text.format(each)) for each in ("like = Neg(x)", "like = Identity(x)")
    )
    assert judge(one, other).passed
    longer = graph_model(text.format("like = Concat<axis = 0>(x, x)").replace("y = Add", "z = Add"))
    longer.graph.node[-1].input[0] = "like"
    longer.graph.output[0].name = longer.graph.node[-1].output[0] = "y"
    assert not judge(one, longer).passed
