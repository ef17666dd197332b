"""Selections and chance inside If, Loop and Scan: bodies are judged as models of their own."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from normonnx.judge import Judge
from tests.judge.building import Array, graph_model, judge, replace_weight, run_ort

RANDOM = np.random.default_rng(18)


def normal(*shape: int) -> Array:
    return RANDOM.standard_normal(shape).astype(np.float32)


IF = """(float[N, 8] x, bool c) => (int64[N, 1] y) {{
    y = If (c) <
        then_branch = yes () => (int64[N, 1] a) {{ {product} a = ArgMax <axis = 1> (h) }},
        else_branch = no () => (int64[N, 1] b) {{ g = MatMul(x, v) b = ArgMax <axis = 1> (g) }}
    >
}}"""
LOOP = """(float[N, 8] x) => (float[N, 8] y) {{
    y = Loop (trips, going, x) <body = b (int64 i, bool on, float[N, 8] s)
        => (bool still, float[N, 8] t) {{
        still = Identity(on)
        {product}
        r = Round(h)
        m = MatMul(r, v)
        t = Tanh(m)
    }}>
}}"""
SCAN = """(float[S, 8] x) => (float[8] z, float[S, 8] y) {{
    z, y = Scan <num_scan_inputs = 1, body = b (float[8] s, float[8] e)
        => (float[8] t, float[8] o) {{
        {product}
        r = Floor(h)
        o = MatMul(r, v)
        t = Add(s, e)
    }}> (start, x)
}}"""
NESTED = """(float[N, 8] x, bool c) => (float[N, 8] y) {{
    y = Loop (trips, going, x) <body = b (int64 i, bool on, float[N, 8] s)
        => (bool still, float[N, 8] t) {{
        still = Identity(on)
        t = If (c) <
            then_branch = yes () => (float[N, 8] p) {{ {product} p = Ceil(h) }},
            else_branch = no () => (float[N, 8] q) {{ q = MatMul(s, v) }}
        >
    }}>
}}"""
RANDOMLY = """(float[N, 8] x, bool c) => (float[N, 8] y) {{
    y = If (c) <
        then_branch = yes () => (float[N, 8] a) {{
            {product} n = RandomNormalLike(h) a = Add(h, n) }},
        else_branch = no () => (float[N, 8] b) {{ b = MatMul(x, v) }}
    >
}}"""
OUTSIDE = """(float[N, 8] x, bool c) => (int64[N, 1] y) {{
    {product}
    y = If (c) <
        then_branch = yes () => (int64[N, 1] a) {{ a = ArgMax <axis = 1> (h) }},
        else_branch = no () => (int64[N, 1] b) {{ g = MatMul(x, v) b = ArgMax <axis = 1> (g) }}
    >
}}"""
TEXTS = {
    "if": (IF, "x"),
    "loop": (LOOP, "s"),
    "scan": (SCAN, "e"),
    "nested": (NESTED, "s"),
    "random": (RANDOMLY, "x"),
    "outside": (OUTSIDE, "x"),
}
W, V = normal(8, 8), normal(8, 8)


def selecting(which: str, product: str = "h = MatMul({}, w)") -> onnx.ModelProto:
    text, read = TEXTS[which]
    more = {"trips": np.int64(3), "going": np.array(True), "start": np.zeros(8, np.float32)}
    used = {name: value for name, value in more.items() if name in text}
    product = product.format(read)
    parts = {"half": W / 2} if "half" in product else {"w": W}
    return graph_model(text.format(product=product), v=V, **parts, **used)


@pytest.mark.parametrize("which", TEXTS)
@pytest.mark.parametrize("name", ["w", "v"])
def test_weights_in_front_of_and_behind_a_selection_in_a_body(which: str, name: str) -> None:
    model = selecting(which)
    changed = (W if name == "w" else V).copy()
    changed[:, :2] *= 1.5
    verdict = judge(model, replace_weight(model, name, changed))
    assert verdict.status == "fail", verdict.line()


@pytest.mark.parametrize("which", TEXTS)
@pytest.mark.parametrize(
    "product",
    ["k = Neg({}) l = MatMul(k, w) h = Neg(l)", "l = MatMul({}, half) h = Add(l, l)"],
)
def test_another_spelling_in_a_body_is_no_error(which: str, product: str) -> None:
    verdict = judge(selecting(which), selecting(which, product))
    assert verdict.passed, verdict.line()


def test_what_was_done_is_told() -> None:
    verdict = judge(selecting("if"), selecting("if", "k = Neg({}) l = MatMul(k, w) h = Neg(l)"))
    told = [t.message for t in verdict.tiers if t.status == "info"]
    assert any("the then branch of If 'If_0' was judged as a model of its own" in t for t in told)


def test_a_difference_too_small_to_be_chosen_by_is_seen() -> None:
    """No feed of those drawn makes the choice another."""
    model = selecting("if")
    changed = W.copy()
    changed[:, 3] *= np.float32(1.001)
    other = replace_weight(model, "w", changed)
    x = normal(3, 8)
    one, two = (run_ort(m, {"x": x, "c": np.array(True)})[0] for m in (model, other))
    assert np.array_equal(one, two)
    assert judge(model, other).status == "fail"


def test_a_body_without_like_is_named() -> None:
    text = """(float[N, 8] x, bool c) => (int64[N, 1] y) {
        h = MatMul(x, w)
        g = MatMul(x, v)
        s = Where(c, h, g)
        y = ArgMax <axis = 1> (s)
    }"""
    verdict = judge(selecting("if"), graph_model(text, w=W, v=V))
    assert verdict.status == "inconclusive"
    assert "what is selected inside If 'If_0' is not compared" in verdict.line()


def test_a_body_that_no_reference_reaches_is_named() -> None:
    text = """(float[N, 8] x) => (int64[N, 1] y) {
        d = com.microsoft.CDist <metric: string = "sqeuclidean"> (x, v)
        m = ReduceMax <keepdims: int = 0> (d)
        c = Greater(m, bound)
        y = If (c) <
            then_branch = yes () => (int64[N, 1] a) {
                h = MatMul(d, w) a = ArgMax <axis = 1> (h) },
            else_branch = no () => (int64[N, 1] b) { b = ArgMax <axis = 1> (x) }
        >
    }"""
    model = graph_model(text, w=W, v=V, bound=np.float32(0))
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    verdict = judge(model, replace_weight(model, "w", W * np.float32(1.001)))
    assert not verdict.passed
    assert (
        "is not compared: there is no float64 reference for com.microsoft.CDist" in verdict.line()
    )


def test_a_tolerance_for_all_outputs_is_for_what_comes_out() -> None:
    model = selecting("if")
    changed = replace_weight(model, "w", W * np.float32(1.001))
    assert judge(model, changed, rtol=1e-3, atol=1e-3).passed
    assert not judge(model, changed).passed


EQUAL_INSIDE = """(float[N, 8] x) => (float[N, 8] y) {{
    h = MatMul(x, w)
    r = Loop (trips, going, h) <body = b (int64 i, bool on, float[N, 8] s)
        => (bool still, float[N, 8] t) {{
        still = Identity(on)
        p = Sigmoid(s)
        n = Bernoulli(p)
        t = Add(s, n)
    }}>
    {}
}}"""


@pytest.mark.parametrize("certified", [None, 1])
@pytest.mark.parametrize(("factor", "status"), [(1, "pass"), (1.01, "fail")])
def test_chance_inside_of_equal_bodies_is_fed_alike(
    certified: int | None, factor: float, status: str
) -> None:
    numbers = {"trips": np.int64(3), "going": np.bool_(True), "w": W}
    after = "d = MatMul(r, v) y = Mul(d, k)", "y = MatMul(r, v)"
    texts = [EQUAL_INSIDE.format(text) for text in after]
    one = graph_model(texts[0], v=V, k=np.float32(2), **numbers)
    other = graph_model(texts[1], v=(V * np.float32(2 * factor)), **numbers)
    verdict = Judge(ir.from_proto(one)).judge(ir.from_proto(other), certified=certified)
    assert verdict.status == status, verdict.first_failure
