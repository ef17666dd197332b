"""What looks like a norm and is none, or is another one than it seems."""

from __future__ import annotations

import numpy as np

from .case import Right, Stays
from .layernorm import AFFINE, CENTRED, LN, MEAN, ROOT, VARIANCE, WHOLE, norm


def left(reason: str = "") -> Stays:
    """The root stays, for that reason."""
    return Stays("Sqrt", reason)


POWERS = (
    norm("third power", WHOLE.replace("Pow (d, two)", "Pow (d, odd)"), left("x^3"),
         odd=np.float32(3)),
    norm("fourth power", WHOLE.replace("Pow (d, two)", "Pow (d, odd)"), left("x^4"),
         odd=np.float32(4)),
    norm("almost the second power", WHOLE.replace(
         "p = Pow (d, two)", "a = Abs (d)\n p = Pow (a, odd)"), left(),
         odd=np.float32(2.01)),
    norm("RMS with the third power", "p = Pow (x, odd)\n v = ReduceMean <axes=[-1]> (p)\n"
         "e = Add (v, eps)\n r = Sqrt (e)\n n = Div (x, r)\n y = Mul (n, g)\n", left("x^3"),
         odd=np.float32(3)),
    norm("RMS with the fourth power", "p = Pow (x, odd)\n v = ReduceMean <axes=[-1]> (p)\n"
         "e = Add (v, eps)\n r = Sqrt (e)\n n = Div (x, r)\n y = Mul (n, g)\n", left("x^4"),
         odd=np.float32(4)),
    norm("cube root", VARIANCE + "e = Add (v, eps)\n r = Pow (e, third)\n n = Div (d, r)\n"
         + AFFINE, Stays("ReduceMean Div"), third=np.float32(1 / 3)),
)  # fmt: skip

SIGNS = (
    norm("mean minus x", WHOLE.replace("Sub (x, m)", "Sub (m, x)"), LN),
    norm("root divided by the centred value", ROOT + "n = Div (r, d)\n" + AFFINE, left()),
    norm("negated root", ROOT + "w = Neg (r)\n n = Div (d, w)\n" + AFFINE, LN),
    norm("TensorFlow with the wrong sign: x·k + (β + m·k)", ROOT + "i = Reciprocal (r)\n"
         "j = Mul (i, g)\n k = Mul (x, j)\n o = Mul (m, j)\n c = Add (b, o)\n y = Add (k, c)\n",
         Right()),
    norm("E[x]² − E[x²]", MEAN + "q = Mul (x, x)\n s = ReduceMean <axes=[-1]> (q)\n"
         "w = Mul (m, m)\n v = Sub (w, s)\n e = Add (v, eps)\n r = Sqrt (e)\n d = Sub (x, m)\n"
         "n = Div (d, r)\n" + AFFINE, left("what the root is taken of"), eps=np.float32(4)),
    norm("E[x²] + E[x]²", MEAN + "q = Mul (x, x)\n s = ReduceMean <axes=[-1]> (q)\n"
         "w = Mul (m, m)\n v = Add (w, s)\n e = Add (v, eps)\n r = Sqrt (e)\n d = Sub (x, m)\n"
         "n = Div (d, r)\n" + AFFINE, left("squared mean")),
)  # fmt: skip

EPSILON = (
    norm("epsilon outside the root", VARIANCE + "r = Sqrt (v)\n e = Add (r, eps)\n"
         "n = Div (d, e)\n" + AFFINE, left("added to the root, not under it")),
    norm("epsilon subtracted", WHOLE.replace("Add (v, eps)", "Sub (v, eps)"), Right(),
         eps=np.float32(1e-3)),
    norm("a clamp that bites", VARIANCE + "z = Max (v, floor)\n e = Add (z, eps)\n r = Sqrt (e)\n"
         "n = Div (d, r)\n" + AFFINE, left("from below by 0.8"), floor=np.float32(0.8)),
    norm("a clamp from above", VARIANCE + "z = Min (v, floor)\n e = Add (z, eps)\n r = Sqrt (e)\n"
         "n = Div (d, r)\n" + AFFINE, left("from above"), floor=np.float32(0.8)),
    norm("epsilon is a graph input", WHOLE, left("'eps'"), x="float[2,5,8] x, float eps"),
)  # fmt: skip

