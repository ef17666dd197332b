"""BatchNormalization behind and before what can absorb it."""

from __future__ import annotations

import numpy as np

from .case import Case, Fires, Right, Stays, batch_norm

BN = "y = BatchNormalization (c, s, o, m, v)"
P4, P6, P8 = batch_norm("", 4), batch_norm("", 6), batch_norm("", 8)
CONV = Fires("Conv")
IMAGE = "(float[2,3,7,9] x) => (float[] y)"


def conv(
    name: str, call: str, shape: tuple[int, ...], *, x: str = "2,3,7,9", **extra: object
) -> Case:
    """Conv with the given call, then BatchNormalization over 4 or more channels, becomes a Conv."""
    return Case(
        name,
        CONV,
        f"(float[{x}] x) => (float[] y) {{ c = {call}\n {BN} }}",
        {"W": shape, "b": (shape[0],), **batch_norm("", shape[0])},
        **extra,  # type: ignore[arg-type]
    )


CONVOLUTIONS = (
    conv("conv2d with bias", "Conv (x, W, b)", (4, 3, 3, 3)),
    conv("conv2d without bias", "Conv (x, W)", (4, 3, 3, 3)),
    conv("conv2d padded, strided", "Conv <pads=[1,0,2,1], strides=[2,1]> (x, W, b)", (4, 3, 3, 3)),
    conv("conv2d dilated", "Conv <dilations=[2,3]> (x, W)", (4, 3, 2, 2)),
    conv("conv2d auto_pad", 'Conv <auto_pad="SAME_UPPER", strides=[2,2]> (x, W)', (4, 3, 3, 3)),
    conv("conv2d with empty bias name", 'Conv (x, W, "")', (4, 3, 3, 3)),
    conv("conv2d symbolic size", "Conv (x, W, b)", (4, 3, 3, 3), x="n,3,h,w"),
    conv("conv1d", "Conv <pads=[1,1]> (x, W, b)", (4, 3, 3), x="2,3,11"),
    conv("conv3d", "Conv (x, W)", (4, 3, 2, 2, 2), x="2,3,4,5,6"),
    conv("conv grouped", "Conv <group=3> (x, W, b)", (6, 2, 3, 3), x="2,6,7,7"),
    conv("conv depthwise", "Conv <group=4> (x, W)", (4, 1, 3, 3), x="2,4,7,7"),
    conv("conv depthwise, two outputs each", "Conv <group=3> (x, W)", (6, 1, 3, 3)),
    *(conv(f"conv2d opset {opset}", "Conv (x, W, b)", (4, 3, 3, 3), opset=opset)
      for opset in (7, 9, 11, 13, 14, 15, 22)),
    Case("epsilon left out or large", CONV,
         f"{IMAGE} {{ c = Conv (x, W)\n y = BatchNormalization <epsilon=0.3> (c, s, o, m, v) }}",
         {"W": (4, 3, 3, 3), **P4}),
    Case("two in a row", Fires("Conv Conv"),
         f"{IMAGE} {{ c = Conv (x, W)\n d = BatchNormalization (c, s, o, m, v)\n"
         "e = Conv (d, U, b)\n y = BatchNormalization (e, qs, qo, qm, qv) }",
         {"W": (4, 3, 3, 3), "U": (6, 4, 3, 3), "b": (6,), **P4, **batch_norm("q", 6)}),
    Case("scale of zero and below zero", CONV,
         f"{IMAGE} {{ c = Conv (x, W, b)\n {BN} }}",
         {"W": (4, 3, 3, 3), "b": (4,), **P4, "s": np.array([0, -1, -2, 3], np.float32)}),
    Case("behind it a Relu and a MaxPool", Fires("Conv Relu MaxPool"),
         f"{IMAGE} {{ c = Conv (x, W)\n d = BatchNormalization (c, s, o, m, v)\n"
         "e = Relu (d)\n y = MaxPool <kernel_shape=[2,2]> (e) }",
         {"W": (4, 3, 3, 3), **P4}),
    Case("float16", CONV,
         "(float16[2,3,7,9] x) => (float16[] y) { c = Conv (x, W)\n" + BN + "}",
         {"W": np.linspace(-1, 1, 108).reshape(4, 3, 3, 3).astype(np.float16),
          **batch_norm("", 4, np.float16)}),
    Case("float16 with float32 statistics", CONV,
         "(float16[2,3,7,9] x) => (float16[] y) { c = Conv (x, W)\n" + BN + "}",
         {"W": np.linspace(-1, 1, 108).reshape(4, 3, 3, 3).astype(np.float16), **P4,
          "s": P4["s"].astype(np.float16), "o": P4["o"].astype(np.float16)}, opset=15),
    Case("batch of size zero allowed", CONV,
         f"(float[n,3,7,9] x) => (float[n,4,5,7] y) {{ c = Conv (x, W)\n {BN} }}",
         {"W": (4, 3, 3, 3), **P4}),
)  # fmt: skip

