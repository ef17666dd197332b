"""What surrounds the normalised core: scale and bias of any shape, axes, types, other readers."""

from __future__ import annotations

import numpy as np

from .case import Fires, Right
from .layernorm import AFFINE, CENTRED, FUSED, LN, NORMAL, NUMBERS, ROOT, WHOLE, norm

HALF = {
    name: value.astype(np.float16) if isinstance(value, np.float32) else value
    for name, value in NUMBERS.items()
} | {name: np.linspace(-1, 2, 8, dtype=np.float16) for name in "gb"}
DOUBLE = {
    name: np.float64(value) if isinstance(value, np.float32) else value
    for name, value in NUMBERS.items()
} | {name: np.linspace(-1, 2, 8) for name in "gb"}
BARE = NORMAL.replace("n = Div", "y = Div")

PARAMETERS = (
    norm("no scale and no bias", BARE),
    norm("scale only", NORMAL + "y = Mul (n, g)\n"),
    norm("bias only", NORMAL + "y = Add (n, b)\n"),
    norm("scale and bias of shape 1×1×C", WHOLE, g=(1, 1, 8), b=(1, 1, 8)),
    norm("scale and bias of one number", WHOLE, g=(1,), b=(1,)),
    norm("scale and bias without axes", WHOLE, g=(), b=()),
    norm("scale of one number, bias of C", WHOLE, g=(), b=(8,)),
    norm("one plus w", NORMAL + "w = Add (g, one)\n k = Mul (n, w)\n y = Add (k, b)\n"),
    norm("bias subtracted", NORMAL + "k = Mul (n, g)\n y = Sub (k, b)\n"),
    norm("divided by the scale", NORMAL + "k = Div (n, g)\n y = Add (k, b)\n",
         g=np.linspace(1, 2, 8, dtype=np.float32)),
    norm("scale for each row", WHOLE, Fires("InstanceNormalization"), g=(5, 1), b=(5, 1)),
    norm("scale for each row and channel", WHOLE, FUSED, g=(5, 8), b=(5, 8)),
    norm("scale that widens the batch", WHOLE, FUSED, g=(3, 1, 5, 8), b=(8,)),
    norm("scale computed for each item", WHOLE, FUSED,
         x="float[2,5,8] x, float[2,1,8] g, float[2,1,8] b"),
    norm("scale and bias are graph inputs", WHOLE, FUSED,
         x="float[2,5,8] x, float[8] g, float[8] b"),
    norm("a residual where the bias would be", NORMAL + "k = Mul (n, g)\n y = Add (k, r0)\n", FUSED,
         x="float[2,5,8] x, float[2,5,8] r0"),
    norm("its own input added behind it", NORMAL + "k = Mul (n, g)\n z = Add (k, b)\n"
         "y = Add (z, x)\n", Fires("LayerNormalization Add")),
    norm("behind a residual", "x = Add (u, w)\n" + NORMAL + AFFINE,
         Fires("Add LayerNormalization"), x="float[2,5,8] u, float[2,5,8] w"),
    norm("behind a residual that is read again", "x = Add (u, w)\n" + NORMAL + "k = Mul (n, g)\n"
         "z = Add (k, b)\n y = Add (z, x)\n", Fires("Add LayerNormalization Add"),
         x="float[2,5,8] u, float[2,5,8] w"),
)  # fmt: skip

AXES = (
    norm("over the last two axes", WHOLE.replace("[-1]", "[-2,-1]"), g=(5, 8), b=(5, 8)),
    norm("over the last two axes, counted forward", WHOLE.replace("[-1]", "[2,1]"),
         g=(5, 8), b=(5, 8)),
    norm("over the last two axes, scale of C", WHOLE.replace("[-1]", "[1,2]")),
    norm("channels first", WHOLE.replace("[-1]", "[1]"), FUSED,
         x="float[2,8,3,4] x", g=(8, 1, 1), b=(8, 1, 1)),
    norm("channels first, opset 18", WHOLE.replace(" <axes=[-1]> (x)", " (x, a)")
         .replace(" <axes=[-1]> (p)", " (p, a)"), FUSED, opset=18, x="float[2,8,3,4] x",
         a=np.array([1]), g=(8, 1, 1), b=(8, 1, 1)),
    norm("between transposes to channels last", "x = Transpose <perm=[0,2,3,1]> (i)\n" + NORMAL
         + "k = Mul (n, g)\n z = Add (k, b)\n y = Transpose <perm=[0,3,1,2]> (z)\n",
         Fires("Transpose LayerNormalization Transpose"), x="float[2,8,3,4] i"),
    norm("over all axes", WHOLE.replace(" <axes=[-1]>", "").replace(
         "(x)\n", "(x)\n", 1), x="float[5,8] x"),
    norm("empty axes as an input mean all", WHOLE.replace(
         " <axes=[-1]> (x)", " (x, none)").replace(" <axes=[-1]> (p)", " (p, none)"), LN,
         opset=18, x="float[5,8] x", none=np.zeros(0, np.int64)),
    norm("empty axes that mean none", WHOLE.replace(
         " <axes=[-1]> (x)", " <noop_with_empty_axes=1> (x, none)").replace(
         " <axes=[-1]> (p)", " <noop_with_empty_axes=1> (p, none)"), Right(), opset=18,
         none=np.zeros(0, np.int64)),
)  # fmt: skip

