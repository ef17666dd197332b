"""Spellings that become one operator: a table, and what exactly is written."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from .fusing import Fused, difference, fuse, random_feeds
from .text import LAYER, RMS, WHOLE, Weight, layer, model

LN, RN = "LayerNormalization", "RMSNormalization"
CENTRED = "m = ReduceMean <axes=[-1]> (x) d = Sub (x, m)"
VARIANCE = f"{CENTRED} p = Mul (d, d) v = ReduceMean <axes=[-1]> (p)"
SQUARED = "p = Mul (x, x) v = ReduceMean <axes=[-1]> (p)"
ROOT = "e = Add (v, eps) r = Sqrt (e)"
IMAGE = {"x": "float[2,8,5,6] x", "y": "float[2,8,5,6] y"}
CHANNEL: dict[str, Weight] = {"g": (8, 1, 1), "b": (8, 1, 1)}
CHANNELS_FIRST = WHOLE.replace("-1", "1")
EIGHT = np.float32(8)

TABLE: list[tuple[str, str, dict[str, Weight], str]] = [
    # name, graph, weights, operators of the result
    ("as torch writes it", layer(WHOLE), {}, LN),
    ("no scale, no bias", layer(LAYER.replace("n = Div", "y = Div")), {}, LN),
    ("scale only", layer(f"{LAYER} y = Mul (g, n)"), {}, LN),
    ("bias only", layer(f"{LAYER} y = Add (b, n)"), {}, LN),
    ("deviation negated", layer(WHOLE.replace("Sub (x, m)", "Sub (m, x)")), {}, LN),
    ("root negated", layer(f"{VARIANCE} {ROOT} w = Neg (r) y = Div (d, w)"), {}, LN),
    ("reciprocal", layer(f"{VARIANCE} {ROOT} i = Reciprocal (r) y = Mul (i, d)"), {}, LN),
    ("inverse power", layer(f"{VARIANCE} e = Add (eps, v) i = Pow (e, h) y = Mul (d, i)"),
     {"h": np.float32(-0.5)}, LN),
    ("power", layer(f"{VARIANCE} e = Add (v, eps) r = Pow (e, h) y = Div (d, r)"),
     {"h": np.float32(0.5)}, LN),
    ("root of the reciprocal", layer(
        f"{VARIANCE} e = Add (v, eps) i = Reciprocal (e) r = Sqrt (i) y = Mul (d, r)"), {}, LN),
    ("difference of mean squares", layer(
        f"{CENTRED} q = Mul (x, x) s = ReduceMean <axes=[-1]> (q) w = Mul (m, m) v = Sub (s, w)"
        f" {ROOT} y = Div (d, r)"), {}, LN),
    ("clipped at zero", layer(
        f"{CENTRED} q = Mul (x, x) s = ReduceMean <axes=[-1]> (q) w = Mul (m, m) c = Sub (s, w)"
        f" v = Max (c, zero) {ROOT} y = Div (d, r)"), {"zero": np.float32(0)}, LN),
    ("clipped at the ends of its type", layer(
        f"{CENTRED} p = Mul (d, d) a = ReduceMean <axes=[-1]> (p) v = Clip (a, low, high) {ROOT}"
        " y = Div (d, r)"),
     {"low": np.finfo(np.float32).min, "high": np.finfo(np.float32).max}, LN),
    ("squares that no clamp changes", layer(
        f"{CENTRED} o = Mul (x, x) q = Relu (o) s = ReduceMean <axes=[-1]> (q) t = Mul (m, m)"
        f" w = Max (t, zero) v = Sub (s, w) {ROOT} y = Div (d, r)"), {"zero": np.float32(0)}, LN),
    ("TensorFlow", layer(
        f"{VARIANCE} {ROOT} i = Reciprocal (r) k = Mul (i, g) a = Mul (x, k) c = Mul (m, k)"
        " o = Sub (b, c) y = Add (a, o)"), {}, LN),
    ("TensorFlow with runtime scale", layer(
        f"{VARIANCE} {ROOT} i = Reciprocal (r) k = Mul (i, s) a = Mul (x, k) c = Mul (m, k)"
        " o = Sub (b, c) y = Add (a, o)", x="float[2,3,8] x, float[2,1,8] s"), {},
     f"{LN} Mul Add"),
    ("sum of squares over N", layer(
        f"{CENTRED} q = ReduceSumSquare <axes=[-1]> (d) v = Div (q, n) {ROOT} y = Div (d, r)"),
     {"n": EIGHT}, LN),
    ("length from the shape", layer(
        f"{CENTRED} q = ReduceSumSquare <axes=[-1]> (d) s = Shape (x) t = Gather (s, last)"
        f" n = Cast <to=1> (t) v = Div (q, n) {ROOT} y = Div (d, r)"),
     {"last": np.array(-1)}, LN),
    ("product with ones", layer(
        "t = MatMul (x, ones) m = Div (t, n) d = Sub (x, m) p = Mul (d, d) u = MatMul (p, ones)"
        f" v = Div (u, n) {ROOT} y = Div (d, r)"),
     {"ones": np.ones((8, 1), np.float32), "n": EIGHT}, LN),
    ("product with a square of ones", layer(
        "m = MatMul (x, ones) d = Sub (x, m) p = Mul (d, d) v = MatMul (p, ones)"
        f" {ROOT} y = Div (d, r)"), {"ones": np.full((8, 8), 0.125, np.float32)}, LN),
    ("unbiased variance", layer(
        f"{CENTRED} q = ReduceSumSquare <axes=[-1]> (d) v = Div (q, n) {ROOT} y = Div (d, r)"),
     {"n": np.float32(7)}, LN),
    ("a standard deviation of torch.std", layer(
        f"{VARIANCE} w = Mul (v, n) u = Div (w, o) e = Add (u, eps) r = Sqrt (e) y = Div (d, r)"),
     {"n": EIGHT, "o": np.float32(7)}, LN),
    ("sum instead of mean", layer(
        f"{CENTRED} v = ReduceSumSquare <axes=[-1]> (d) {ROOT} y = Div (d, r)"), {}, LN),
    ("root of N taken out", layer(
        f"{CENTRED} v = ReduceSumSquare <axes=[-1]> (d) {ROOT} n = Div (d, r) y = Mul (n, k)"),
     {"k": np.float32(8**0.5)}, LN),
    ("scaled before the root divides", layer(
        f"{VARIANCE} {ROOT} k = Mul (d, g) n = Div (k, r) y = Add (n, b)"), {}, LN),
    ("scale under the division", layer(
        f"{VARIANCE} {ROOT} k = Div (r, g) y = Div (d, k)"), {}, LN),
    ("two scales and biases", layer(
        f"{WHOLE.replace('y = Add', 'o = Add')} c = Mul (o, h) y = Add (c, f)"),
     {"h": (8,), "f": ()}, LN),
    ("scale of 1 + w", layer(f"{LAYER} one = Add (o, w) y = Mul (n, one)"),
     {"o": np.float32(1), "w": (8,)}, LN),
    ("scale 1×1×C and scalar bias", layer(WHOLE), {"g": (1, 1, 8), "b": ()}, LN),
    ("keepdims of 0 and Unsqueeze", layer(
        "a = ReduceMean <axes=[-1], keepdims=0> (x) m = Unsqueeze (a, last) d = Sub (x, m)"
        " p = Mul (d, d) c = ReduceMean <axes=[-1], keepdims=0> (p) f = Unsqueeze (c, last)"
        " e = Add (f, eps) r = Sqrt (e) y = Div (d, r)"), {"last": np.array([-1])}, LN),
    ("keepdims of 0 and Unsqueeze, channels first", layer(
        "a = ReduceMean <axes=[1], keepdims=0> (x) m = Unsqueeze (a, third) d = Sub (x, m)"
        " p = Mul (d, d) c = ReduceMean <axes=[1], keepdims=0> (p) f = Unsqueeze (c, third)"
        " e = Add (f, eps) r = Sqrt (e) y = Div (d, r)", **IMAGE), {"third": np.array([-3])},
     f"Transpose {LN} Transpose"),
    ("mean expanded and reshaped", layer(
        "a = ReduceMean <axes=[-1]> (x) c = Expand (a, s) m = Reshape (c, t) d = Sub (x, m)"
        f" p = Mul (d, d) v = ReduceMean <axes=[-1]> (p) {ROOT} y = Div (d, r)"),
     {"s": np.array([2, 3, 8]), "t": np.array([-1, 3, 8])}, LN),
    ("rows merged for the statistics", layer(
        "f = Reshape (x, flat) a = ReduceMean <axes=[-1]> (f) m = Reshape (a, rows) d = Sub (x, m)"
        f" p = Mul (d, d) v = ReduceMean <axes=[-1]> (p) {ROOT} y = Div (d, r)",
        x="float[N,3,8] x", y="float[N,3,8] y"),
     {"flat": np.array([-1, 8]), "rows": np.array([-1, 3, 1])}, LN),
    ("between Reshapes, GlobalAveragePool", layer(
        "f = Reshape (x, flat) m = GlobalAveragePool (f) d = Sub (f, m) p = Mul (d, d)"
        f" v = GlobalAveragePool (p) {ROOT} n = Div (d, r) y = Reshape (n, back)",
        x="float[N,3,8] x", y="float[N,3,8] y"),
     {"flat": np.array([1, -1, 8]), "back": np.array([-1, 3, 8])}, LN),
    ("statistics in two steps", layer(
        "a = ReduceMean <axes=[2]> (x) m = ReduceMean <axes=[1]> (a) d = Sub (x, m) p = Mul (d, d)"
        f" c = ReduceMean <axes=[1]> (p) v = ReduceMean <axes=[2]> (c) {ROOT} y = Div (d, r)"),
     {}, LN),
    ("two axes in reverse", layer(WHOLE.replace("[-1]", "[-1, 1]")), {"g": (3, 8)}, LN),
    ("all axes but the batch, no scale", layer(
        LAYER.replace("[-1]", "[1,2,3]").replace("n = Div", "y = Div"), **IMAGE), {}, LN),
    ("channels first", layer(CHANNELS_FIRST, **IMAGE), CHANNEL, f"Transpose {LN} Transpose"),
    ("channels first, read channels last", layer(
        CHANNELS_FIRST.replace("y = Add", "o = Add") + " y = Transpose <perm=[0,2,3,1]> (o)",
        x=IMAGE["x"], y="float[2,5,6,8] y"), CHANNEL, f"Transpose {LN}"),
    ("channels first, made channels last", layer(
        "x = Transpose <perm=[0,3,1,2]> (c) " + CHANNELS_FIRST,
        x="float[2,5,6,8] c", y=IMAGE["y"]), CHANNEL, f"{LN} Transpose"),
    ("statistics channels first, value channels last", layer(
        "m = ReduceMean <axes=[1]> (x) t = Transpose <perm=[0,2,3,1]> (x)"
        " k = Transpose <perm=[0,2,3,1]> (m) d = Sub (t, k) p = Mul (d, d)"
        f" v = ReduceMean <axes=[3]> (p) {ROOT} n = Div (d, r) l = Mul (n, g) y = Add (l, b)",
        x=IMAGE["x"], y="float[2,5,6,8] y"), {}, f"Transpose {LN}"),
    ("Identity and Dropout in between", layer(
        f"{CENTRED} i = Identity (d) p = Mul (i, i) v = ReduceMean <axes=[-1]> (p) {ROOT}"
        " n = Div (d, r) o = Dropout (n) k = Mul (o, g) y = Identity (k)"), {}, LN),
    ("modulated by another input", layer(
        f"{LAYER} k = Mul (n, s) y = Add (k, t)",
        x="float[2,3,8] x, float[2,1,8] s, float[2,1,8] t"), {}, f"{LN} Mul Add"),
    ("modulated twice", layer(
        f"{LAYER} k = Mul (n, s) o = Mul (n, t) y = Max (k, o)",
        x="float[2,3,8] x, float[2,1,8] s, float[2,1,8] t"), {}, f"{LN} Mul Mul Max"),
    ("a residual is not the bias", layer(
        f"{LAYER} k = Mul (n, g) y = Add (k, x)"), {}, f"{LN} Add"),
    ("a bias of every position is not the bias", layer(WHOLE), {"b": (3, 8)}, f"{LN} Add"),
    ("position axis as long as the row", layer(WHOLE, x="float[2,8,8] x", y="float[2,8,8] y"),
     {"b": (8, 1)}, f"{LN} Add"),
    ("epsilon of nothing", layer(
        f"{VARIANCE} r = Sqrt (v) y = Div (d, r)"), {}, LN),
    ("only the first mean square is centred along another axis", layer(
        "m = ReduceMean <axes=[1]> (x) d = Sub (x, m) p = Mul (d, d)"
        f" v = ReduceMean <axes=[-1]> (p) {ROOT} y = Div (d, r)"), {}, f"ReduceMean Sub {RN}"),
    ("RMS as torch writes it", layer(f"{RMS} y = Mul (g, n)"), {}, RN),
    ("RMS without scale", layer(RMS.replace("n = Div", "y = Div")), {}, RN),
    ("RMS by the reciprocal", layer(
        f"{SQUARED} {ROOT} i = Reciprocal (r) n = Mul (x, i) y = Mul (n, g)"), {}, RN),
    ("RMS from the length of the row", layer(
        "l = ReduceL2 <axes=[-1]> (x) n = Div (x, l) k = Mul (n, s) y = Mul (k, g)"),
     {"s": np.float32(8**0.5)}, RN),
    ("RMS with a bias", layer(f"{RMS} k = Mul (n, g) y = Add (k, b)"), {}, f"{RN} Add"),
    ("RMS channels first", layer(
        RMS.replace("-1", "1") + " y = Mul (n, g)", **IMAGE), CHANNEL,
     f"Transpose {RN} Transpose"),
    ("RMS of a shifted value", layer(
        f"x = Sub (z, b) {RMS} y = Mul (n, g)", x="float[2,3,8] z"), {},
     f"Sub {RN}"),
]  # fmt: skip


@pytest.mark.parametrize(("graph", "weights", "operators"), [
    pytest.param(*row[1:], id=row[0]) for row in TABLE
])  # fmt: skip
def test_becomes(graph: str, weights: dict[str, Weight], operators: str) -> None:
    proto = model(graph, weights)
    fused = fuse(proto)
    assert [op for op in fused.operators if op != "Constant"] == operators.split()
    check_numbers(proto, fused)


def check_numbers(proto: onnx.ModelProto, fused: Fused, tolerance: float = 1e-6) -> None:
    for seed, (spread, mean) in enumerate([(1.0, 0.3), (1e-3, 0.0), (20.0, 5.0)]):
        feeds = random_feeds(proto, seed, spread=spread, mean=mean)
        assert difference(proto, fused.proto, feeds) < tolerance


def attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def test_the_written_epsilon_is_the_constant_itself() -> None:
    fused = fuse(model(layer(WHOLE), {"eps": np.float32(1e-2)}))
    assert attributes(fused.node(LN)) == {"axis": -1, "epsilon": float(np.float32(1e-2))}


def test_the_scale_of_a_plain_norm_is_the_weight_itself() -> None:
    fused = fuse(model(layer(WHOLE)))
    assert list(fused.node(LN).input) == ["x", "g", "b"]
    assert {t.name for t in fused.proto.graph.initializer} == {"g", "b"}


def test_scalars_are_written_as_long_as_the_row() -> None:
    fused = fuse(model(layer(WHOLE), {"g": np.float32([1.5]), "b": np.float32(-2)}))
    _, scale, bias = fused.node(LN).input
    np.testing.assert_array_equal(fused.array(scale), np.full(8, 1.5, np.float32))
    np.testing.assert_array_equal(fused.array(bias), np.full(8, -2, np.float32))


def test_an_unbiased_variance_moves_into_epsilon_and_scale() -> None:
    weights: dict[str, Weight] = {"n": np.float32(7), "eps": np.float32(0.5)}
    body = f"{CENTRED} q = ReduceSumSquare <axes=[-1]> (d) v = Div (q, n) {ROOT} y = Div (d, r)"
    node = fuse(model(layer(body), weights)).node(LN)
    # √(8/7·(q − m²) + e) = √(8/7)·√(q − m² + 7/8·e)
    assert attributes(node)["epsilon"] == pytest.approx(0.5 * 7 / 8)


def test_reversed_deviation_gives_a_negative_scale() -> None:
    proto = model(layer(WHOLE.replace("Sub (x, m)", "Sub (m, x)")))
    fused = fuse(proto)
    [weight] = [t for t in proto.graph.initializer if t.name == "g"]
    expected = -onnx.numpy_helper.to_array(weight)
    np.testing.assert_array_equal(fused.array(fused.node(LN).input[1]), expected)


def test_two_axes_get_a_scale_of_two_axes() -> None:
    proto = model(layer(WHOLE.replace("[-1]", "[1,2]")), {"g": (3, 1), "b": (8,)})
    fused = fuse(proto)
    node = fused.node(LN)
    assert attributes(node)["axis"] == -2
    assert [fused.array(name).shape for name in node.input[1:]] == [(3, 8), (3, 8)]
    check_numbers(proto, fused)


def test_a_runtime_scale_of_the_right_shape_is_taken() -> None:
    proto = model(layer(WHOLE, x="float[2,3,8] x, float[8] g, float[8] b"))
    fused = fuse(proto)
    assert list(fused.node(LN).input) == ["x", "g", "b"]
    check_numbers(proto, fused)


def test_runtime_scale_with_symbolic_row() -> None:
    graph = layer(WHOLE, x="float[2,3,C] x, float[C] g, float[C] b", y="float[2,3,C] y")
    proto = model(graph)
    fused = fuse(proto)
    assert fused.operators == [LN]
    check_numbers(proto, fused)
