"""What looks like a norm and is none: left alone, with the fact that stands in the way."""

from __future__ import annotations

import numpy as np
import pytest

from .fusing import difference, fuse, random_feeds
from .text import LAYER, RMS, WHOLE, Weight, layer, model

CENTRED = "m = ReduceMean <axes=[-1]> (x) d = Sub (x, m)"
VARIANCE = f"{CENTRED} p = Mul (d, d) v = ReduceMean <axes=[-1]> (p)"
ROOT = "e = Add (v, eps) r = Sqrt (e)"
SQUARE = {"x": "float[8,8] x", "y": "float[8,8] y"}

TABLE: list[tuple[str, str, dict[str, Weight], str]] = [
    # name, graph, weights, a part of the reason; "" where it resembles no norm at all
    ("epsilon outside the root", layer(
        f"{VARIANCE} r = Sqrt (v) e = Add (r, eps) y = Div (d, e)"), {},
     "epsilon (1e-05) is added to the root, not under it"),
    ("epsilon outside, by the reciprocal", layer(
        f"{VARIANCE} r = Sqrt (v) e = Add (r, eps) i = Reciprocal (e) n = Mul (d, i)"
        " y = Mul (n, g)"), {}, "is added to the root, not under it"),
    ("third power", layer(WHOLE), {"two": np.float32(3)}, "a mean is taken of x^3"),
    ("fourth power of RMS", layer(f"{RMS} y = Mul (n, g)"), {"two": np.float32(4)},
     "a mean is taken of x^4"),
    ("an odd power", layer(WHOLE), {"two": np.float32(2.5)}, "a mean is taken of"),
    ("a power that is no half", layer(WHOLE), {"two": np.float32(2.1)},
     "has the exponent 2.1"),
    ("a clamp that bites", layer(
        f"{VARIANCE} c = Max (v, low) e = Add (c, eps) r = Sqrt (e) y = Div (d, r)"),
     {"low": np.float32(0.5)}, "bounds the value from below by 0.5"),
    ("a clamp of what may be negative", layer(
        f"{CENTRED} q = Mul (x, x) s = ReduceMean <axes=[-1]> (q) w = Mul (m, m) t = Mul (w, two)"
        f" u = Sub (s, t) v = Max (u, zero) {ROOT} y = Div (d, r)"), {"zero": np.float32(0)},
     "bounds the value from below by 0"),
    ("squares of what a Relu leaves", layer(
        f"{CENTRED} o = Relu (x) q = Mul (o, o) s = ReduceMean <axes=[-1]> (q) w = Mul (m, m)"
        f" v = Sub (s, w) {ROOT} y = Div (d, r)"), {}, ""),
    ("a clip that bites", layer(
        f"{VARIANCE} c = Clip (v, low) e = Add (c, eps) r = Sqrt (e) y = Div (d, r)"),
     {"low": np.float32(0.5)}, "bounds the value from below by 0.5"),
    ("a clip from above", layer(
        f"{VARIANCE} c = Clip (v, low, high) e = Add (c, eps) r = Sqrt (e) y = Div (d, r)"),
     {"low": np.float32(0), "high": np.float32(2)}, "bounds the value from above by 2"),
    ("the smaller of two", layer(
        f"{VARIANCE} c = Min (v, high) e = Add (c, eps) r = Sqrt (e) y = Div (d, r)"),
     {"high": np.float32(2)}, "bounds the value from above"),
    ("a Dropout that drops under the root", layer(
        f"{VARIANCE} {ROOT} q = Dropout (r, half, training) y = Div (d, q)"),
     {"half": np.float32(0.5), "training": np.array(True)}, "is in training mode"),
    ("another tensor's variance", layer(
        f"{VARIANCE} {ROOT} y = Div (z, r)", x="float[2,3,8] x, float[2,3,8] z"), {},
     "'z' is divided by the spread of another value"),
    ("a second tensor in the variance", layer(
        f"{CENTRED} p = Mul (d, z) v = ReduceMean <axes=[-1]> (p) {ROOT} y = Div (d, r)",
        x="float[2,3,8] x, float[2,3,8] z"), {}, "a mean is taken of something else"),
    ("the mean square under a centred value", layer(
        f"{CENTRED} p = Mul (x, x) v = ReduceMean <axes=[-1]> (p) {ROOT} y = Div (d, r)"), {},
     "a centred value is divided by the root of a mean square that is not"),
    ("the variance under a value with its mean", layer(f"{VARIANCE} {ROOT} y = Div (x, r)"), {},
     "the variance is taken about the mean, which the value divided still has"),
    ("mean over other axes than the variance", layer(
        f"{VARIANCE} {ROOT} a = ReduceMean <axes=[1]> (x) c = Sub (x, a) y = Div (c, r)"), {},
     "the mean is taken over other axes than the variance"),
    ("variance from moments over different axes", layer(
        f"{CENTRED} q = Mul (x, x) s = ReduceMean <axes=[-1]> (q) a = ReduceMean <axes=[1,2]> (x)"
        f" w = Mul (a, a) v = Sub (s, w) {ROOT} y = Div (d, r)"), {},
     "the mean is taken over other axes than the mean square"),
    ("the mean taken nine tenths", layer(
        f"{VARIANCE} {ROOT} a = Mul (m, k) c = Sub (x, a) y = Div (c, r)"),
     {"k": np.float32(0.9)}, "the mean is subtracted with another factor"),
    ("the squared mean taken twice", layer(
        f"{CENTRED} q = Mul (x, x) s = ReduceMean <axes=[-1]> (q) w = Mul (m, m) t = Mul (w, two)"
        f" v = Sub (s, t) {ROOT} y = Div (d, r)"), {"eps": np.float32(99)},
     "the squared mean enters the variance 2 times"),
    ("the sign of TensorFlow's shift", layer(
        f"{VARIANCE} {ROOT} i = Reciprocal (r) k = Mul (i, g) a = Mul (x, k) c = Mul (m, k)"
        " o = Add (b, c) y = Add (a, o)"), {}, "the mean is subtracted with another factor"),
    ("epsilon below zero", layer(WHOLE), {"eps": np.float32(-1e-3)}, "epsilon is negative"),
    ("epsilon from outside", layer(WHOLE, x="float[2,3,8] x, float eps"), {},
     "what is under the root depends on 'eps'"),
    ("epsilon for each element", layer(
        f"{VARIANCE} {ROOT} y = Div (d, r)"), {"eps": np.full(8, 0.1) + np.arange(8)},
     "what is under the root depends on 'eps'"),
    ("divided by the variance", layer(
        f"{VARIANCE} e = Add (v, eps) y = Div (d, e) r = Sqrt (e)"), {}, ""),
    ("divided by the variance, twice through the root", layer(
        f"{VARIANCE} {ROOT} n = Div (d, r) y = Div (n, r)"), {},
     "it would not make the graph smaller"),
    ("the root of the root", layer(f"{VARIANCE} {ROOT} s = Sqrt (r) y = Div (d, s)"), {},
     "what is under the root is neither a variance nor a mean square"),
    ("mean without keepdims on a square", layer(
        WHOLE.replace("axes=[-1]", "axes=[-1], keepdims=0"), **SQUARE), {},
     "puts different axes together by broadcasting"),
    ("variance without keepdims on a square", layer(
        f"{CENTRED} p = Mul (d, d) v = ReduceMean <axes=[-1], keepdims=0> (p) {ROOT}"
        " y = Div (d, r)", **SQUARE), {}, "puts different axes together by broadcasting"),
    ("weights in the mean", layer(
        f"m = MatMul (x, w) d = Sub (x, m) p = Mul (d, d) v = ReduceMean <axes=[-1]> (p) {ROOT}"
        " y = Div (x, r)"), {"w": (8, 1)}, "'x' is divided by the spread of another value"),
    ("axes that only the run knows", layer(
        f"m = ReduceMean (x, axes) d = Sub (x, m) p = Mul (d, d) v = ReduceMean (p, axes) {ROOT}"
        " y = Div (d, r)", x="float[2,3,8] x, int64[1] axes"), {}, "are not constant"),
    ("length that only the run knows", layer(
        f"{CENTRED} p = Mul (d, d) v = ReduceMean <axes=[-1]> (p) {ROOT} y = Div (d, r)",
        x="float[2,3,n] x", y="float[2,3,n] y"), {}, "length of the normalised axes is not static"),
    ("sum over a length that only the run knows", layer(
        f"{CENTRED} p = Mul (d, d) v = ReduceSum (p, last) {ROOT} y = Div (d, r)",
        x="float[2,3,n] x", y="float[2,3,n] y"), {"last": np.array([-1])},
     "sums over axes whose length is not static"),
    ("unknown rank", layer(
        f"x = Reshape (z, s) {WHOLE.replace('axes=[-1]', 'axes=[2]')}",
        x="float[2,3,8] z, int64[n] s"), {}, "the dimensions of 'x' are not known"),
    ("an L2 norm", layer(
        "l = ReduceL2 <axes=[-1]> (x) n = Div (x, l) y = Mul (n, g)"), {}, "(L2 norm)"),
    ("an L2 norm with a floor", layer(
        "l = ReduceL2 <axes=[-1]> (x) c = Max (l, eps) y = Div (x, c)"), {},
     "(L2 norm); and Max '' bounds the value"),
    ("a length of two coordinates", layer(
        "p = Mul (x, x) q = Mul (z, z) v = Add (p, q) r = Sqrt (v) y = Div (x, r)",
        x="float[2,3,8] x, float[2,3,8] z"), {}, ""),
    ("attention's root of the row length", layer(
        "r = Sqrt (k) n = Div (x, r) y = Mul (n, g)"), {"k": np.float32(64)}, ""),
    ("rows of one number", layer(
        LAYER.replace("n = Div", "y = Div"), x="float[2,3,1] x", y="float[2,3,1] y"), {},
     "neither a variance nor a mean square"),
    ("a scale that widens the rows", layer(
        WHOLE, x="float[2,1] x", y="float[2,4] y"), {"g": (4,), "b": (4,)}, "neither a variance"),
]  # fmt: skip


