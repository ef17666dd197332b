"""LayerNorm in the spellings exporters and people use; each has to become one operator."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from .case import Array, Case, Expectation, Fires, Right, Weight

LN = Fires("LayerNormalization")
FUSED = Fires(gone="Sqrt Pow Reciprocal", has="LayerNormalization")
X = "float[2,5,8] x"

NUMBERS: Mapping[str, Weight] = {
    "two": np.float32(2), "one": np.float32(1), "half": np.float32(0.5),
    "minus_half": np.float32(-0.5), "eps": np.float32(1e-5), "count": np.float32(8),
    "last": np.array([-1]), "g": (8,), "b": (8,),
}  # fmt: skip

MEAN = "m = ReduceMean <axes=[-1]> (x)\n"
CENTRED = MEAN + "d = Sub (x, m)\n"
VARIANCE = CENTRED + "p = Pow (d, two)\n v = ReduceMean <axes=[-1]> (p)\n"
ROOT = VARIANCE + "e = Add (v, eps)\n r = Sqrt (e)\n"
NORMAL = ROOT + "n = Div (d, r)\n"
AFFINE = "k = Mul (n, g)\n y = Add (k, b)\n"
WHOLE = NORMAL + AFFINE


def norm(
    name: str,
    body: str,
    expect: Expectation = LN,
    *,
    opset: int = 17,
    x: str = X,
    y: str = "float[] y",
    numbers: Mapping[str, Weight] = NUMBERS,
    tolerance: float = 0.0,
    feed: Mapping[str, Array] = MappingProxyType({}),
    **more: Weight,
) -> Case:
    """A norm from x to y; of the numbers that every norm needs, those its body reads are there."""
    known = {**numbers, **more}
    words = set("".join(c if c.isalnum() or c == "_" else " " for c in body).split())
    words -= {declaration.split()[-1] for declaration in x.split(", ")}
    weights = {key: value for key, value in known.items() if key in words}
    graph = f"({x}) => ({y}) {{ {body} }}"
    return Case(name, expect, graph, weights, opset=opset, tolerance=tolerance, feed=feed)


SPELLINGS = (
    norm("Pow, Sqrt, Div", WHOLE),
    norm("opset 18, axes as an input", WHOLE.replace(" <axes=[-1]> (x)", " (x, last)")
         .replace(" <axes=[-1]> (p)", " (p, last)"), opset=18),
    *(norm(f"opset {opset}", WHOLE, opset=opset) for opset in (7, 11, 13, 14)),
    norm("squared by Mul", WHOLE.replace("Pow (d, two)", "Mul (d, d)")),
    norm("two Sub nodes", NORMAL.replace("Div (d, r)", "Div (d2, r)").replace(
         "p = Pow", "d2 = Sub (x, m)\n p = Pow") + AFFINE),
    norm("two means and two Sub nodes", NORMAL.replace("Div (d, r)", "Div (d2, r)").replace(
         "p = Pow", "m2 = ReduceMean <axes=[2]> (x)\n d2 = Sub (x, m2)\n p = Pow") + AFFINE),
    norm("Reciprocal", ROOT + "i = Reciprocal (r)\n n = Mul (d, i)\n" + AFFINE),
    norm("one divided by the root", ROOT + "i = Div (one, r)\n n = Mul (i, d)\n" + AFFINE),
    norm("Pow of minus a half", VARIANCE + "e = Add (v, eps)\n i = Pow (e, minus_half)\n"
         "n = Mul (d, i)\n" + AFFINE),
    norm("Pow of a half", VARIANCE + "e = Add (v, eps)\n r = Pow (e, half)\n n = Div (d, r)\n"
         + AFFINE),
    norm("ReduceSumSquare over N", CENTRED + "q = ReduceSumSquare <axes=[-1]> (d)\n"
         "v = Div (q, count)\n e = Add (v, eps)\n r = Sqrt (e)\n n = Div (d, r)\n" + AFFINE),
    norm("ReduceSum times 1/N", "t = ReduceSum (x, last)\n m = Mul (t, eighth)\n d = Sub (x, m)\n"
         "p = Mul (d, d)\n q = ReduceSum (p, last)\n v = Mul (q, eighth)\n e = Add (v, eps)\n"
         "r = Sqrt (e)\n n = Div (d, r)\n" + AFFINE, eighth=np.float32(0.125)),
    norm("MatMul with ones over N", "m = MatMul (x, ones)\n d = Sub (x, m)\n p = Mul (d, d)\n"
         "v = MatMul (p, ones)\n e = Add (v, eps)\n r = Sqrt (e)\n n = Div (d, r)\n" + AFFINE,
         ones=np.full((8, 1), 0.125, np.float32)),
    norm("constants first", NORMAL.replace("Add (v, eps)", "Add (eps, v)")
         + "k = Mul (g, n)\n y = Add (b, k)\n"),
    norm("scale before the division", ROOT + "k = Mul (d, g)\n n = Div (k, r)\n y = Add (n, b)\n"),
    norm("scale inside the inverse", ROOT + "i = Reciprocal (r)\n j = Mul (i, g)\n"
         "k = Mul (d, j)\n y = Add (k, b)\n"),
    norm("TensorFlow: x·k + (β − m·k)", ROOT + "i = Reciprocal (r)\n j = Mul (i, g)\n"
         "k = Mul (x, j)\n o = Mul (m, j)\n c = Sub (b, o)\n y = Add (k, c)\n"),
    norm("TensorFlow with Neg", ROOT + "w = Neg (m)\n i = Reciprocal (r)\n j = Mul (i, g)\n"
         "k = Mul (x, j)\n o = Mul (w, j)\n c = Add (o, b)\n y = Add (k, c)\n"),
    norm("TensorFlow without an offset", ROOT + "w = Neg (m)\n i = Reciprocal (r)\n"
         "j = Mul (i, g)\n k = Mul (x, j)\n o = Mul (w, j)\n y = Add (k, o)\n"),
    norm("E[x²] − E[x]²", MEAN + "q = Mul (x, x)\n s = ReduceMean <axes=[-1]> (q)\n"
         "w = Mul (m, m)\n v = Sub (s, w)\n e = Add (v, eps)\n r = Sqrt (e)\n d = Sub (x, m)\n"
         "n = Div (d, r)\n" + AFFINE),
    norm("E[x²] − E[x]² held above zero", MEAN + "q = Mul (x, x)\n s = ReduceMean <axes=[-1]> (q)\n"
         "w = Mul (m, m)\n v = Sub (s, w)\n z = Max (v, zero)\n e = Add (z, eps)\n r = Sqrt (e)\n"
         "d = Sub (x, m)\n n = Div (d, r)\n" + AFFINE, zero=np.float32(0)),
    norm("unbiased variance", CENTRED + "p = Mul (d, d)\n q = ReduceSum (p, last)\n"
         "v = Div (q, seven)\n e = Add (v, eps)\n r = Sqrt (e)\n n = Div (d, r)\n" + AFFINE,
         seven=np.float32(7)),
    norm("unbiased variance, rescaled", VARIANCE + "t = Mul (v, eight)\n u = Div (t, seven)\n"
         "e = Add (u, eps)\n r = Sqrt (e)\n n = Div (d, r)\n" + AFFINE,
         seven=np.float32(7), eight=np.float32(8)),
    norm("Identity and Dropout in between", NORMAL.replace("Div (d, r)", "Div (i, r)").replace(
         "p = Pow", "i = Identity (d)\n p = Pow") + "j = Dropout (n)\n k = Mul (j, g)\n"
         "y = Add (k, b)\n"),
    norm("keepdims of 0 and Unsqueeze", "t = ReduceMean <axes=[-1], keepdims=0> (x)\n"
         "m = Unsqueeze (t, last)\n d = Sub (x, m)\n p = Mul (d, d)\n"
         "q = ReduceMean <axes=[-1], keepdims=0> (p)\n v = Unsqueeze (q, last)\n e = Add (v, eps)\n"
         "r = Sqrt (e)\n n = Div (d, r)\n" + AFFINE),
    norm("pooled over a reshaped tensor", "t = Reshape (x, cube)\n u = GlobalAveragePool (t)\n"
         "m = Reshape (u, rows)\n d = Sub (x, m)\n p = Mul (d, d)\n f = Reshape (p, cube)\n"
         "h = GlobalAveragePool (f)\n v = Reshape (h, rows)\n e = Add (v, eps)\n r = Sqrt (e)\n"
         "n = Div (d, r)\n" + AFFINE, FUSED,
         cube=np.array([2, 5, 8]), rows=np.array([2, 5, 1])),
    norm("symbolic batch and length", WHOLE, x="float[batch,length,8] x"),
    norm("rank 2", WHOLE, x="float[n,8] x"),
    norm("rank 1", WHOLE, x="float[8] x"),
    norm("unknown rank, axis 2", "x = Reshape (u, shape)\n" + WHOLE.replace("[-1]", "[2]"),
         Right(), x="float[2,5,8] u, int64[k] shape", y="float[i,j,8] y",
         feed={"shape": np.array([5, 2, 8])}),
    norm("inside an If", "y = If (f) <then_branch = t () => (float[2,5,8] z) {"
         + NORMAL + "k = Mul (n, g)\n z = Add (k, b) }, else_branch = s () => (float[2,5,8] q) {"
         "q = Neg (x) }>", Fires(gone="Sqrt", has="If LayerNormalization"), x=f"{X}, bool f",
         y="float[2,5,8] y"),
    norm("inside a Loop", "y = Loop (three, true, x) <body = l (int64 i, bool c, float[2,5,8] h) =>"
         "(bool o, float[2,5,8] z) { o = Identity (c)\n" + NORMAL.replace("(x", "(h")
         + "k = Mul (n, g)\n z = Add (k, b) }>", Fires(gone="Sqrt", has="Loop LayerNormalization"),
         y="float[2,5,8] y", three=np.array(3), true=np.array(True)),
    norm("GroupNorm through InstanceNormalization", "s = Reshape (x, groups)\n"
         "i = InstanceNormalization (s, one2, nil2)\n n = Reshape (i, back)\n k = Mul (n, g3)\n"
         "y = Add (k, b3)\n", Right(), x="float[2,4,6] x", groups=np.array([2, 2, 12]),
         back=np.array([2, 4, 6]), one2=np.ones(2, np.float32), nil2=np.zeros(2, np.float32),
         g3=(4, 1), b3=(4, 1)),
    norm("InstanceNorm through means over the image", WHOLE.replace("[-1]", "[2,3]"),
         Right(), x="float[2,3,4,5] x", g=(3, 1, 1), b=(3, 1, 1)),
)  # fmt: skip

KERAS = (
    norm("Keras: BatchNormalization in training mode between reshapes",
         "f = Reshape (x, flat)\n t, nm, nv = BatchNormalization <training_mode=1, epsilon=1e-3>"
         "(f, ones, nil, mean, var)\n n = Reshape (t, back)\n" + AFFINE,
         flat=np.array([1, 10, 8]), back=np.array([2, 5, 8]), ones=np.ones(10, np.float32),
         nil=np.zeros(10, np.float32), mean=np.zeros(10, np.float32), var=np.ones(10, np.float32)),
)  # fmt: skip

CASES = (*SPELLINGS, *KERAS)