TRANSPOSED = (
    Case("transposed", Fires("ConvTranspose"),
         f"{IMAGE} {{ c = ConvTranspose <strides=[2,2]> (x, W, b)\n {BN} }}",
         {"W": (3, 4, 3, 3), "b": (4,), **P4}),
    Case("transposed, as many in as out", Fires("ConvTranspose"),
         f"(float[2,4,7,9] x) => (float[] y) {{ c = ConvTranspose (x, W)\n {BN} }}",
         {"W": (4, 4, 3, 3), **P4}),
    Case("transposed, two groups", Fires("ConvTranspose"),
         f"(float[2,4,5,5] x) => (float[] y) {{ c = ConvTranspose <group=2> (x, W, b)\n {BN} }}",
         {"W": (4, 3, 2, 2), "b": (6,), **P6}),
    Case("transposed, two groups, square", Fires("ConvTranspose"),
         f"(float[2,4,5,5] x) => (float[] y) {{ c = ConvTranspose <group=2> (x, W)\n {BN} }}",
         {"W": (4, 2, 2, 2), **P4}),
    Case("transposed, depthwise", Fires("ConvTranspose"),
         f"(float[2,4,5,5] x) => (float[] y) {{ c = ConvTranspose <group=4> (x, W)\n {BN} }}",
         {"W": (4, 1, 2, 2), **P4}),
    Case("transposed, 1-D, output padding", Fires("ConvTranspose"),
         "(float[2,3,8] x) => (float[] y) {"
         f"c = ConvTranspose <strides=[3], pads=[1,0], output_padding=[1]> (x, W, b)\n {BN} }}",
         {"W": (3, 4, 4), "b": (4,), **P4}),
    Case("transposed, 3-D", Fires("ConvTranspose"),
         f"(float[1,3,3,4,5] x) => (float[] y) {{ c = ConvTranspose (x, W)\n {BN} }}",
         {"W": (3, 4, 2, 2, 2), **P4}),
)  # fmt: skip

