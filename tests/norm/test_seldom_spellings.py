"""Spellings that are seldom seen become one LayerNormalization; what is one fact away does not."""

from __future__ import annotations

import numpy as np
import pytest

from .fusing import difference, fuse, random_feeds
from .text import ROW, Weight, layer, model

MEAN = "m = ReduceMean <axes=[-1]> (x)"
CENTRED = f"{MEAN} d = Sub (x, m)"
SPREAD = "p = Mul (d, d) v = ReduceMean <axes=[-1]> (p)"
VARIANCE = f"{CENTRED} {SPREAD}"
QUOTIENT = "e = Add (v, eps) r = Sqrt (e) y = Div (d, r)"
END = f"{SPREAD} {QUOTIENT}"
BEHIND = f"d = Sub (x, m) {END}"
IN_3D = "x4 = Unsqueeze (x, two_) "

EYE, ONES = np.eye(ROW), np.ones((ROW, ROW))

HALVES = (
    "a, c = Split <axis=-1> (x, {sizes}) ma = ReduceMean <axes=[-1]> (a)"
    " mc = ReduceMean <axes=[-1]> (c) wa = Mul (ma, {first}) wc = Mul (mc, {second})"
    " m = Add (wa, wc)"
)
"""The mean of x from those of two parts."""

WELFORD = (
    HALVES.format(sizes="equal", first="half", second="half")
    + " da = Sub (a, ma) dc = Sub (c, mc) qa = Mul (da, da) qc = Mul (dc, dc)"
    " va = ReduceMean <axes=[-1]> (qa) vc = ReduceMean <axes=[-1]> (qc) s = Add (va, vc)"
    " w = Mul (s, half) t = Sub (ma, mc) tt = Mul (t, t) u = Mul (tt, {share}) v = Add (w, u)"
    f" d = Sub (x, m) {QUOTIENT}"
)
"""The variance of x from those of two halves, and the distance of their means."""

GIVEN: dict[str, Weight] = {
    "n": np.float32(ROW),
    "minus": np.float32(-1),
    "one": np.float32(1),
    "zero": np.float32(0),
    "half_": np.float32(-0.5),
    "third": np.float32(-1 / 3),
    "huge": np.float32(3e38),
    "large": np.float32(1e4),
    "last": np.array([-1]),
    "before": np.array([-2]),
    "two_": np.array([2]),
    "along": np.array(-1),
    "end": np.array(ROW - 1),
    "third_": np.array(2),
    "mean": ONES / ROW,
    "centring": EYE - ONES / ROW,
    "turning": np.roll(EYE, 1, axis=0) - ONES / ROW,
    "column": np.full(ROW, 1 / ROW),
    "uneven": np.linspace(0, 1, ROW),
    "taps": np.eye(3)[:, :, None] * np.full(ROW, 1 / ROW),
    "mixing": np.ones((3, 3, 1)) * np.full(ROW, 1 / ROW),
    "ramp": np.eye(3)[:, :, None] * np.linspace(0, 1, ROW),
    "half": np.float32(0.5),
    "quarter": np.float32(0.25),
    "three": np.float32(3 / 8),
    "five": np.float32(5 / 8),
    "equal": np.array([4, 4]),
    "unequal": np.array([3, 5]),
    "depthwise": np.full((3, 1, ROW), 1 / ROW),
}

