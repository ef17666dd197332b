"""Mul, Add, Sub, Div and Neg with constants: BatchNorm in the spelling of TensorFlow, and traps."""

from __future__ import annotations

import numpy as np

from .case import Case, Fires, Right, Stays

CONV = Fires("Conv")
IMAGE = "(float[2,3,7,9] x) => (float[] y)"
SQUARE = "(float[2,3,6,6] x) => (float[] y)"  # behind a 3 × 3 kernel 4 × 4, like the channels
W, B, C = (4, 3, 3, 3), (4,), (1, 4, 1, 1)


def behind_conv(name: str, tail: str, **constants: object) -> Case:
    """A Conv with bias, then the given arithmetic from c to y, becomes a Conv."""
    weights = {"W": W, "b": B, **constants}
    return Case(name, CONV, f"{IMAGE} {{ c = Conv (x, W, b)\n {tail} }}", weights)  # type: ignore[arg-type]


SPELLINGS = (
    behind_conv("Mul then Add", "d = Mul (c, k)\n y = Add (d, l)", k=C, l=C),
    behind_conv("Add then Mul", "d = Add (c, k)\n y = Mul (d, l)", k=C, l=C),
    behind_conv("constants on the left", "d = Mul (k, c)\n y = Add (l, d)", k=C, l=C),
    behind_conv("constants of rank 3", "d = Mul (c, k)\n y = Add (d, l)", k=(4, 1, 1), l=(4, 1, 1)),
    behind_conv("Sub, Div, Mul, Add", "d = Sub (c, k)\n e = Div (d, l)\n f = Mul (e, m)\n"
                "y = Add (f, n)", k=C, l=C, m=C, n=C),
    behind_conv("Sub with the constant on the left", "y = Sub (k, c)", k=C),
    behind_conv("Neg", "y = Neg (c)"),
    behind_conv("Neg, Mul, Neg, Sub", "d = Neg (c)\n e = Mul (k, d)\n f = Neg (e)\n"
                "y = Sub (f, l)", k=C, l=C),
    behind_conv("scalars of rank 0", "d = Mul (c, k)\n y = Add (d, l)", k=(), l=()),
    behind_conv("scalars of rank 1 and 4", "d = Div (c, k)\n y = Sub (d, l)",
                k=(1,), l=(1, 1, 1, 1)),
    behind_conv("scalar Mul and channel Add", "d = Mul (c, k)\n y = Add (d, l)", k=(), l=C),
    behind_conv("Mul by zero in one channel", "y = Mul (c, k)",
                k=np.float32([0, 1, -1, 2]).reshape(C)),
    behind_conv("x + x·k would double: Mul by 2", "y = Mul (c, k)", k=np.float32(2)),
    Case("behind depthwise ConvTranspose", Fires("ConvTranspose"),
         "(float[2,4,5,5] x) => (float[] y) { c = ConvTranspose <group=4> (x, W)\n"
         "y = Mul (c, k) }", {"W": (4, 1, 3, 3), "k": C}),
    Case("behind grouped ConvTranspose", Fires("ConvTranspose"),
         "(float[2,4,5,5] x) => (float[] y) { c = ConvTranspose <group=2> (x, W)\n"
         "d = Div (c, k)\n y = Add (d, l) }", {"W": (4, 3, 3, 3), "k": (6, 1, 1), "l": (6, 1, 1)}),
    Case("behind a Transpose to channels last", Fires("Conv Transpose"),
         f"{IMAGE} {{ c = Conv (x, W)\n t = Transpose <perm=[0,2,3,1]> (c)\n d = Mul (t, k)\n"
         "y = Add (d, l) }", {"W": W, "k": (4,), "l": (1, 1, 1, 4)}),
    Case("before an unpadded convolution", CONV,
         f"{IMAGE} {{ c = Mul (x, k)\n y = Conv (c, W, b) }}", {"W": W, "b": B, "k": (3, 1, 1)}),
    Case("pixels made ready, then a convolution", CONV,
         f"{IMAGE} {{ c = Sub (x, k)\n d = Div (c, l)\n y = Conv (d, W) }}",
         {"W": W, "k": (1, 3, 1, 1), "l": (1, 3, 1, 1)}),
    Case("pixels made ready, then a padded convolution", Right(),
         f"{IMAGE} {{ c = Sub (x, k)\n d = Div (c, l)\n y = Conv <pads=[1,1,1,1]> (d, W) }}",
         {"W": W, "k": (1, 3, 1, 1), "l": (1, 3, 1, 1)}),
    Case("scaled, then a padded convolution", Fires("Conv"),
         f"{IMAGE} {{ c = Mul (x, k)\n y = Conv <pads=[1,1,1,1]> (c, W) }}",
         {"W": W, "k": (1, 3, 1, 1)}),
    Case("bytes to numbers, then a convolution", Fires("Cast Conv"),
         "(uint8[2,3,7,9] x) => (float[] y) { c = Cast <to=1> (x)\n d = Div (c, k)\n"
         "y = Conv (d, W) }", {"W": W, "k": np.float32(255)}),
)  # fmt: skip