ROWS = (
    norm("keepdims of 0 on a square", WHOLE.replace("axes=[-1]", "axes=[-1], keepdims=0"),
         left("by broadcasting"), x="float[8,8] x"),
    norm("only the mean without keepdims", WHOLE.replace(
         "axes=[-1]", "axes=[-1], keepdims=0", 1), Right(), x="float[8,8] x"),
    norm("mean and variance along other axes", WHOLE.replace("[-1]> (x)", "[1]> (x)"),
         Right(), x="float[2,8,8] x"),
    norm("along axis 1 of a square, scale of C", WHOLE.replace("[-1]", "[1]"), Right(),
         x="float[2,8,8] x"),
    norm("scale wider than the row", WHOLE, Right(), x="float[2,1] x", g=(4,), b=(4,)),
    norm("variance of another tensor", WHOLE.replace("Pow (d, two)", "Pow (w, two)"),
         left("another value"), x="float[2,5,8] x, float[2,5,8] w"),
    norm("mean of another tensor", WHOLE.replace("> (x)", "> (w)"), Right(),
         x="float[2,5,8] x, float[2,5,8] w"),
    norm("variance of the uncentred value", WHOLE.replace("Pow (d, two)", "Pow (x, two)"),
         left("mean square that is not")),
    norm("sum instead of mean", CENTRED + "p = Pow (d, two)\n v = ReduceSum (p, last)\n"
         "e = Add (v, eps)\n r = Sqrt (e)\n n = Div (d, r)\n" + AFFINE, LN),
    norm("N almost right", CENTRED + "p = Pow (d, two)\n q = ReduceSum (p, last)\n"
         "v = Div (q, almost)\n e = Add (v, eps)\n r = Sqrt (e)\n n = Div (d, r)\n" + AFFINE,
         LN, almost=np.float32(8.001)),
    norm("mean that is almost a mean", "t = ReduceSum (x, last)\n m = Div (t, almost)\n"
         "d = Sub (x, m)\n" + VARIANCE.split("\n", 2)[2] + "e = Add (v, eps)\n r = Sqrt (e)\n"
         "n = Div (d, r)\n" + AFFINE, Right(), almost=np.float32(8.01)),
    norm("row length known only when run", "z = Slice (x, start, stop, last)\n m = ReduceMean"
         "<axes=[-1]> (z)\n d = Sub (z, m)\n p = Mul (d, d)\n v = ReduceMean <axes=[-1]> (p)\n"
         "e = Add (v, eps)\n r = Sqrt (e)\n y = Div (d, r)\n", Right(),
         x="float[2,5,n] x", start=np.array([0]), stop=np.array([3])),
    norm("axes known only when run", "m = ReduceMean (x, axes)\n d = Sub (x, m)\n p = Mul (d, d)\n"
         "v = ReduceMean (p, axes)\n e = Add (v, eps)\n r = Sqrt (e)\n y = Div (d, r)\n",
         left("are not constant"),
         opset=18, x="float[2,5,8] x, int64[1] axes", y="float[2,5,8] y",
         feed={"axes": np.array([2])}),
    norm("L2 normalisation", "q = ReduceL2 <axes=[-1]> (x)\n z = Max (q, eps)\n y = Div (x, z)\n",
         Stays("ReduceL2 Div")),
    norm("weights in the mean", "m = MatMul (x, w)\n d = Sub (x, m)\n p = Mul (d, d)\n"
         "v = MatMul (p, w)\n e = Add (v, eps)\n r = Sqrt (e)\n n = Div (d, r)\n" + AFFINE, left(),
         w=np.linspace(0.1, 0.15, 8, dtype=np.float32).reshape(8, 1)),
    norm("a max-pool instead of a mean", WHOLE.replace(
         "m = ReduceMean", "m = ReduceMax"), Right()),
    norm("standardised along the batch", WHOLE.replace("[-1]", "[0]"), Right(),
         x="float[6,8] x"),
    norm("the row is one number", WHOLE, Right(), x="float[2,5,1] x", g=(1,), b=(1,)),
)  # fmt: skip

CASES = (*POWERS, *SIGNS, *EPSILON, *ROWS)