@pytest.mark.parametrize(("graph", "weights", "reason"), [
    pytest.param(*row[1:], id=row[0]) for row in TABLE
])  # fmt: skip
def test_is_left_alone(graph: str, weights: dict[str, Weight], reason: str) -> None:
    fused = fuse(model(graph, weights, opset=18 if "axes)" in graph else 17))
    assert not fused.norms
    assert not fused.journal.rewrites
    if reason:
        assert any(reason in told for told in fused.reasons), fused.reasons
    else:
        assert not fused.reasons


RIGHT = [
    ("mean of another tensor", layer(
        f"m = ReduceMean <axes=[-1]> (z) d = Sub (x, m) p = Mul (d, d)"
        f" v = ReduceMean <axes=[-1]> (p) {ROOT} n = Div (d, r) y = Mul (n, g)",
        x="float[2,3,8] x, float[2,3,8] z"), {}),
    ("along axis 1 of a square", layer(
        WHOLE.replace("-1", "1"), x="float[2,8,8] x", y="float[2,8,8] y"), {}),
    ("standardised along the batch", layer(WHOLE.replace("-1", "0"), **SQUARE), {}),
    ("N nearly right", layer(
        f"{CENTRED} q = ReduceSumSquare <axes=[-1]> (d) v = Div (q, n) {ROOT} y = Div (d, r)"),
     {"n": np.float32(8.001)}),
    ("a mean that is nearly one", layer(
        f"t = ReduceSum (x, last) m = Div (t, n) d = Sub (x, m) p = Mul (d, d)"
        f" v = ReduceMean <axes=[-1]> (p) {ROOT} y = Div (d, r)"),
     {"n": np.float32(8.001), "last": np.array([-1])}),
    ("the mean alone without keepdims, on a square", layer(
        f"m = ReduceMean <axes=[-1], keepdims=0> (x) d = Sub (x, m) p = Mul (d, d)"
        f" v = ReduceMean <axes=[-1]> (p) {ROOT} y = Div (d, r)", **SQUARE), {}),
    ("the root of the mean of means", layer(
        f"a = ReduceMean <axes=[1]> (x) {WHOLE.replace('(x)', '(a)').replace('(x,', '(a,')}",
        y="float[2,1,8] y"), {}),
]  # fmt: skip


@pytest.mark.parametrize(("graph", "weights"), [
    pytest.param(*row[1:], id=row[0]) for row in RIGHT
])  # fmt: skip
def test_whatever_is_written_is_right(graph: str, weights: dict[str, Weight]) -> None:
    proto = model(graph, weights)
    fused = fuse(proto)
    assert fused.norms
    for seed, spread in enumerate((1.0, 1e-3)):
        assert difference(proto, fused.proto, random_feeds(proto, seed, spread=spread)) < 1e-6
