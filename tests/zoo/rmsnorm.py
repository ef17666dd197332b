"""RMSNorm in the spellings exporters and people use."""

from __future__ import annotations

import numpy as np

from .case import Fires, Right
from .layernorm import norm
from .layernorm_parts import DOUBLE, HALF

RMS = Fires("RMSNormalization")
FUSED = Fires(gone="Sqrt Pow Reciprocal", has="RMSNormalization")

SQUARE = "p = Pow (x, two)\n v = ReduceMean <axes=[-1]> (p)\n e = Add (v, eps)\n"
SQUARE_18 = SQUARE.replace(" <axes=[-1]> (p)", " (p, last)")
ROOT, ROOT_18 = (text + "r = Sqrt (e)\n" for text in (SQUARE, SQUARE_18))

SPELLINGS = (
    norm("Sqrt and Div", ROOT + "n = Div (x, r)\n y = Mul (n, g)\n", RMS),
    *(norm(f"Sqrt and Div, opset {opset}", ROOT_18 + "n = Div (x, r)\n y = Mul (n, g)\n", RMS,
           opset=opset) for opset in (18, 23)),
    *(norm(f"Reciprocal, opset {opset}", ROOT_18 + "i = Reciprocal (r)\n n = Mul (x, i)\n"
           "y = Mul (n, g)\n", RMS, opset=opset) for opset in (18, 23)),
    norm("opset 13", ROOT + "n = Div (x, r)\n y = Mul (n, g)\n", RMS, opset=13),
    norm("one divided by the root", ROOT + "i = Div (one, r)\n n = Mul (x, i)\n y = Mul (n, g)\n",
         RMS),
    norm("squared by Mul", ROOT.replace("Pow (x, two)", "Mul (x, x)") + "n = Div (x, r)\n"
         "y = Mul (n, g)\n", RMS),
    norm("scale first", ROOT + "n = Div (x, r)\n y = Mul (g, n)\n", RMS),
    norm("no scale", ROOT + "y = Div (x, r)\n", RMS),
    norm("one plus w", ROOT + "n = Div (x, r)\n w = Add (one, g)\n y = Mul (n, w)\n", RMS),
    norm("Pow of minus a half", SQUARE + "i = Pow (e, minus_half)\n n = Mul (x, i)\n"
         "y = Mul (n, g)\n", RMS),
    norm("ReduceSumSquare over N", "q = ReduceSumSquare <axes=[-1]> (x)\n v = Div (q, count)\n"
         "e = Add (v, eps)\n r = Sqrt (e)\n n = Div (x, r)\n y = Mul (n, g)\n", RMS),
    norm("scale inside the inverse", ROOT + "i = Reciprocal (r)\n j = Mul (i, g)\n"
         "y = Mul (x, j)\n", RMS),
    norm("scale of one number", ROOT + "n = Div (x, r)\n y = Mul (n, g)\n", RMS, g=(1,)),
    norm("epsilon of 0.1", ROOT + "n = Div (x, r)\n y = Mul (n, g)\n", RMS, eps=np.float32(0.1)),
    norm("over the last two axes", (ROOT + "n = Div (x, r)\n y = Mul (n, g)\n").replace(
         "[-1]", "[1,2]"), RMS, g=(5, 8)),
    norm("along axis 1, as many as channels", (ROOT + "n = Div (x, r)\n y = Mul (n, g)\n").replace(
         "[-1]", "[1]"), Right(), x="float[2,8,8] x"),
    norm("a bias behind it", ROOT + "n = Div (x, r)\n k = Mul (n, g)\n y = Add (k, b)\n",
         Fires("RMSNormalization Add")),
    norm("of a centred value, which is LayerNorm", "m = ReduceMean <axes=[-1]> (u)\n"
         "x = Sub (u, m)\n" + ROOT + "n = Div (x, r)\n y = Mul (n, g)\n",
         Fires("LayerNormalization"), x="float[2,5,8] u"),
    norm("symbolic batch and length", ROOT + "n = Div (x, r)\n y = Mul (n, g)\n", RMS,
         x="float[batch,length,8] x"),
    norm("behind a residual that is read again", "x = Add (u, w)\n" + ROOT + "n = Div (x, r)\n"
         "k = Mul (n, g)\n y = Add (k, x)\n", Fires("Add RMSNormalization Add"),
         x="float[2,5,8] u, float[2,5,8] w"),
    norm("scale computed for each item", ROOT + "n = Div (x, r)\n y = Mul (n, g)\n", FUSED,
         x="float[2,5,8] x, float[2,1,8] g"),
    norm("scale that widens", ROOT + "n = Div (x, r)\n y = Mul (n, g)\n", Right(),
         x="float[1,1] x", g=(2,)),
    norm("inside an If", "y = If (f) <then_branch = t () => (float[2,5,8] z) {" + ROOT
         + "n = Div (x, r)\n z = Mul (n, g) }, else_branch = s () => (float[2,5,8] q) {"
         "q = Neg (x) }>", Fires(gone="Sqrt", has="If RMSNormalization"),
         x="float[2,5,8] x, bool f", y="float[2,5,8] y"),
)  # fmt: skip

TYPES = (
    norm("cast to float32 and back, Llama", "x = Cast <to=1> (h)\n" + ROOT_18
         + "i = Reciprocal (r)\n n = Mul (x, i)\n c = Cast <to=10> (n)\n y = Mul (g, c)\n", FUSED,
         opset=23, x="float16[2,5,8] h", y="float16[] y", g=HALF["g"]),
    norm("cast to float32 and back, scale in float32", "x = Cast <to=1> (h)\n" + ROOT_18
         + "n = Div (x, r)\n k = Mul (n, g)\n y = Cast <to=10> (k)\n", FUSED, opset=18,
         x="float16[2,5,8] h", y="float16[] y"),
    norm("float64, epsilon a power of two", ROOT + "n = Div (x, r)\n y = Mul (n, g)\n", RMS,
         numbers=DOUBLE, x="double[2,5,8] x", y="double[] y", eps=np.float64(2**-7)),
    norm("float64, epsilon of 1e-2", ROOT + "n = Div (x, r)\n y = Mul (n, g)\n", Right(),
         numbers=DOUBLE, x="double[2,5,8] x", y="double[] y", eps=np.float64(1e-2)),
    norm("float16, epsilon that rounds to zero", ROOT + "n = Div (x, r)\n y = Mul (n, g)\n",
         Right(), numbers=HALF, x="float16[2,5,8] x", y="float16[] y", eps=np.float16(1e-12)),
)  # fmt: skip

CASES = (*SPELLINGS, *TYPES)
