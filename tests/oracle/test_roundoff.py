"""A runtime that is luckier than the types of a model promise sets no standard for the rewrite."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest

from normonnx.judge import Judge, Verdict, VerifyOptions
from normonnx.judge.tiers.declared import declared_types, narrowest_weight
from normonnx.oracle.oracle import Oracle
from normonnx.oracle.roundoff import BY_CHANCE, Roundoff
from tests.judge.building import Array, graph_model, respelled

HALF, SINGLE, DOUBLE = (np.dtype(t) for t in (np.float16, np.float32, np.float64))
VALUE = ir.Value(name="v")


def judge(
    before: onnx.ModelProto, after: onnx.ModelProto, exact: dict[str, Array] | None = None
) -> Verdict:
    judged = Judge(ir.from_proto(before), VerifyOptions())
    return judged.judge(ir.from_proto(after), exact=exact, locating=True)


def tier(verdict: Verdict, code: str) -> tuple[str, str]:
    return next((t.status, t.message) for t in verdict.tiers if t.code == code)


@pytest.mark.parametrize("dtype", [HALF, SINGLE, np.dtype(ml_dtypes.bfloat16)])
def test_rounding_by_chance_is_fair_and_leaves_alone_what_is_rounded(dtype: np.dtype[Any]) -> None:
    random = np.random.default_rng(0)
    # Not below the smallest normal number of float16.
    values = random.choice([-1.0, 1.0], 20_000) * 10 ** random.uniform(-4, 4, 20_000)
    nearest = values.astype(dtype).astype(np.float64)
    roundoff = Roundoff(dtype, seed=1)
    assert np.array_equal(roundoff.value(VALUE, nearest), nearest)
    rounded = roundoff.value(VALUE, values)
    assert np.array_equal(rounded.astype(dtype).astype(np.float64), rounded)
    unit = 2.0 ** np.floor(np.log2(np.abs(values))) * float(ml_dtypes.finfo(dtype).eps)
    far, least = (rounded - values) / unit, (nearest - values) / unit
    assert abs(far.mean()) < 0.01
    assert np.abs(far).max() <= 1
    assert np.sqrt(np.mean(far**2)) / BY_CHANCE == pytest.approx(
        np.sqrt(np.mean(least**2)), rel=0.03
    )


def in_blocks(x: Array, w: Array, block: int) -> Array:
    """A product of matrices in float32, each sum rounded at every step, block by block."""
    products = (x[:, :, None] * w[None]).astype(np.float32)
    total = np.zeros((len(x), w.shape[1]), np.float32)
    for start in range(0, w.shape[0], block):
        part = np.zeros_like(total)
        for k in range(start, min(start + block, w.shape[0])):
            part += products[:, k]
        total += part
    return total


@pytest.mark.parametrize("terms", [16, 500, 6000])
@pytest.mark.parametrize("mean", [0.0, 1.0])
def test_sums_are_rounded_on_their_way(terms: int, mean: float) -> None:
    model = ir.from_proto(
        graph_model(
            f"(float[8, {terms}] x, float[{terms}, 8] w) => (float[8, 8] y) {{ y = MatMul(x, w) }}"
        )
    )
    random = np.random.default_rng(terms)
    x = (random.standard_normal((8, terms)) + mean).astype(np.float32)
    w = (random.standard_normal((terms, 8)) + mean).astype(np.float32)
    exact = x.astype(np.float64) @ w.astype(np.float64)
    seen = np.sqrt(np.mean((in_blocks(x, w, 128) - exact) ** 2))
    roundoff = Roundoff(SINGLE, seed=0, sums=True)
    told = Oracle(model).run({"x": x, "w": w}, roundoff=roundoff).outputs["y"] - exact
    assert 0.5 <= np.sqrt(np.mean(told**2)) / BY_CHANCE / seen <= 2.5


def test_infinite_sums_stay() -> None:
    model = ir.from_proto(
        graph_model("(float[2, 2] x, float[2, 1] w) => (float[2, 1] y) { y = MatMul(x, w) }")
    )
    feed = {"x": np.float32([[-np.inf, 1], [2, 3]]), "w": np.float32([[1], [1]])}
    made = Oracle(model).run(feed, roundoff=Roundoff(SINGLE, seed=0, sums=True)).outputs["y"]
    assert made[0, 0] == -np.inf
    assert made[1, 0] == pytest.approx(5, rel=1e-6)


def test_what_has_no_narrow_type_stays() -> None:
    whole, wide = np.arange(5), np.array([np.pi, np.inf, np.nan])
    assert Roundoff(HALF, seed=0).value(VALUE, whole) is whole
    moved = Roundoff(DOUBLE, seed=0).value(VALUE, wide)
    assert abs(moved[0] - np.pi) <= np.spacing(np.pi)
    assert np.isinf(moved[1])
    assert np.isnan(moved[2])
    many = np.linspace(1, 2, 100)
    assert not np.array_equal(Roundoff(DOUBLE, seed=0).value(VALUE, many), many)
    assert Roundoff({}, seed=0).value(VALUE, wide) is wide
    rounded = Roundoff(HALF, seed=0).value(VALUE, wide)
    assert np.isinf(rounded[1])
    assert np.isnan(rounded[2])


def test_weights_are_disturbed_by_an_ulp_and_zeros_not() -> None:
    weights = np.array([0.0, 1.0, -3.0, 100.0])
    moved = Roundoff(HALF, seed=0, weights=True).weight(VALUE, weights) - weights
    assert moved[0] == 0
    assert (np.abs(moved) <= [0, 2**-10, 2**-9, 2**-4]).all()
    assert (moved[1:] != 0).all()


@pytest.mark.parametrize("stored", [True, False])
def test_constants_are_weights_wherever_they_are(stored: bool) -> None:
    body = "y = Mul(x, w)" if stored else "w = Constant <value = float[1] {3.0}> () y = Mul(x, w)"
    weights = {"w": np.float32([3])} if stored else {}
    model = ir.from_proto(graph_model(f"(float[64] x) => (float[64] y) {{ {body} }}", **weights))
    x = np.ones(64, np.float32)
    for disturbed in (False, True):
        y = Oracle(model).run({"x": x}, roundoff=Roundoff(HALF, seed=0, weights=disturbed))
        assert (y.outputs["y"] == 3).all() != disturbed


def test_types_follow_from_the_operators() -> None:
    text = """(float16[4] x) => (double[4] y) {
        a = Mul(x, w)
        b = Cast <to = 1> (a)
        c = Constant <value = float[1] {0.5}> ()
        d = Add(b, c)
        s = Shape(d)
        k = ConstantOfShape(s)
        e = Add(d, k)
        y = Cast <to = 11> (e)
    }"""
    model = ir.from_proto(graph_model(text, w=np.ones(4, np.float16)))
    types = {str(v.name): t for v, t in declared_types(model).items()}
    single = dict.fromkeys("bcdke", SINGLE)
    assert types == {"x": HALF, "w": HALF, "a": HALF, "y": DOUBLE, **single}
    assert narrowest_weight(model) == HALF
    assert narrowest_weight(ir.from_proto(graph_model(text, w=np.ones(4)))) == SINGLE


def test_every_value_is_rounded_to_its_own_type() -> None:
    text = "(float[64] x) => (float16[64] y) { h = Exp(x) y = Cast <to = 10> (h) }"
    model = ir.from_proto(graph_model(text))
    x = np.random.default_rng(0).standard_normal(64).astype(np.float32)
    rounded = Roundoff(declared_types(model), seed=0)
    y = Oracle(model).run({"x": x}, roundoff=rounded).outputs["y"]
    assert y.dtype == np.float64
    assert np.array_equal(y, y.astype(np.float16).astype(np.float64))
    assert not np.array_equal(y, np.exp(x.astype(np.float64)))


def test_a_fold_in_half_precision_whose_output_is_wide() -> None:
    """ONNX Runtime's CPU computes the original in float32 throughout; its types promise less."""
    text = "(float16[5, 16] x) => (double[5, 16] y) {{ {} y = Cast <to = 11> (h) }}"
    random = np.random.default_rng(0)
    w, s = (random.uniform(0.5, 2, n).astype(np.float16) for n in ((16, 16), (16,)))
    before = graph_model(text.format("a = MatMul(x, w) h = Mul(a, s)"), w=w, s=s)
    exact = w.astype(np.float64) * s.astype(np.float64)
    after = graph_model(text.format("h = MatMul(x, w)"), w=exact.astype(np.float16))
    verdict = judge(before, after, {"w": exact})
    assert verdict.passed, verdict.line()
    assert verdict.excuses
    assert "excused as rounding" in verdict.line()
    if "promise" in verdict.line():  # other runtimes may round between the operators
        assert any("than its types let the original be" in note for note in verdict.notes)
    wrong = exact.copy()
    wrong[:, 3] *= 1.02
    verdict = judge(before, graph_model(text.format("h = MatMul(x, w)"), w=wrong.astype(HALF)))
    assert verdict.status == "fail"