READERS = (
    norm("mean read elsewhere", NORMAL + AFFINE + "z = Relu (m)\n", FUSED,
         y="float[] y, float[] z"),
    norm("mean and deviation are outputs", WHOLE, Right(),
         y="float[] y, float[] m, float[] r"),
    norm("normalised value is an output", WHOLE, Right(), y="float[] y, float[] n"),
    norm("variance read elsewhere", NORMAL + AFFINE + "z = Neg (v)\n", Right(),
         y="float[] y, float[] z"),
    norm("one mean and deviation for two scales", NORMAL + AFFINE + "h = Mul (n, g2)\n"
         "z = Add (h, b2)\n", FUSED, y="float[] y, float[] z", g2=(8,), b2=(8,)),
)  # fmt: skip

EPSILON = (
    *(norm(f"epsilon of {value}", WHOLE, eps=np.float32(value))
      for value in (1e-3, 0.1, 1e-2, 1e-12, 3.0)),
    norm("epsilon first, of 1e-2", WHOLE.replace("Add (v, eps)", "Add (eps, v)"),
         eps=np.float32(1e-2)),
    norm("epsilon of shape [1]", WHOLE, eps=np.float32([1e-3])),
    norm("epsilon of shape [1,1,1]", WHOLE, eps=np.float32([[[1e-3]]])),
    norm("epsilon of rank 4 on rank 3", WHOLE, Right(),
         eps=np.full((1, 1, 1, 1), 1e-3, np.float32)),
    norm("epsilon for each channel", WHOLE, Right(),
         eps=np.linspace(0.1, 2, 8, dtype=np.float32)),
    norm("no epsilon", ROOT.replace("e = Add (v, eps)\n r = Sqrt (e)", "r = Sqrt (v)")
         + "n = Div (d, r)\n" + AFFINE, Right()),
    norm("epsilon of zero", WHOLE, Right(), eps=np.float32(0)),
    norm("epsilon below zero", WHOLE, Right(), eps=np.float32(-1e-3)),
    norm("epsilon that float16 rounds to zero", WHOLE, Right(), numbers=HALF,
         x="float16[2,5,8] x", y="float16[] y", eps=np.float16(1e-12)),
)  # fmt: skip

TYPES = (
    norm("float16", WHOLE, numbers=HALF, x="float16[2,5,8] x", y="float16[] y",
         eps=np.float16(1e-2)),
    norm("float64, epsilon a power of two", WHOLE, numbers=DOUBLE, x="double[2,5,8] x",
         y="double[] y", eps=np.float64(2**-7)),
    norm("float64, epsilon that float32 cannot hold", WHOLE, Right(), numbers=DOUBLE,
         x="double[2,5,8] x", y="double[] y", eps=np.float64(1e-2)),
    norm("cast to float32 and back", "x = Cast <to=1> (h)\n" + NORMAL + "c = Cast <to=10> (n)\n"
         "k = Mul (c, g)\n y = Add (k, b)\n", FUSED, x="float16[2,5,8] h", y="float16[] y",
         g=HALF["g"], b=HALF["b"]),
    norm("cast to float32 and back, scale in float32", "x = Cast <to=1> (h)\n" + NORMAL
         + "k = Mul (n, g)\n z = Add (k, b)\n y = Cast <to=10> (z)\n", FUSED,
         x="float16[2,5,8] h", y="float16[] y"),
    norm("mean taken before the cast", "m16 = ReduceMean <axes=[-1]> (h)\n m = Cast <to=1> (m16)\n"
         "x = Cast <to=1> (h)\n" + CENTRED.split("\n", 1)[1] + "p = Mul (d, d)\n"
         "v = ReduceMean <axes=[-1]> (p)\n e = Add (v, eps)\n r = Sqrt (e)\n y = Div (d, r)\n",
         Right(), x="float16[2,5,8] h", tolerance=5e-3),
)  # fmt: skip

OPERATOR = (
    norm("LayerNormalization, then Mul and Add", "n = LayerNormalization (x, g)\n"
         "k = Mul (n, h)\n y = Add (k, b)\n", Fires("LayerNormalization"), h=(8,)),
    norm("LayerNormalization, then a residual", "n = LayerNormalization (x, g)\n y = Add (n, w)\n",
         Right(), x="float[2,5,8] x, float[2,5,8] w"),
    norm("LayerNormalization along axis 1, behind an Add", "x = Add (u, w)\n"
         "y = LayerNormalization <axis=1> (x, g, b)\n", Right(),
         x="float[2,5,8] u, float[2,5,8] w", g=(5, 8), b=(5, 8)),
    norm("LayerNormalization, then MatMul", "n = LayerNormalization (x, g, b)\n"
         "y = MatMul (n, W)\n", Right(), W=(8, 3)),
)  # fmt: skip

CASES = (*PARAMETERS, *AXES, *READERS, *EPSILON, *TYPES, *OPERATOR)