SPELLINGS = {
    "x + (−m)": f"{MEAN} k = Neg (m) d = Add (x, k) {END}",
    "−(m − x)": f"{MEAN} k = Sub (m, x) d = Neg (k) {END}",
    "a Sum of x and −m": f"{MEAN} k = Neg (m) d = Sum (x, k) {END}",
    "m · (−1)": f"{MEAN} k = Mul (m, minus) d = Add (k, x) {END}",
    "the mean of −x": f"a = Neg (x) m = ReduceMean <axes=[-1]> (a) d = Add (x, m) {END}",
    "a double negation": f"{MEAN} a = Neg (x) c = Neg (a) d = Sub (c, m) {END}",
    "a centring matrix": f"d = MatMul (x, centring) {END}",
    "a centring matrix in an Einsum": f'd = Einsum <equation="abi,ij->abj"> (x, centring) {END}',
    "a matrix of 1/N": f"m = MatMul (x, mean) {BEHIND}",
    "an Einsum with 1/N": f'k = Einsum <equation="abi,i->ab"> (x, column)'
    f" m = Unsqueeze (k, last) {BEHIND}",
    "an Einsum that sums": f'k = Einsum <equation="abi->ab"> (x) c = Div (k, n)'
    f" m = Unsqueeze (c, last) {BEHIND}",
    "an Einsum of squares": f'{CENTRED} k = Einsum <equation="abi,abi->ab"> (d, d) c = Div (k, n)'
    f" v = Unsqueeze (c, last) {QUOTIENT}",
    "squares by an Einsum": f'{CENTRED} p = Einsum <equation="abi,abi->abi"> (d, d)'
    f" v = ReduceMean <axes=[-1]> (p) {QUOTIENT}",
    "an AveragePool": f"m = AveragePool <kernel_shape=[8]> (x) {BEHIND}",
    "an AveragePool over two axes": "x4 = Unsqueeze (x, two_) k = AveragePool <kernel_shape=[1,8]>"
    f" (x4) m = Squeeze (k, two_) {BEHIND}",
    "the end of a running sum": "c = CumSum (x, along) s = Gather <axis=-1> (c, end)"
    f" k = Unsqueeze (s, last) m = Div (k, n) {BEHIND}",
    "the beginning of a reversed running sum": "c = CumSum <reverse=1> (x, along)"
    " s = Gather <axis=2> (c, first) k = Unsqueeze (s, last) m = Div (k, n) "
    f"{BEHIND}",
    "a convolution with constant taps": f"m = Conv (x, taps) {BEHIND}",
    "a depthwise convolution": f"m = Conv <group=3> (x, depthwise) {BEHIND}",
    "the mean of all parts": "s0, s1, s2, s3, s4, s5, s6, s7 = Split <axis=-1> (x)"
    f" m = Mean (s0, s1, s2, s3, s4, s5, s6, s7) {BEHIND}",
    "the mean of halves": f"{HALVES} {BEHIND}".format(sizes="equal", first="half", second="half"),
    "the mean of unequal parts": f"{HALVES} {BEHIND}".format(
        sizes="unequal", first="three", second="five"
    ),
    "the variance of halves": WELFORD.format(share="quarter"),
    "ReduceL1 of squares": f"{CENTRED} p = Mul (d, d) s = ReduceL1 <axes=[-1]> (p) v = Div (s, n)"
    f" {QUOTIENT}",
    "the square of −d": f"{CENTRED} a = Neg (d) p = Mul (a, a) v = ReduceMean <axes=[-1]> (p)"
    f" {QUOTIENT}",
    "the square of |d|": f"{CENTRED} a = Abs (d) p = Pow (a, two) v = ReduceMean <axes=[-1]> (p)"
    f" {QUOTIENT}",
    "rows times columns": f"{CENTRED} a = Unsqueeze (d, before) c = Unsqueeze (d, last)"
    f" q = MatMul (a, c) k = Div (q, n) v = Squeeze (k, last) {QUOTIENT}",
    "ΣD² − (ΣD)²/N": f"{CENTRED} p = Mul (d, d) s = ReduceSum (p, last) t = ReduceSum (d, last)"
    f" u = Mul (t, t) w = Div (u, n) z = Sub (s, w) v = Div (z, n) {QUOTIENT}",
    "exp(−½·log v)": f"{VARIANCE} e = Add (v, eps) l = Log (e) h = Mul (l, half_) r = Exp (h)"
    " y = Mul (d, r)",
    "exp(log v / −2)": f"{VARIANCE} e = Add (v, eps) l = Log (e) k = Neg (two) h = Div (l, k)"
    " r = Exp (h) y = Mul (d, r)",
    "a Where that never chooses": f"{VARIANCE} e = Add (v, eps) c = Greater (e, zero)"
    " k = Where (c, e, one) r = Sqrt (k) y = Div (d, r)",
    "a Where that always chooses": f"{VARIANCE} e = Add (v, eps) c = LessOrEqual (e, zero)"
    " k = Where (c, one, e) r = Sqrt (k) y = Div (d, r)",
    "a Clip with a huge bound": f"{VARIANCE} c = Clip (v, zero, huge) e = Add (c, eps) r = Sqrt (e)"
    " y = Div (d, r)",
    "a Min with a huge number": f"{VARIANCE} c = Min (huge, v) e = Add (c, eps) r = Sqrt (e)"
    " y = Div (d, r)",
}  # fmt: skip