def test_a_float64_truth_that_cancels_as_the_original_does() -> None:
    """E[x²] − E[x]² in float64: a norm in one operator is nearer to what is meant, and far away."""
    text = "(double[5, 2] x) => (double[5, 2] y) {{ {} }}"
    scale = np.array([1.4, -0.8])
    spelled = """m = ReduceMean <axes = [1]> (x) q = Mul(x, x) s = ReduceMean <axes = [1]> (q)
        n = Mul(m, m) v = Sub(s, n) e = Add(v, eps) r = Sqrt(e) d = Sub(x, m) g = Mul(d, scale)
        y = Div(g, r)"""
    before = graph_model(text.format(spelled), eps=np.float64(np.float32(1e-6)), scale=scale)
    fused = "y = LayerNormalization <axis = 1, epsilon = 0.000001, stash_type = 11> (x, scale)"
    verdict = judge(before, graph_model(text.format(fused), scale=scale))
    assert verdict.passed, verdict.line()
    wrong = fused.replace("0.000001", "0.00001")
    assert judge(before, graph_model(text.format(wrong), scale=scale)).status == "fail"


def test_a_mean_close_to_the_values_over_no_variance() -> None:
    """A channel without variance is scaled by 300; folded, its shift cancels with its values."""
    text = "(float[4, 2, 8] x) => (float[4, 2, 8] y) {{ {} }}"
    statistics = {
        "gamma": np.float32([1.2, 1.1]),
        "beta": np.float32([0.9, -1.8]),
        "mean": np.float32([-0.634945, 0.08]),
        "variance": np.float32([0, 0.65]),
    }
    norm = "BatchNormalization(x, gamma, beta, mean, variance)"
    before = graph_model(text.format(f"h = {norm} y = Mul(h, c)"), c=np.float32(2), **statistics)
    factor = statistics["gamma"].astype(np.float64)
    factor /= np.sqrt(statistics["variance"].astype(np.float64) + np.float32(1e-5))
    shift = statistics["beta"] - factor * statistics["mean"].astype(np.float64)
    folded = {"k": (2 * factor).reshape(2, 1), "b": (2 * shift).reshape(2, 1)}

    def made(exact: dict[str, Array]) -> onnx.ModelProto:
        stored = {name: array.astype(np.float32) for name, array in exact.items()}
        return graph_model(text.format("h = Mul(x, k) y = Add(h, b)"), **stored)

    verdict = judge(before, made(folded), folded)
    assert verdict.passed, verdict.line()
    wrong = {**folded, "k": folded["k"] * (1 + 1e-5)}
    assert judge(before, made(wrong)).status == "fail"