GAPS = (
    Case("Add of the bias between", CONV,
         f"{IMAGE} {{ a = Conv (x, W)\n c = Add (a, k)\n {BN} }}",
         {"W": (4, 3, 3, 3), "k": (1, 4, 1, 1), **P4}),
    Case("Add of the bias between, operands swapped", CONV,
         f"{IMAGE} {{ a = Conv (x, W, b)\n c = Add (k, a)\n {BN} }}",
         {"W": (4, 3, 3, 3), "b": (4,), "k": (4, 1, 1), **P4}),
    Case("Identity and Dropout between", CONV,
         f"{IMAGE} {{ a = Conv (x, W)\n i = Identity (a)\n c = Dropout (i)\n {BN} }}",
         {"W": (4, 3, 3, 3), **P4}),
    Case("Concat of two convolutions between", Fires("Conv Conv Concat"),
         f"{IMAGE} {{ p = Conv (x, W)\n q = Conv (x, U, b)\n c = Concat <axis=1> (p, q)\n {BN} }}",
         {"W": (4, 3, 3, 3), "U": (2, 3, 3, 3), "b": (2,), **P6}),
    Case("Add of two convolutions between", Fires(gone="BatchNormalization"),
         f"{IMAGE} {{ p = Conv (x, W)\n q = Conv (x, U, b)\n c = Add (p, q)\n {BN} }}",
         {"W": (4, 3, 3, 3), "U": (4, 3, 3, 3), "b": (4,), **P4}),
    Case("Add of the convolution to what it read", Right(),
         f"(float[2,4,7,9] x) => (float[] y) {{ p = Conv <pads=[1,1,1,1]> (x, W)\n"
         f"c = Add (x, p)\n {BN} }}", {"W": (4, 4, 3, 3), **P4}),
    Case("Slice of the channels between", Fires("Conv Slice"),
         f"{IMAGE} {{ p = Conv (x, W, b)\n c = Slice (p, f, t, a)\n {BN} }}",
         {"W": (6, 3, 3, 3), "b": (6,), "f": np.array([1]), "t": np.array([5]),
          "a": np.array([1]), **P4}),
    Case("Split of the channels between", Fires("Conv Split Relu"),
         "(float[2,3,7,9] x) => (float[] y, float[] z) { p = Conv (x, W, b)\n"
         f"c, d = Split <axis=1> (p, sizes)\n {BN}\n z = Relu (d) }}",
         {"W": (6, 3, 3, 3), "b": (6,), "sizes": np.array([4, 2]), **P4}),
    Case("Concat along another axis between", Fires("Conv Conv Concat"),
         f"{IMAGE} {{ p = Conv (x, W)\n q = Conv (x, U)\n c = Concat <axis=3> (p, q)\n {BN} }}",
         {"W": (4, 3, 3, 3), "U": (4, 3, 3, 3), **P4}),
    Case("Concat with what cannot absorb", Right(),
         f"{IMAGE} {{ p = Conv (x, W)\n q = Relu (x)\n r = Slice (q, f, t, a)\n"
         f"c = Concat <axis=1> (p, r)\n {BN} }}",
         {"W": (3, 3, 3, 3), **P6, "f": np.array([0, 0]), "t": np.array([5, 7]),
          "a": np.array([2, 3])}),
    Case("two BatchNorms behind a convolution", CONV,
         f"{IMAGE} {{ a = Conv (x, W)\n c = BatchNormalization (a, qs, qo, qm, qv)\n {BN} }}",
         {"W": (4, 3, 3, 3), **P4, **batch_norm("q", 4)}),
    Case("two BatchNorms with nothing to absorb them", Fires("Relu BatchNormalization"),
         "(float[2,4,5,5] x) => (float[] y) { r = Relu (x)\n"
         f"c = BatchNormalization (r, qs, qo, qm, qv)\n {BN} }}",
         {**P4, **batch_norm("q", 4)}),
    Case("AveragePool between", Fires("Conv AveragePool"),
         f"{IMAGE} {{ a = Conv (x, W)\n c = AveragePool <kernel_shape=[2,2]> (a)\n {BN} }}",
         {"W": (4, 3, 3, 3), **P4}),
    Case("padded AveragePool between, zeros counted", Right(),
         f"{IMAGE} {{ a = Conv (x, W)\n c = AveragePool <kernel_shape=[2,2], pads=[1,1,1,1],"
         f"count_include_pad=1> (a)\n {BN} }}",
         {"W": (4, 3, 3, 3), **P4}),
    Case("MaxPool between, negative scales", Right(),
         f"{IMAGE} {{ a = Conv (x, W)\n c = MaxPool <kernel_shape=[2,2]> (a)\n {BN} }}",
         {"W": (4, 3, 3, 3), **P4}),
    Case("Pad between", Right(),
         f"{IMAGE} {{ a = Conv (x, W)\n c = Pad (a, p)\n {BN} }}",
         {"W": (4, 3, 3, 3), "p": np.array([0, 0, 1, 1, 0, 0, 1, 1]), **P4}),
    Case("Relu between", Stays("Conv Relu BatchNormalization", "Relu 'Relu_1'"),
         f"{IMAGE} {{ a = Conv (x, W)\n c = Relu (a)\n {BN} }}",
         {"W": (4, 3, 3, 3), **P4}),
)  # fmt: skip

