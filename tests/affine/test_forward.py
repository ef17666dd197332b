"""A map goes forward into what reads it: each operator it may cross, and the case where it may not.

Of each pair the second is one fact away from the first.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.affine.rows import Row, bn, channel, check

X = "(float[2,4,7,6] x) => (float[] y)"
FREE = "(float[n,4,h,w] x) => (float[] y)"
BN = "c = BatchNormalization (x, s, o, m, v)"
P, SIGNED = bn(4), bn(4, signs=True)
W, B = (3, 4, 3, 3), (3,)

# γ and μ with −b/a = 0.5 in every channel: where the map is 0, one number for all of them.
EVEN = P | {"o": np.zeros(4, np.float32), "m": np.full(4, 0.5, np.float32)}

PADDED = (
    Row("padded Conv: a bias map over the places",
        f"{X} {{ {BN}\n y = Conv <pads=[1,1,1,1]> (c, W, b) }}", "Conv Add",
        weights={"W": W, "b": B, **SIGNED}),
    Row("padded Conv, strided and dilated and in groups: a bias map",
        f"{X} {{ {BN}\n y = Conv <pads=[2,1,0,2], strides=[2,1], dilations=[1,2], group=2>"
        "(c, W) }", "Conv Add", weights={"W": (6, 2, 3, 2), **SIGNED}),
    Row("SAME_UPPER: a bias map",
        f'{X} {{ {BN}\n y = Conv <auto_pad="SAME_UPPER", strides=[2,2]> (c, W, b) }}', "Conv Add",
        weights={"W": W, "b": B, **P}),
    Row("SAME_LOWER: a bias map",
        f'{X} {{ {BN}\n y = Conv <auto_pad="SAME_LOWER", strides=[2,2]> (c, W) }}', "Conv Add",
        weights={"W": (3, 4, 2, 2), **P}),
    Row("VALID is no padding",
        f'{FREE} {{ {BN}\n y = Conv <auto_pad="VALID"> (c, W) }}', "Conv", weights={"W": W, **P}),
    Row("trap: padded Conv of unknown size",
        f"{FREE} {{ {BN}\n y = Conv <pads=[1,1,1,1]> (c, W, b) }}", "BatchNormalization Conv",
        "pads with zeros behind it", weights={"W": W, "b": B, **P}),
    Row("trap: a bias map over the budget",
        f"(float[1,4,300,300] x) => (float[] y) {{ {BN}\n y = Conv <pads=[1,1,1,1]> (c, W) }}",
        "BatchNormalization Conv", "pads with zeros behind it", weights={"W": W, **P}),
    Row("padded Conv of unknown size: one number that the map takes to 0",
        f"{FREE} {{ {BN}\n y = Conv <pads=[1,0,2,1]> (c, W, b) }}", "Pad Conv",
        weights={"W": W, "b": B, **EVEN}),
    Row("trap: another number in one channel",
        f"{FREE} {{ {BN}\n y = Conv <pads=[1,0,2,1]> (c, W, b) }}", "BatchNormalization Conv",
        "pads with zeros behind it",
        weights={"W": W, "b": B, **EVEN, "m": np.float32([0.5, 0.5, 0.5, 0.6])}),
    Row("trap: before opset 11 Pad has no input for the number",
        f"{FREE} {{ {BN}\n y = Conv <pads=[1,0,2,1]> (c, W, b) }}", "BatchNormalization Conv",
        "cannot be written at this opset", weights={"W": W, "b": B, **EVEN}, opset=9),
    Row("scale alone before a padded Conv: zeros stay zeros",
        f"{FREE} {{ c = Mul (x, k)\n y = Conv <pads=[1,1,1,1]> (c, W) }}", "Conv",
        weights={"W": W, "k": channel(2, -1, 0, 3)}),
    Row("trap: shift alone before a padded Conv",
        f"{FREE} {{ c = Add (x, k)\n y = Conv <pads=[1,1,1,1]> (c, W) }}", "Add Conv",
        "pads with zeros behind it", weights={"W": W, "k": channel(2, -1, 0, 3)}),
)  # fmt: skip

CROSSED = (
    Row("Flatten, Gemm", f"{X} {{ {BN}\n f = Flatten (c)\n y = Gemm (f, W, b) }}", "Flatten Gemm",
        weights={"W": (168, 3), "b": B, **SIGNED}),
    Row("trap: Flatten that puts channels with the batch",
        f"{X} {{ {BN}\n f = Flatten <axis=2> (c)\n y = Gemm (f, W, b) }}",
        "BatchNormalization Flatten Gemm", "sums over axis 1",
        weights={"W": (42, 3), "b": B, **SIGNED}),
    Row("GlobalAveragePool, Flatten, Gemm",
        f"{FREE} {{ {BN}\n p = GlobalAveragePool (c)\n f = Flatten (p)\n y = Gemm (f, W) }}",
        "GlobalAveragePool Flatten Gemm", weights={"W": (4, 3), **SIGNED}),
    Row("trap: GlobalAveragePool, Flatten, Sigmoid",
        f"{FREE} {{ {BN}\n p = GlobalAveragePool (c)\n f = Flatten (p)\n y = Sigmoid (f) }}",
        "BatchNormalization GlobalAveragePool Flatten Sigmoid", "Sigmoid", weights=SIGNED),
    Row("AveragePool, Conv",
        f"{FREE} {{ {BN}\n p = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1]> (c)\n"
        "y = Conv (p, W) }", "AveragePool Conv", weights={"W": W, **SIGNED}),
    Row("trap: AveragePool that counts its padding",
        f"{FREE} {{ {BN}\n p = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1],"
        "count_include_pad=1> (c)\n y = Conv (p, W) }", "BatchNormalization AveragePool Conv",
        "counts its padding", weights={"W": W, **SIGNED}),
    Row("AveragePool that would count padding but has none",
        f"{FREE} {{ {BN}\n p = AveragePool <kernel_shape=[3,3], count_include_pad=1> (c)\n"
        "y = Conv (p, W) }", "AveragePool Conv", weights={"W": W, **SIGNED}),
    Row("Reshape that keeps the channels",
        f"{FREE} {{ {BN}\n r = Reshape (c, to)\n y = Conv (r, W) }}", "Reshape Conv",
        weights={"W": (3, 4, 2), "to": np.array([0, 4, -1]), **SIGNED}),
    Row("trap: Reshape that spreads the channels",
        f"{X} {{ {BN}\n r = Reshape (c, to)\n y = Conv (r, W) }}",
        "BatchNormalization Reshape Conv", "does not keep the channels",
        weights={"W": (3, 7, 2), "to": np.array([2, 7, 24]), **SIGNED}),
    Row("Transpose, MatMul",
        f"{FREE} {{ {BN}\n t = Transpose <perm=[0,2,3,1]> (c)\n d = MatMul (t, W)\n"
        "y = Add (d, b) }", "Transpose MatMul Add", weights={"W": (4, 3), "b": B, **SIGNED}),
    Row("trap: Transpose that puts another axis last",
        "(float[2,4,4,4] x) => (float[] y) {"
        f"{BN}\n t = Transpose <perm=[0,2,1,3]> (c)\n y = MatMul (t, W) }}",
        "BatchNormalization Transpose MatMul", "sums over axis 3", weights={"W": (4, 3), **SIGNED}),
    Row("Squeeze, Gemm",
        f"(float[n,4,1,1] x) => (float[] y) {{ {BN}\n q = Squeeze (c, axes)\n y = Gemm (q, W) }}",
        "Squeeze Gemm", weights={"W": (4, 3), "axes": np.array([2, 3]), **SIGNED}),
    Row("trap: Squeeze that moves another axis to where the channels were",
        f"(float[1,4,4] x) => (float[] y) {{ {BN}\n q = Squeeze (c, axes)\n y = Gemm (q, W) }}",
        "BatchNormalization Squeeze Gemm", "varies along axis 0",
        weights={"W": (4, 3), "axes": np.array([0]), **SIGNED}),
    Row("Unsqueeze, Conv",
        f"(float[n,4,t] x) => (float[] y) {{ {BN}\n u = Unsqueeze (c, axes)\n y = Conv (u, W) }}",
        "Unsqueeze Conv", weights={"W": (3, 4, 1, 2), "axes": np.array([2]), **SIGNED}),
    Row("trap: Unsqueeze before the channels",
        f"(float[2,4,6] x) => (float[] y) {{ {BN}\n u = Unsqueeze (c, axes)\n y = Conv (u, W) }}",
        "BatchNormalization Unsqueeze Conv", "varies along axis 2",
        weights={"W": (3, 1, 2, 2), "axes": np.array([1]), **SIGNED}),
    Row("Slice of the channels, Conv",
        f"{FREE} {{ {BN}\n l = Slice (c, from, to, axes)\n y = Conv (l, W) }}", "Slice Conv",
        weights={"W": (3, 2, 3, 3), "from": np.array([1]), "to": np.array([3]),
                 "axes": np.array([1]), **SIGNED}),
    Row("Slice backwards through the channels, Conv",
        f"{FREE} {{ {BN}\n l = Slice (c, from, to, axes, steps)\n y = Conv (l, W) }}", "Slice Conv",
        weights={"W": (3, 2, 3, 3), "from": np.array([-1]), "to": np.array([-5]),
                 "axes": np.array([-3]), "steps": np.array([-2]), **SIGNED}),
    Row("trap: Slice from a place that is an input",
        "(float[2,4,7,6] x, int64[1] from) => (float[] y) {"
        f"{BN}\n l = Slice (c, from, to, axes)\n y = Conv (l, W) }}",
        "BatchNormalization Slice Conv", "is not constant",
        weights={"W": (3, 2, 3, 3), "to": np.array([2]), "axes": np.array([1]), **SIGNED}),
    Row("Gather of channels, one of them twice, Conv",
        f"{FREE} {{ {BN}\n g = Gather <axis=1> (c, i)\n y = Conv (g, W) }}", "Gather Conv",
        weights={"W": (5, 3, 3, 3), "i": np.array([3, 0, 3]), **SIGNED}),
    Row("Gather of one channel, MatMul",
        f"{X} {{ {BN}\n g = Gather <axis=1> (c, i)\n d = MatMul (g, W)\n y = Add (d, b) }}",
        "Gather MatMul Add", weights={"W": (6, 3), "b": B, "i": np.array(2), **SIGNED}),
    Row("trap: Gather of channels that are an input",
        "(float[2,4,7,6] x, int64[2] i) => (float[] y) {"
        f"{BN}\n g = Gather <axis=1> (c, i)\n y = Conv (g, W) }}",
        "BatchNormalization Gather Conv", "picks are not constant",
        weights={"W": (5, 2, 3, 3), **SIGNED}),
    Row("Identity and Dropout, Conv",
        f"{FREE} {{ {BN}\n i = Identity (c)\n d = Dropout (i)\n y = Conv (d, W) }}", "Conv",
        weights={"W": W, **SIGNED}),
    Row("trap: Dropout in training mode",
        f"{FREE} {{ {BN}\n d = Dropout (c, ratio, training)\n y = Conv (d, W) }}",
        "BatchNormalization Dropout Conv", "may be in training mode", runs=False,
        weights={"W": W, "ratio": np.float32(0), "training": np.array(True), **SIGNED}),
    Row("Dropout that is told that this is no training",
        f"{FREE} {{ {BN}\n d = Dropout (c, ratio, training)\n y = Conv (d, W) }}", "Conv",
        weights={"W": W, "ratio": np.float32(0.5), "training": np.array(False), **SIGNED}),
    Row("MaxPool, every scale positive, Conv",
        f"{FREE} {{ {BN}\n p = MaxPool <kernel_shape=[2,2], pads=[1,1,0,0]> (c)\n"
        "y = Conv (p, W) }",
        "MaxPool Conv", weights={"W": W, **P}),
    Row("trap: MaxPool, one scale negative",
        f"{FREE} {{ {BN}\n p = MaxPool <kernel_shape=[2,2], pads=[1,1,0,0]> (c)\n"
        "y = Conv (p, W) }",
        "BatchNormalization MaxPool Conv", "only a positive scale can cross",
        weights={"W": W, **SIGNED}),
    Row("ReduceMean over the places, Gemm",
        f"{FREE} {{ {BN}\n r = ReduceMean <axes=[2,3], keepdims=0> (c)\n y = Gemm (r, W, b) }}",
        "ReduceMean Gemm", weights={"W": (4, 3), "b": B, **SIGNED}),
    Row("trap: ReduceMean over the channels",
        f"{X} {{ {BN}\n r = ReduceMean <axes=[1]> (c)\n y = Conv (r, W) }}",
        "BatchNormalization ReduceMean Conv", "reduces axis 1",
        weights={"W": (3, 1, 3, 3), **SIGNED}),
    Row("trap: ReduceSum adds the shift up",
        f"{X} {{ {BN}\n r = ReduceSum (c, axes)\n y = Conv (r, W) }}",
        "BatchNormalization ReduceSum Conv", "adds the shift up",
        weights={"W": (3, 4, 1, 3), "axes": np.array([2]), **SIGNED}),
    Row("ReduceSum of a scale",
        f"{X} {{ c = Mul (x, k)\n r = ReduceSum (c, axes)\n y = Conv (r, W) }}", "ReduceSum Conv",
        weights={"W": (3, 4, 1, 3), "axes": np.array([2]), "k": channel(2, -1, 0.5, 3)}),
    Row("Expand to more axes, MatMul",
        "(float[2,4] x) => (float[] y) { c = Mul (x, k)\n e = Expand (c, to)\n y = MatMul (e, W) }",
        "Expand MatMul",
        weights={"W": (4, 3), "to": np.array([5, 2, 4]), "k": np.float32([2, -1, 0.5, 3])}),
    Row("Expand of one row to three, MatMul",
        "(float[1,4] x) => (float[] y) { c = Mul (x, k)\n e = Expand (c, to)\n y = MatMul (e, W) }",
        "Expand MatMul",
        weights={"W": (4, 3), "to": np.array([3, 4]), "k": np.float32([2, -1, 0.5, 3])}),
    Row("Concat behind another value, Conv",
        "(float[n,4,h,w] x, float[n,3,h,w] u) => (float[] y) {"
        f"{BN}\n t = Concat <axis=1> (u, c)\n y = Conv (t, W) }}", "Concat Conv",
        weights={"W": (3, 7, 3, 3), **SIGNED}),
    Row("trap: Concat along the height",
        "(float[2,4,7,6] x, float[2,4,7,6] u) => (float[] y) {"
        f"{BN}\n t = Concat <axis=2> (c, u)\n y = Conv (t, W) }}",
        "BatchNormalization Concat Conv", "along another axis than the map's",
        weights={"W": W, **SIGNED}),
    Row("Split along the height, a Conv behind each part",
        "(float[2,4,8,6] x) => (float[] y, float[] z) {"
        f"{BN}\n p, q = Split <axis=2> (c, sizes)\n y = Conv (p, W)\n z = Conv (q, U) }}",
        "Split Conv Conv",
        weights={"W": W, "U": (2, 4, 1, 1), "sizes": np.array([5, 3]), **SIGNED}),
    Row("Split of what is twice as much everywhere",
        "(float[2,4,8,6] x) => (float[] y, float[] z) { c = Mul (x, two)\n"
        "p, q = Split <axis=1> (c, sizes)\n y = Conv (p, W)\n z = Conv (q, U) }",
        "Split Conv Conv", weights={"W": (3, 1, 3, 3), "U": (3, 3, 1, 1), "two": np.float32(2),
                                    "sizes": np.array([1, 3])}),
    Row("Cast to the type that it has, Conv",
        "(float[2,4,7,6] x) => (float[] y) { c = Mul (x, k)\n t = Cast <to=1> (c)\n"
        "y = Conv (t, W) }", "Cast Conv", weights={"W": W, "k": channel(2, -1, 0.5, 3)}),
    Row("Cast up, Conv",
        "(float16[2,4,7,6] x) => (float[] y) { c = Mul (x, k)\n t = Cast <to=1> (c)\n"
        "y = Conv (t, W) }", "Cast Conv",
        weights={"W": W, "k": channel(2, -1, 0.5, 3).astype(np.float16)}),
    Row("trap: Cast down has less precision than the map",
        "(float[2,4,7,6] x) => (float16[] y) { c = Mul (x, k)\n t = Cast <to=10> (c)\n"
        "y = Conv (t, W) }", "Mul Cast Conv", "have only float16's precision",
        weights={"W": np.linspace(-1, 1, 108, dtype=np.float16).reshape(W),
                 "k": channel(2, -1, 0.5, 3)}),
)  # fmt: skip

SPREAD = (
    Row("Resize to twice the size, Conv",
        f'{FREE} {{ {BN}\n r = Resize <mode="nearest"> (c, , f)\n y = Conv (r, W) }}',
        "Resize Conv",
        weights={"W": W, "f": np.float32([1, 1, 2, 2]), **SIGNED}),
    Row("trap: Resize that looks beyond the border, Conv",
        f'{X} {{ {BN}\n r = Resize <mode="linear", '
        f'coordinate_transformation_mode="tf_crop_and_resize"> (c, roi, f)\n y = Conv (r, W) }}',
        "BatchNormalization Resize Conv", "fills in a value",
        weights={"W": W, "f": np.float32([1, 1, 2, 2]),
                 "roi": np.float32([0, 0, 0, 0, 1, 1, 1.5, 1]), **SIGNED}),
    Row("SpaceToDepth, Conv",
        "(float[2,4,8,6] x) => (float[] y) {"
        f"{BN}\n r = SpaceToDepth <blocksize=2> (c)\n y = Conv (r, W) }}", "SpaceToDepth Conv",
        weights={"W": (3, 16, 1, 1), **SIGNED}),
    Row("DepthToSpace, each block by the same map, Conv",
        "(float[2,8,4,3] x) => (float[] y) { c = Mul (x, k)\n r = DepthToSpace <blocksize=2> (c)\n"
        "y = Conv (r, W) }", "DepthToSpace Conv",
        weights={"W": (3, 2, 3, 3), "k": channel(1, 2, 1, 2, 1, 2, 1, 2)}),
    Row("DepthToSpace of channels first, each block by the same map, Conv",
        "(float[2,8,4,3] x) => (float[] y) { c = Mul (x, k)\n"
        'r = DepthToSpace <blocksize=2, mode="CRD"> (c)\n y = Conv (r, W) }', "DepthToSpace Conv",
        weights={"W": (3, 2, 3, 3), "k": channel(1, 1, 1, 1, 2, 2, 2, 2)}),
    Row("trap: DepthToSpace, each block by another map",
        "(float[2,8,4,3] x) => (float[] y) { c = Mul (x, k)\n r = DepthToSpace <blocksize=2> (c)\n"
        "y = Conv (r, W) }", "Mul DepthToSpace Conv", "differs between the blocks",
        weights={"W": (3, 2, 3, 3), "k": channel(1, 1, 1, 1, 2, 2, 2, 2)}),
    Row("the largest over the places, every scale positive, Gemm",
        f"{FREE} {{ {BN}\n r = ReduceMax <axes=[2,3], keepdims=0> (c)\n y = Gemm (r, W) }}",
        "ReduceMax Gemm", weights={"W": (4, 3), **P}),
    Row("trap: the largest over the places, one scale negative",
        f"{FREE} {{ {BN}\n r = ReduceMax <axes=[2,3], keepdims=0> (c)\n y = Gemm (r, W) }}",
        "BatchNormalization ReduceMax Gemm", "only a positive scale can cross",
        weights={"W": (4, 3), **SIGNED}),
    Row("GlobalMaxPool, every scale positive, Flatten, Gemm",
        f"{FREE} {{ {BN}\n p = GlobalMaxPool (c)\n f = Flatten (p)\n y = Gemm (f, W) }}",
        "GlobalMaxPool Flatten Gemm", weights={"W": (4, 3), **P}),
    Row("ReduceMean over an axis in front of the map's, taken away, Gemm",
        "(float[2,4,6] x) => (float[] y) { c = Mul (x, k)\n"
        "r = ReduceMean <axes=[1], keepdims=0> (c)\n y = Gemm (r, W) }", "ReduceMean Gemm",
        weights={"W": (6, 3), "k": (6,)}),
    Row("Pad that mirrors, Conv",
        f'{FREE} {{ {BN}\n p = Pad <mode="reflect"> (c, pads)\n y = Conv (p, W) }}', "Pad Conv",
        weights={"W": W, "pads": np.array([0, 0, 1, 2, 0, 0, 0, 1]), **SIGNED}),
    Row("LeakyRelu, every scale positive, Conv",
        f"{FREE} {{ c = Mul (x, k)\n r = LeakyRelu <alpha=0.2> (c)\n y = Conv (r, W) }}",
        "LeakyRelu Conv", weights={"W": W, "k": channel(2, 1, 0.5, 3)}),
    Row("PRelu, every scale positive, Conv",
        f"{FREE} {{ c = Mul (x, k)\n r = PRelu (c, l)\n y = Conv (r, W) }}", "PRelu Conv",
        weights={"W": W, "k": channel(2, 1, 0.5, 3), "l": (4, 1, 1)}),
)  # fmt: skip

READERS = (
    Row("two Conv read it",
        "(float[n,4,h,w] x) => (float[] y, float[] z) {"
        f"{BN}\n y = Conv (c, W)\n z = Conv <strides=[2,2]> (c, U, b) }}", "Conv Conv",
        weights={"W": W, "U": (5, 4, 1, 1), "b": (5,), **SIGNED}),
    Row("a Conv and, behind a pool, a Gemm",
        "(float[n,4,h,w] x) => (float[] y, float[] z) {"
        f"{BN}\n y = Conv (c, W)\n p = GlobalAveragePool (c)\n f = Flatten (p)\n"
        "z = Gemm (f, U) }",
        "Conv GlobalAveragePool Flatten Gemm", weights={"W": W, "U": (4, 3), **SIGNED}),
    Row("Shape reads no numbers",
        "(float[n,4,h,w] x) => (float[] y, int64[] z) {"
        f"{BN}\n y = Conv (c, W)\n z = Shape (c) }}", "Conv Shape", weights={"W": W, **SIGNED}),
    Row("Split: a part to each reader",
        "(float[n,4,h,w] x) => (float[] y, float[] z) {"
        f"{BN}\n p, q = Split <axis=1> (c, sizes)\n y = Conv (p, W)\n z = Conv (q, U) }}",
        "Split Conv Conv", weights={"W": (3, 1, 3, 3), "U": (3, 3, 1, 1),
                                    "sizes": np.array([1, 3]), **SIGNED}),
    Row("trap: one of two readers is a Sigmoid",
        "(float[n,4,h,w] x) => (float[] y, float[] z) {"
        f"{BN}\n y = Conv (c, W)\n z = Sigmoid (c) }}", "BatchNormalization Conv Sigmoid",
        "Sigmoid",
        weights={"W": W, **SIGNED}),
    Row("trap: it is an output too",
        "(float[n,4,h,w] x) => (float[] y, float[] c) {"
        f"{BN}\n y = Conv (c, W) }}", "BatchNormalization Conv", "'c' is an output of the graph",
        weights={"W": W, **SIGNED}),
    Row("trap: it is the weight of another layer",
        "(float[3,4,2,2] x, float[n,4,h,w] z) => (float[] y) {"
        f"{BN}\n y = Conv (z, c) }}", "BatchNormalization Conv", "is not a constant",
        weights=SIGNED),
    Row("trap: the weight is an input",
        "(float[n,4,h,w] x, float[3,4,3,3] W) => (float[] y) {"
        f"{BN}\n y = Conv (c, W) }}", "BatchNormalization Conv", "is not a constant",
        weights=SIGNED),
)  # fmt: skip

PIXELS = (
    Row("input normalisation: Sub, Div, Conv",
        f"{FREE} {{ a = Sub (x, k)\n c = Div (a, l)\n y = Conv (c, W, b) }}", "Conv",
        weights={"W": W, "b": B, "k": channel(0.4, 0.5, 0.6, 1), "l": channel(0.2, 0.3, 0.25, 1)}),
    Row("input normalisation before a padded Conv of known size",
        f"{X} {{ a = Sub (x, k)\n c = Div (a, l)\n y = Conv <pads=[1,1,1,1]> (c, W, b) }}",
        "Sub Conv",
        weights={"W": W, "b": B, "k": channel(0.4, 0.5, 0.6, 1), "l": channel(0.2, 0.3, 0.25, 1)}),
    Row("input normalisation and more before a padded Conv of known size",
        f"{X} {{ a = Sub (x, k)\n d = Div (a, l)\n c = Add (d, k)\n"
        "y = Conv <pads=[1,1,1,1]> (c, W, b) }", "Conv Add",
        weights={"W": W, "b": B, "k": channel(0.4, 0.5, 0.6, 1), "l": channel(0.2, 0.3, 0.25, 1)}),
    Row("trap: Div along the width",
        "(float[2,4,7,4] x) => (float[] y) { c = Div (x, k)\n y = Conv (c, W) }", "Div Conv",
        "varies along axis 3", weights={"W": W, "k": np.float32([1, 2, 3, 4])}),
    Row("trap: the constant widens the tensor",
        "(float[2,1,7,6] x) => (float[] y) { c = Mul (x, k)\n y = Conv (c, W) }", "Mul Conv",
        weights={"W": W, "k": channel(1, 2, 3, 4)}),
)  # fmt: skip

LAYERS = (
    Row("MatMul of rank 3", "(float[n,t,4] x) => (float[] y) { a = Mul (x, k)\n c = Add (a, l)\n"
        "d = MatMul (c, W)\n y = Add (d, b) }", "MatMul Add",
        weights={"W": (4, 3), "b": B, "k": (4,), "l": (4,)}),
    Row("trap: BatchNormalization over time before a MatMul",
        f"(float[2,4,4] x) => (float[] y) {{ {BN}\n y = MatMul (c, W) }}",
        "BatchNormalization MatMul", "sums over axis 2", weights={"W": (4, 3), **SIGNED}),
    Row("MatMul with the weight on the left",
        f"(float[2,4,6] x) => (float[] y) {{ {BN}\n d = MatMul (W, c)\n y = Add (d, b) }}",
        "MatMul Add", weights={"W": (3, 4), "b": (3, 1), **SIGNED}),
    Row("trap: weight on the left, map along the columns",
        "(float[2,4,4] x) => (float[] y) { c = Mul (x, k)\n y = MatMul (W, c) }", "Mul MatMul",
        "sums over axis 1", weights={"W": (3, 4), "k": (4,)}),
    Row("Gemm, transposed weight, alpha and beta",
        f"(float[n,4] x) => (float[] y) {{ {BN}\n y = Gemm <transB=1, alpha=0.5, beta=2.0>"
        "(c, W, b) }", "Gemm", weights={"W": (3, 4), "b": B, **SIGNED}),
    Row("trap: Gemm with its input transposed sums over the batch",
        f"(float[4,4] x) => (float[] y) {{ {BN}\n y = Gemm <transA=1> (c, W, b) }}",
        "BatchNormalization Gemm", "sums over axis 0", weights={"W": (4, 3), "b": B, **SIGNED}),
    Row("Einsum over the channels, scale alone",
        '(float[n,4,t] x) => (float[] y) { c = Mul (x, k)\n y = Einsum <equation="nct,cd->ntd">'
        "(c, W) }", "Einsum", weights={"W": (4, 3), "k": channel(2, -1, 0.5, 3, rank=3)}),
    Row("trap: Einsum would spread the shift",
        '(float[2,4,5] x) => (float[] y) { c = Add (x, k)\n y = Einsum <equation="nct,cd->ntd">'
        "(c, W) }", "Add Einsum", "would spread the shift",
        weights={"W": (4, 3), "k": channel(2, -1, 0.5, 3, rank=3)}),
    Row("trap: a transposed convolution takes nothing at its input's border",
        f"{X} {{ {BN}\n y = ConvTranspose (c, W) }}", "BatchNormalization ConvTranspose",
        "takes no scale or shift", weights={"W": (4, 3, 3, 3), **SIGNED}),
)  # fmt: skip


@pytest.mark.parametrize("row", [*PADDED, *CROSSED, *SPREAD, *READERS, *PIXELS, *LAYERS], ids=str)
def test_row(row: Row) -> None:
    check(row)


def test_the_bias_map_names_its_budget() -> None:
    over = next(row for row in PADDED if "budget" in row.name)
    (miss,) = check(over).journal.near_misses.values()
    assert "1024 KiB" in miss.remedy


def test_an_unknown_size_names_the_way_out() -> None:
    free = next(row for row in PADDED if row.name.startswith("trap: padded Conv of unknown"))
    (miss,) = check(free).journal.near_misses.values()
    assert "fix the height and width" in miss.remedy