WIDE_INSIDE = """(float16[4, 16] x) => (float16[4, 16] y) {{
    a = Cast <to = 1> (x)
    b = MatMul(a, w)
    {}
    y = Cast <to = 10> (c)
}}"""


def test_what_the_type_of_an_output_hides_is_seen_in_float64() -> None:
    """A shift that is off by a tenth of float16's ulp, in a model that adds it in float32."""
    random = np.random.default_rng(0)
    w = random.standard_normal((16, 16)).astype(np.float32)
    shift = random.uniform(1, 2, 16).astype(np.float32)
    before = graph_model(WIDE_INSIDE.format("c = Add(b, s)"), w=w, s=shift)
    after = graph_model(WIDE_INSIDE.format("c = Add(b, s)"), w=w, s=shift * np.float32(1.0001))
    assert judge(before, respelled(before)).passed
    verdict = judge(before, after)
    assert verdict.status == "fail"
    status, message = tier(verdict, "T2")
    assert status == "fail"
    assert "rounding weights explains" in message
    assert verdict.divergence is not None
    assert verdict.divergence.tensor == "c"
    assert "Add" in verdict.divergence.producer


def test_weights_rounded_again_are_explained_by_rounding() -> None:
    """A fold in float32 arithmetic, as other tools do it, is further than 1e-9 and no error."""
    random = np.random.default_rng(0)
    w = random.standard_normal((16, 16)).astype(np.float32)
    scale = random.uniform(0.01, 3, 16).astype(np.float32)
    before = graph_model(WIDE_INSIDE.format("c = Mul(b, s)"), w=w, s=scale)
    after = graph_model(WIDE_INSIDE.format("c = Identity(b)"), w=(w * scale))
    verdict = judge(before, after)
    assert verdict.passed, verdict.line()
    assert tier(verdict, "T2")[0] == "pass"


def test_a_jump_is_not_held_against_a_foreign_model() -> None:
    text = "(float[4, 16] x) => (float[4, 16] y) {{ a = MatMul(x, w) {} y = Floor(b) }}"
    random = np.random.default_rng(0)
    w = random.standard_normal((16, 16)).astype(np.float32)
    before = graph_model(text.format("b = Mul(a, s)"), w=w, s=np.float32(3))
    after = graph_model(text.format("b = Identity(a)"), w=w * np.float32(3))
    verdict = judge(before, after)
    assert verdict.passed, verdict.line()
    assert tier(verdict, "T2")[0] == "pass"


def test_a_runtime_that_gives_another_shape_than_the_standard_decides_nothing() -> None:
    """A window larger than its input: no output by the standard's formula, one by the runtime's."""
    text = """(float[1, 2, 1] x) => (float[1, 2, n] y) {
        a = AveragePool <kernel_shape = [2], strides = [2]> (x)
        y = Add(a, c)
    }"""
    model = graph_model(text, c=np.float32(1))
    verdict = judge(model, respelled(model))
    assert verdict.status != "fail", verdict.line()
    if verdict.status == "inconclusive":  # a runtime may come to agree with the standard
        assert "by the standard and" in verdict.first_failure