FORWARD = (
    Case("before a convolution", CONV,
         "(float[2,4,7,9] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n"
         "y = Conv (c, W, b) }", {"W": (3, 4, 3, 3), "b": (3,), **P4}),
    Case("before a convolution without bias", CONV,
         "(float[2,4,7] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n"
         "y = Conv <strides=[2], dilations=[2]> (c, W) }", {"W": (3, 4, 3), **P4}),
    Case("before a grouped convolution", CONV,
         "(float[2,4,7,9] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n"
         "y = Conv <group=2> (c, W) }", {"W": (6, 2, 3, 3), **P4}),
    Case("before a padded convolution", Right(),
         "(float[2,4,7,9] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n"
         "y = Conv <pads=[1,1,1,1]> (c, W, b) }", {"W": (3, 4, 3, 3), "b": (3,), **P4}),
    Case("before a convolution with auto_pad", Right(),
         "(float[2,4,7,9] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n"
         'y = Conv <auto_pad="SAME_LOWER"> (c, W) }', {"W": (3, 4, 3, 3), **P4}),
    Case("before a transposed convolution", Right(),
         "(float[2,4,7,9] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n"
         "y = ConvTranspose <strides=[2,2]> (c, W) }", {"W": (4, 3, 3, 3), **P4}),
    Case("before a Gemm", Fires("Gemm"),
         "(float[2,4] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n"
         "y = Gemm <transB=1> (c, W, b) }", {"W": (3, 4), "b": (3,), **P4}),
    Case("before a Gemm with alpha and beta", Fires("Gemm"),
         "(float[2,4] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n"
         "y = Gemm <alpha=0.5, beta=2.0> (c, W, b) }", {"W": (4, 3), "b": (3,), **P4}),
    Case("before a Gemm without C", Fires("Gemm"),
         "(float[n,4] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n"
         "y = Gemm (c, W) }", {"W": (4, 3), **P4}),
    Case("before a MatMul and Add", Fires("Gemm"),
         "(float[2,4] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n"
         "d = MatMul (c, W)\n y = Add (d, b) }", {"W": (4, 3), "b": (3,), **P4}),
    Case("before Flatten and Gemm", Fires("Flatten Gemm"),
         "(float[2,4,3,2] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n"
         "f = Flatten (c)\n y = Gemm (f, W, b) }", {"W": (24, 5), "b": (5,), **P4}),
    Case("before a pool, Flatten and Gemm", Fires("GlobalAveragePool Flatten Gemm"),
         "(float[2,4,3,2] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n"
         "p = GlobalAveragePool (c)\n f = Flatten (p)\n y = Gemm (f, W, b) }",
         {"W": (4, 5), "b": (5,), **P4}),
    Case("between a Relu and a convolution", Fires("Conv Relu Conv"),
         f"{IMAGE} {{ a = Conv (x, W)\n r = Relu (a)\n c = BatchNormalization (r, s, o, m, v)\n"
         "y = Conv (c, U) }", {"W": (4, 3, 3, 3), "U": (5, 4, 2, 2), **P4}),
    Case("before two convolutions", Fires("Relu Conv Conv"),
         "(float[2,4,7,9] x) => (float[] y, float[] z) { r = Relu (x)\n"
         "c = BatchNormalization (r, s, o, m, v)\n y = Conv (c, W)\n z = Conv (c, U) }",
         {"W": (3, 4, 3, 3), "U": (5, 4, 2, 2), **P4}),
    Case("before a convolution and read elsewhere", Right(),
         "(float[2,4,7,9] x) => (float[] y, float[] z) { c = BatchNormalization (x, s, o, m, v)\n"
         "y = Conv (c, W)\n z = Relu (c) }", {"W": (3, 4, 3, 3), **P4}),
)  # fmt: skip

CASES = (*CONVOLUTIONS, *TRANSPOSED, *GAPS, *FORWARD)