LOOK_ALIKES = {
    "x + m": f"{MEAN} d = Add (x, m) {END}",
    "a matrix that turns as well": f"d = MatMul (x, turning) {END}",
    "an Einsum with weights": f'k = Einsum <equation="abi,i->ab"> (x, uneven)'
    f" m = Unsqueeze (k, last) {BEHIND}",
    "an Einsum over another axis": f'k = Einsum <equation="abi->ai"> (x) c = Div (k, n)'
    f" m = Unsqueeze (c, one_) {BEHIND}",
    "a pool that pads": "m = AveragePool <kernel_shape=[8], pads=[1,0], count_include_pad=1>"
    f" (x) k = Gather <axis=2> (m, first_) d = Sub (x, k) {END}",
    "a pool over a part": f"k = AveragePool <kernel_shape=[7]> (x) m = Gather <axis=2> (k, first_)"
    f" {BEHIND}",
    "the middle of a running sum": "c = CumSum (x, along) s = Gather <axis=-1> (c, third_)"
    f" k = Unsqueeze (s, last) m = Div (k, n) {BEHIND}",
    "a running sum without its last": "c = CumSum <exclusive=1> (x, along)"
    f" s = Gather <axis=-1> (c, end) k = Unsqueeze (s, last) m = Div (k, n) {BEHIND}",
    "a convolution with a ramp": f"m = Conv (x, ramp) {BEHIND}",
    "a convolution that mixes channels": f"m = Conv (x, mixing) {BEHIND}",
    "unequal parts that count alike": f"{HALVES} {BEHIND}".format(
        sizes="unequal", first="half", second="half"
    ),
    "equal parts that count differently": f"{HALVES} {BEHIND}".format(
        sizes="equal", first="three", second="five"
    ),
    "the variance of halves, their distance counted half": WELFORD.format(share="half"),
    "one half left out": "a, c = Split <axis=-1> (x, equal) m = ReduceMean <axes=[-1]> (a)"
    f" {BEHIND}",
    "ReduceL1 of what has signs": f"{CENTRED} s = ReduceL1 <axes=[-1]> (d) v = Div (s, n)"
    f" {QUOTIENT}",
    "the mean of |d|": f"{CENTRED} a = Abs (d) v = ReduceMean <axes=[-1]> (a) {QUOTIENT}",
    "exp(−⅓·log v)": f"{VARIANCE} e = Add (v, eps) l = Log (e) h = Mul (l, third) r = Exp (h)"
    " y = Mul (d, r)",
    "exp without a logarithm": f"{VARIANCE} h = Mul (v, half_) r = Exp (h) y = Mul (d, r)",
    "a Where that bites": f"{VARIANCE} e = Add (v, eps) c = Greater (e, one)"
    " k = Where (c, e, one) r = Sqrt (k) y = Div (d, r)",
    "a Where that asks of the value": f"{VARIANCE} e = Add (v, eps) c = Greater (x, zero)"
    " k = Where (c, e, one) r = Sqrt (k) y = Div (d, r)",
    "a Where that chooses the other": f"{VARIANCE} e = Add (v, eps) c = Greater (e, zero)"
    " k = Where (c, one, e) r = Sqrt (k) y = Div (d, r)",
    "a Min that bites": f"{VARIANCE} c = Min (v, one) e = Add (c, eps) r = Sqrt (e) y = Div (d, r)",
    "a Clip that may bite": f"{VARIANCE} c = Clip (v, zero, large) e = Add (c, eps) r = Sqrt (e)"
    " y = Div (d, r)",
}  # fmt: skip

MORE: dict[str, Weight] = {
    "first": np.array(0), "first_": np.array([0]), "one_": np.array([1]),
}  # fmt: skip


def opset(nodes: str) -> int:
    """Before opset 18 the axes of ReduceMean and ReduceL1 are attributes."""
    return 17 if "axes=" in nodes else 18


@pytest.mark.parametrize("nodes", SPELLINGS.values(), ids=SPELLINGS)
def test_is_a_layer_norm(nodes: str) -> None:
    proto = model(layer(nodes), GIVEN | MORE, opset=opset(nodes))
    fused = fuse(proto)
    assert fused.operators == ["LayerNormalization"], fused.reasons
    for seed, spread in enumerate((1.0, 1e-3)):
        feeds = random_feeds(proto, seed, spread=spread)

        assert difference(proto, fused.proto, feeds) < 1e-9


@pytest.mark.parametrize("nodes", LOOK_ALIKES.values(), ids=LOOK_ALIKES)
def test_is_no_layer_norm_of_x(nodes: str) -> None:
    proto = model(layer(nodes), GIVEN | MORE, opset=opset(nodes))
    fused = fuse(proto)
    assert fused.operators != ["LayerNormalization"]
    for seed, spread in enumerate((3.0, 1e-2)):
        assert difference(proto, fused.proto, random_feeds(proto, seed, spread=spread)) < 1e-9


def test_a_copy_beside_what_it_was_made_of_is_no_source() -> None:
    """The root reads x and −(−x); a norm of −(−x) alone would leave the mean of x behind."""
    nodes = (
        "c = Cast <to=1> (x) m = ReduceMean <axes=[-1]> (c) a = Neg (c) k = Neg (a) d = Sub (k, m)"
        f" {SPREAD} e = Add (v, eps) r = Sqrt (e) q = Div (d, r) y = Cast <to=10> (q)"
    )
    graph = layer(nodes, x="float16[2,3,8] x", y="float16[2,3,8] y")
    fused = fuse(model(graph, GIVEN))
    assert fused.operators == ["LayerNormalization"], fused.reasons
    [node] = fused.proto.graph.node
    assert node.input[0] == "x"