TRAPS = (
    Case("Add along the width, as wide as channels", Stays("Conv Add", "varies along axis 3"),
         f"{SQUARE} {{ c = Conv (x, W, b)\n y = Add (c, k) }}", {"W": W, "b": B, "k": (4,)}),
    Case("Add along the height, as high as channels", Stays("Conv Add", "varies along axis 2"),
         f"{SQUARE} {{ c = Conv (x, W, b)\n y = Add (c, k) }}", {"W": W, "b": B, "k": (4, 1)}),
    Case("Mul along the width, as wide as channels", Stays("Conv Mul", "varies along axis 3"),
         f"{SQUARE} {{ c = Conv (x, W)\n y = Mul (c, k) }}", {"W": W, "k": (4,)}),
    Case("Mul along the batch, as many as channels", Stays("Conv Mul", "varies along axis 0"),
         "(float[4,3,6,6] x) => (float[] y) { c = Conv (x, W)\n y = Mul (c, k) }",
         {"W": W, "k": (4, 1, 1, 1)}),
    Case("Add of a whole feature map", Stays("Conv Add"),
         f"{SQUARE} {{ c = Conv (x, W, b)\n y = Add (c, k) }}",
         {"W": W, "b": B, "k": (1, 4, 4, 4)}),
    Case("Add of a whole map behind a grouped convolution", Stays("Conv Add"),
         "(float[1,4,6,6] x) => (float[] y) { c = Conv <group=2> (x, W)\n y = Add (c, k) }",
         {"W": (4, 2, 3, 3), "k": (1, 4, 4, 4)}),
    Case("Div of a constant by the convolution", Stays("Conv Div"),
         f"{IMAGE} {{ c = Conv (x, W)\n y = Div (k, c) }}", {"W": W, "k": C}),
    Case("Add that widens one channel to four", Stays("Conv Add"),
         f"{IMAGE} {{ c = Conv (x, W, b)\n y = Add (c, k) }}",
         {"W": (1, 3, 3, 3), "b": (1,), "k": C}),
    Case("Mul that adds an axis in front", Stays("Conv Mul"),
         f"{IMAGE} {{ c = Conv (x, W)\n y = Mul (c, k) }}", {"W": W, "k": (2, 1, 4, 1, 1)}),
    Case("MatMul of one column widened by Add", Right(),
         "(float[5,3] x) => (float[] y) { c = MatMul (x, W)\n y = Add (c, k) }",
         {"W": (3, 1), "k": (4,)}),
    Case("the product with itself", Stays("Conv Mul"),
         f"{IMAGE} {{ c = Conv (x, W)\n y = Mul (c, c) }}", {"W": W}),
    Case("the sum with itself", Right(),
         f"{IMAGE} {{ c = Conv (x, W)\n y = Add (c, c) }}", {"W": W}),
    Case("Div by zero", Right(),
         f"{IMAGE} {{ c = Conv (x, W)\n y = Div (c, k) }}",
         {"W": W, "k": np.float32([1, 0, 2, 3]).reshape(C)}),
    Case("Mul by infinity", Right(),
         f"{IMAGE} {{ c = Conv (x, W)\n y = Mul (c, k) }}",
         {"W": W, "k": np.float32([1, np.inf, 2, 3]).reshape(C)}),
    Case("factors that overflow together", Right(),
         f"{IMAGE} {{ c = Conv (x, W)\n d = Mul (c, k)\n y = Mul (d, l) }}",
         {"W": W, "k": np.float32(1e30), "l": np.float32(1e-30)}),
    Case("float16 weight that would overflow", Right(),
         "(float16[2,3,7,9] x) => (float16[] y) { s = Mul (x, k)\n c = Conv (s, W)\n"
         "y = Mul (c, l) }",
         {"W": np.linspace(-1, 1, 108).reshape(W).astype(np.float16), "k": np.float16(1e-3),
          "l": np.float16(60000)}),
    Case("integers", Stays("MatMul Mul Add"),
         "(int32[2,3] x) => (int32[] y) { c = MatMul (x, W)\n d = Mul (c, k)\n y = Add (d, l) }",
         {"W": np.arange(12, dtype=np.int32).reshape(3, 4), "k": np.int32([1, 2, 3, 4]),
          "l": np.int32([5, 6, 7, 8])}),
    Case("integer division behind a cast", Right(),
         "(float[2,3] x) => (float[] y) { c = MatMul (x, W)\n i = Cast <to=6> (c)\n"
         "d = Div (i, k)\n y = Cast <to=1> (d) }", {"W": (3, 4), "k": np.int32([1, 2, 3, 4])}),
    Case("a cast to half and back is a rounding", Right(),
         "(float[2,3] x) => (float[] y) { c = MatMul (x, W)\n h = Cast <to=10> (c)\n"
         "f = Cast <to=1> (h)\n y = Mul (f, k) }", {"W": (3, 4), "k": (4,)}, tolerance=2e-3),
    Case("nothing linear near", Stays("Relu Mul Add Relu", "Relu"),
         "(float[2,4] x) => (float[] y) { r = Relu (x)\n c = Mul (r, k)\n d = Add (c, l)\n"
         "y = Relu (d) }", {"k": (4,), "l": (4,)}),
    Case("identity transposes around a Gemm", Fires("Gemm"),
         "(float[4,4] x) => (float[] y) { t = Transpose <perm=[0,1]> (x)\n"
         "g = Gemm <transA=1> (t, W, b)\n u = Transpose <perm=[0,1]> (g)\n y = Mul (u, k) }",
         {"W": (4, 4), "b": (4,), "k": (4,)}),
    Case("Pad with several readers", Fires("Pad Conv Relu"),
         "(float[1,2,6,6] x) => (float[] y, float[] z) { p = Pad (x, pads)\n"
         "c = Conv (p, W)\n y = Mul (c, k)\n z = Relu (p) }",
         {"W": (4, 2, 3, 3), "k": C, "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])}),
    Case("quantised weight", Fires("DequantizeLinear Conv"),
         f"{IMAGE} {{ W = DequantizeLinear <axis=0> (q, qs, qz)\n c = Conv (x, W, b)\n"
         "d = Mul (c, k)\n y = Add (d, l) }",
         {"q": np.arange(108, dtype=np.int8).reshape(W), "qs": np.float32([0.1, 0.2, 0.01, 0.3]),
          "qz": np.zeros(4, np.int8), "b": B, "k": C, "l": C}),
)  # fmt: skip

CASES = (*SPELLINGS, *TRAPS)
