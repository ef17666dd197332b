"""A map goes backward into what made it: each operator it may cross, and the case where it may not.

Of each pair the second is one fact away from the first.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.affine.rows import Row, bn, channel, check

X = "(float[2,3,7,6] x) => (float[] y)"
FREE = "(float[n,3,h,w] x) => (float[] y)"
BN = "y = BatchNormalization (c, s, o, m, v)"
P, SIGNED = bn(4), bn(4, signs=True)
W, B, U = (4, 3, 3, 3), (4,), (4, 3, 3, 3)
K = channel(2, -1, 0.5, 3)
POSITIVE = channel(2, 1, 0.5, 3)

BRANCHES = (
    Row("Concat: to each branch its channels",
        f"{FREE} {{ p = Conv (x, W)\n q = Conv (x, U, b)\n c = Concat <axis=1> (p, q)\n {BN} }}",
        "Conv Conv Concat",
        weights={"W": W, "U": (2, 3, 3, 3), "b": (2,), **bn(6, signs=True)}),
    Row("trap: a branch of the Concat is read elsewhere",
        "(float[n,3,h,w] x) => (float[] y, float[] z) {"
        "p = Conv (x, W)\n q = Conv (x, U, b)\n c = Concat <axis=1> (p, q)\n"
        f"z = Relu (p)\n {BN} }}",
        "Conv Conv Concat Relu BatchNormalization", "is also read by Relu",
        weights={"W": W, "U": (2, 3, 3, 3), "b": (2,), **bn(6, signs=True)}),
    Row("Concat with a constant, which becomes another",
        f"{X} {{ p = Conv (x, W)\n c = Concat <axis=1> (p, k)\n {BN} }}", "Conv Concat",
        weights={"W": (2, 3, 3, 3), "k": (2, 2, 5, 4), **SIGNED}),
    Row("Concat along the width: the whole map to each branch",
        f"{FREE} {{ p = Conv (x, W)\n q = Conv (x, U, b)\n c = Concat <axis=-1> (p, q)\n {BN} }}",
        "Conv Conv Concat", weights={"W": W, "U": U, "b": B, **SIGNED}),
    Row("Split: only the part that is read through the map",
        "(float[n,3,h,w] x) => (float[] y, float[] z) {"
        f"p = Conv (x, W, b)\n c, d = Split <axis=1> (p, sizes)\n {BN}\n z = Relu (d) }}",
        "Conv Split Relu",
        weights={"W": (6, 3, 3, 3), "b": (6,), "sizes": np.array([4, 2]), **SIGNED}),
    Row("trap: Split along the height cuts each channel",
        "(float[2,3,10,6] x) => (float[] y, float[] z) {"
        f"p = Conv (x, W, b)\n c, d = Split <axis=2> (p, sizes)\n {BN}\n z = Relu (d) }}",
        "Conv Split Relu BatchNormalization", "has other outputs",
        weights={"W": W, "b": B, "sizes": np.array([4, 4]), **SIGNED}),
    Row("Add of two convolutions: the scale to both, the shift to one",
        f"{FREE} {{ p = Conv (x, W, b)\n q = Conv (r, U)\n c = Add (p, q)\n {BN} }}"
        .replace("x)", "x, float[n,3,h,w] r)", 1),
        "Conv Conv Add", weights={"W": W, "b": B, "U": U, **SIGNED}),
    Row("Sub of two convolutions",
        f"{FREE} {{ p = Conv (x, W, b)\n q = Conv (r, U)\n c = Sub (p, q)\n {BN} }}"
        .replace("x)", "x, float[n,3,h,w] r)", 1),
        "Conv Conv Sub", weights={"W": W, "b": B, "U": U, **SIGNED}),
    Row("Sum of three",
        f"{FREE} {{ p = Conv (x, W)\n q = Conv (r, U)\n t = Conv (r, V, b)\n c = Sum (p, q, t)\n"
        f"{BN} }}".replace("x)", "x, float[n,3,h,w] r)", 1),
        "Conv Conv Conv Sum", weights={"W": W, "b": B, "U": U, "V": U, **SIGNED}),
    Row("trap: a branch of the Add is broadcast along the channels",
        f"{FREE} {{ p = Conv (x, W, b)\n q = Conv (r, U)\n c = Add (p, q)\n {BN} }}"
        .replace("x)", "x, float[n,3,h,w] r)", 1),
        "Conv Conv Add BatchNormalization", "broadcast along the channels",
        weights={"W": W, "b": B, "U": (1, 3, 3, 3), **SIGNED}),
    Row("trap: one value twice",
        f"{FREE} {{ p = Conv (x, W, b)\n c = Add (p, p)\n {BN} }}", "Conv Add BatchNormalization",
        "reads one value twice", weights={"W": W, "b": B, **SIGNED}),
    Row("trap: the product of two convolutions",
        f"{X} {{ p = Conv (x, W, b)\n q = Conv (x, U)\n c = Mul (p, q)\n {BN} }}",
        "Conv Conv Mul BatchNormalization", "Mul", weights={"W": W, "b": B, "U": U, **SIGNED}),
)  # fmt: skip

LARGE = np.full(4, 900, np.float32)
SHORT = np.random.default_rng(3).standard_normal(W).astype(np.float16)

PLACES = (
    Row("Cast down",
        f"(float[2,3,8,6] x) => (float16[] y) {{ p = Conv (x, W)\n c = Cast <to=10> (p)\n {BN} }}",
        "Conv Cast", weights={"W": W, **{k: v.astype(np.float16) for k, v in SIGNED.items()}}),
    Row("trap: before a Cast up there is less precision than the map has",
        f"(float16[2,4,8,6] x) => (float[] y) {{ p = Sigmoid (x)\n c = Cast <to=1> (p)\n {BN} }}",
        "Sigmoid Cast BatchNormalization", "have only float16's precision", weights=SIGNED),
    Row("a large shift before a Cast up that is cast down again",
        "(float16[2,3,8,6] x) => (float16[] y) { p = Conv (x, W)\n c = Cast <to=1> (p)\n"
        " b = BatchNormalization (c, s, o, m, v)\n y = Cast <to=10> (b) }",
        "Conv Cast Cast", weights={"W": SHORT, **SIGNED, "o": LARGE}),
    Row("trap: a large shift before a Cast up",
        "(float16[2,3,8,6] x) => (float[] y) { p = Conv (x, W)\n c = Cast <to=1> (p)\n"
        " y = BatchNormalization (c, s, o, m, v) }",
        "Conv Cast BatchNormalization", "adding the shift in float16",
        weights={"W": SHORT, **SIGNED, "o": LARGE}),
    Row("AveragePool",
        f"{FREE} {{ p = Conv (x, W)\n c = AveragePool <kernel_shape=[2,2], pads=[1,1,0,0]> (p)\n"
        f"{BN} }}", "Conv AveragePool", weights={"W": W, **SIGNED}),
    Row("trap: AveragePool that counts its padding",
        f"{FREE} {{ p = Conv (x, W)\n c = AveragePool <kernel_shape=[2,2], pads=[1,1,0,0],"
        f"count_include_pad=1> (p)\n {BN} }}", "Conv AveragePool BatchNormalization",
        "counts its padding", weights={"W": W, **SIGNED}),
    Row("AveragePool that counts its padding lets a scale pass",
        f"{FREE} {{ p = Conv (x, W)\n c = AveragePool <kernel_shape=[2,2], pads=[1,1,0,0],"
        "count_include_pad=1> (p)\n y = Mul (c, k) }", "Conv AveragePool",
        weights={"W": W, "k": K}),
    Row("MaxPool, every scale positive",
        f"{FREE} {{ p = Conv (x, W)\n c = MaxPool <kernel_shape=[2,2], pads=[1,1,0,0]> (p)\n"
        f"{BN} }}", "Conv MaxPool", weights={"W": W, **P}),
    Row("trap: MaxPool, one scale negative",
        f"{FREE} {{ p = Conv (x, W)\n c = MaxPool <kernel_shape=[2,2], pads=[1,1,0,0]> (p)\n"
        f"{BN} }}", "Conv MaxPool BatchNormalization", "channel 2 has -",
        weights={"W": W, **SIGNED}),
    Row("trap: MaxPool whose places are read",
        "(float[2,3,7,6] x) => (float[] y, int64[] i) {"
        f"p = Conv (x, W)\n c, i = MaxPool <kernel_shape=[2,2]> (p)\n {BN} }}",
        "Conv MaxPool BatchNormalization", "indices", weights={"W": W, **P}),
    Row("Pad with 0, which a scale leaves 0",
        f"{FREE} {{ p = Conv (x, W)\n c = Pad (p, pads)\n y = Mul (c, k) }}", "Conv Pad",
        weights={"W": W, "k": K, "pads": np.array([0, 0, 1, 2, 0, 0, 0, 1])}),
    Row("Pad with 0, adapted to what a shift makes of it",
        f"{FREE} {{ p = Conv (x, W)\n c = Pad (p, pads)\n d = Mul (c, k)\n y = Add (d, l) }}",
        "Conv Pad", weights={"W": W, "k": np.float32(2), "l": np.float32(0.5),
                             "pads": np.array([0, 0, 1, 2, 0, 0, 0, 1])}),
    Row("Pad of the edge",
        f'{FREE} {{ p = Conv (x, W)\n c = Pad <mode="edge"> (p, pads)\n {BN} }}', "Conv Pad",
        weights={"W": W, "pads": np.array([0, 0, 1, 2, 0, 0, 0, 1]), **SIGNED}),
    Row("Pad with its value as an attribute",
        f"{X} {{ p = Conv (x, W)\n c = Pad <pads=[0,0,1,2,0,0,0,1], value=1.5> (p)\n"
        "y = Sub (l, c) }", "Conv Pad", weights={"W": W, "l": np.float32(0.5)}, opset=10),
    Row("trap: Pad would need a value per channel",
        f"{FREE} {{ p = Conv (x, W)\n c = Pad (p, pads)\n {BN} }}", "Conv Pad BatchNormalization",
        "every channel with its own value",
        weights={"W": W, "pads": np.array([0, 0, 1, 2, 0, 0, 0, 1]), **SIGNED}),
    Row("trap: Pad of the channels",
        f"{X} {{ p = Conv (x, W)\n c = Pad (p, pads)\n y = Mul (c, k) }}", "Conv Pad Mul",
        "may pad axis 1", weights={"W": (3, 3, 3, 3), "k": K,
                                   "pads": np.array([0, 1, 0, 0, 0, 0, 0, 0])}),
    Row("trap: Pad with 0 before a MaxPool is not the padding of the MaxPool",
        f"{FREE} {{ p = Conv (x, W)\n z = Pad (p, pads)\n c = MaxPool <kernel_shape=[3,3]> (z)\n"
        f"{BN} }}", "Conv Pad MaxPool BatchNormalization", "every channel with its own value",
        weights={"W": W, "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), **P}),
    Row("Resize by nearest neighbour",
        f"{FREE} {{ p = Conv (x, W)\n c = Resize <mode=\"nearest\"> (p, , f)\n {BN} }}",
        "Conv Resize", weights={"W": W, "f": np.float32([1, 1, 2, 2]), **SIGNED}),
    Row("Resize by interpolation, to a size",
        f"{X} {{ p = Conv (x, W)\n c = Resize <mode=\"linear\"> (p, , , to)\n {BN} }}",
        "Conv Resize", weights={"W": W, "to": np.array([2, 4, 11, 3]), **SIGNED}),
    Row("trap: Resize that fills in a value outside its box",
        f"{X} {{ p = Conv (x, W)\n c = Resize <mode=\"linear\", extrapolation_value=7.0,"
        f"coordinate_transformation_mode=\"tf_crop_and_resize\"> (p, roi, f)\n {BN} }}",
        "Conv Resize BatchNormalization", "fills in a value",
        weights={"W": W, "f": np.float32([1, 1, 2, 2]),
                 "roi": np.float32([0, 0, 0, 0, 1, 1, 1.5, 1]), **SIGNED}),
    Row("Upsample", f"{X} {{ p = Conv (x, W)\n c = Upsample <mode=\"nearest\"> (p, f)\n {BN} }}",
        "Conv Upsample", weights={"W": W, "f": np.float32([1, 1, 2, 2]), **SIGNED}, opset=9),
    Row("ReduceMean over the places",
        f"{FREE} {{ p = Conv (x, W)\n c = ReduceMean <axes=[2,3], keepdims=0> (p)\n {BN} }}",
        "Conv ReduceMean", weights={"W": W, **SIGNED}),
    Row("trap: ReduceMean over the channels",
        "(float[2,3,6,6] x) => (float[] y) {"
        f"p = Conv (x, W)\n c = ReduceMean <axes=[1], keepdims=0> (p)\n {BN} }}",
        "Conv ReduceMean BatchNormalization", "are axis 1", weights={"W": W, **SIGNED}),
)  # fmt: skip

LAYOUT = (
    Row("Transpose to channels last, Mul and Add along the last axis",
        f"{FREE} {{ p = Conv (x, W)\n c = Transpose <perm=[0,2,3,1]> (p)\n d = Mul (c, k)\n"
        "y = Add (d, l) }", "Conv Transpose", weights={"W": W, "k": (4,), "l": (1, 1, 1, 4)}),
    Row("trap: Transpose to channels last, Mul along axis 1, as high as channels",
        "(float[2,3,6,6] x) => (float[] y) {"
        "p = Conv (x, W)\n c = Transpose <perm=[0,2,3,1]> (p)\n y = Mul (c, k) }",
        "Conv Transpose Mul", "varies along axis 2", weights={"W": W, "k": K}),
    Row("MatMul and Transpose to channels first",
        f"(float[n,t,3] x) => (float[] y) {{ p = MatMul (x, W)\n"
        f"c = Transpose <perm=[0,2,1]> (p)\n {BN} }}", "MatMul Add Transpose",
        weights={"W": (3, 4), **SIGNED}),
    Row("trap: MatMul and Transpose that leaves time where channels are",
        f"(float[5,4,3] x) => (float[] y) {{ p = MatMul (x, W)\n"
        f"c = Transpose <perm=[2,1,0]> (p)\n {BN} }}", "MatMul Transpose BatchNormalization",
        "are axis 2", weights={"W": (3, 5), **SIGNED}),
    Row("BatchNormalization of a sequence: Reshape to rows and back",
        f"(float[n,t,3] x) => (float[] y) {{ p = MatMul (x, W)\n d = Add (p, b)\n"
        f"c = Reshape (d, rows)\n {BN.replace('y', 'e')}\n y = Reshape (e, back) }}",
        "MatMul Add Reshape Reshape",
        weights={"W": (3, 4), "b": B, "rows": np.array([-1, 4]), "back": np.array([-1, 5, 4]),
                 **SIGNED}),
    Row("trap: Reshape of a MatMul that moves the channels",
        f"(float[8,3] x) => (float[] y) {{ p = MatMul (x, W)\n c = Reshape (p, rows)\n {BN} }}",
        "MatMul Reshape BatchNormalization", "does not keep the channels",
        weights={"W": (3, 6), "rows": np.array([12, 4]), **SIGNED}),
    Row("Flatten of batch and sequence",
        f"(float[n,t,3] x) => (float[] y) {{ p = MatMul (x, W)\n c = Flatten <axis=2> (p)\n"
        f"{BN} }}", "MatMul Add Flatten", weights={"W": (3, 4), **SIGNED}),
    Row("trap: Flatten of sequence and channels",
        f"(float[n,2,3] x) => (float[] y) {{ p = MatMul (x, W)\n c = Flatten (p)\n {BN} }}",
        "MatMul Flatten BatchNormalization", "does not keep the channels",
        weights={"W": (3, 2), **SIGNED}),
    Row("Flatten of channels and places, one number per channel",
        "(float[n,3,4,3] x) => (float[] y) { p = Conv (x, W)\n c = Flatten (p)\n y = Mul (c, k) }",
        "Conv Flatten", weights={"W": (4, 3, 3, 2), "k": np.repeat(np.float32([1, 2, 3, 4]), 4)}),
    Row("trap: Flatten of channels and places, one number per element",
        "(float[n,3,4,3] x) => (float[] y) { p = Conv (x, W)\n c = Flatten (p)\n y = Mul (c, k) }",
        "Conv Flatten Mul", "does not keep the channels", weights={"W": (4, 3, 3, 2), "k": (16,)}),
    Row("Squeeze and Unsqueeze",
        f"(float[n,3,t] x) => (float[] y) {{ u = Unsqueeze (x, axes)\n p = Conv (u, W)\n"
        f"c = Squeeze (p, axes)\n {BN} }}", "Unsqueeze Conv Squeeze",
        weights={"W": (4, 3, 1, 3), "axes": np.array([2]), **SIGNED}),
    Row("trap: Squeeze of the channels",
        "(float[4,3,4] x) => (float[] y) { p = Conv (x, W)\n c = Squeeze (p, axes)\n"
        "y = Mul (c, k) }", "Conv Squeeze Mul", "varies along axis",
        weights={"W": (1, 3, 1), "axes": np.array([1]), "k": (4,)}),
    Row("Expand to more axes",
        "(float[2,3] x) => (float[] y) { p = MatMul (x, W)\n c = Expand (p, to)\n y = Mul (c, k) }",
        "MatMul Expand", weights={"W": (3, 4), "to": np.array([5, 2, 4]), "k": (4,)}),
    Row("trap: Expand of more axes, one of which the map varies along",
        "(float[2,3] x) => (float[] y) { p = MatMul (x, W)\n c = Expand (p, to)\n y = Mul (c, k) }",
        "MatMul Expand Mul", "expands axis 0",
        weights={"W": (3, 4), "to": np.array([5, 2, 4]), "k": (5, 1, 1)}),
    Row("trap: Expand of one channel to four",
        "(float[2,1,7,6] x) => (float[] y) {"
        f"p = Conv (x, W)\n c = Expand (p, to)\n {BN} }}", "Conv Expand BatchNormalization",
        "expands axis 1",
        weights={"W": (1, 1, 1, 1), "to": np.array([2, 4, 7, 6]), **SIGNED}),
    Row("DepthToSpace, blocks first",
        f"{FREE} {{ p = Conv (x, W)\n c = DepthToSpace <blocksize=2> (p)\n {BN} }}",
        "Conv DepthToSpace", weights={"W": (16, 3, 3, 3), **SIGNED}),
    Row("DepthToSpace, channels first",
        f"{FREE} {{ p = Conv (x, W)\n c = DepthToSpace <blocksize=2, mode=\"CRD\"> (p)\n {BN} }}",
        "Conv DepthToSpace", weights={"W": (16, 3, 3, 3), **SIGNED}),
    Row("trap: DepthToSpace, a map of the places",
        "(float[2,3,4,4] x) => (float[] y) {"
        "p = Conv (x, W)\n c = DepthToSpace <blocksize=2> (p)\n y = Mul (c, k) }",
        "Conv DepthToSpace Mul", "rearranges axis 3", weights={"W": (16, 3, 3, 3), "k": (4,)}),
    Row("SpaceToDepth, the same map for each block",
        "(float[2,3,8,6] x) => (float[] y) {"
        "p = Conv (x, W)\n c = SpaceToDepth <blocksize=2> (p)\n y = Mul (c, k) }",
        "Conv SpaceToDepth",
        weights={"W": (2, 3, 3, 3), "k": channel(1, 2, 1, 2, 1, 2, 1, 2)}),
    Row("trap: SpaceToDepth, another map for each block",
        "(float[2,3,8,6] x) => (float[] y) {"
        "p = Conv (x, W)\n c = SpaceToDepth <blocksize=2> (p)\n y = Mul (c, k) }",
        "Conv SpaceToDepth Mul", "differs between the blocks",
        weights={"W": (2, 3, 3, 3), "k": channel(1, 1, 2, 2, 1, 1, 2, 2)}),
)  # fmt: skip

PICKED = (
    Row("Slice of the channels",
        f"{FREE} {{ p = Conv (x, W, b)\n c = Slice (p, from, to, axes)\n {BN} }}", "Conv Slice",
        weights={"W": (6, 3, 3, 3), "b": (6,), "from": np.array([1]), "to": np.array([5]),
                 "axes": np.array([1]), **SIGNED}),
    Row("trap: the other channels of the Slice are read too",
        "(float[n,3,h,w] x) => (float[] y, float[] z) {"
        f"p = Conv (x, W, b)\n c = Slice (p, from, to, axes)\n {BN}\n z = Relu (p) }}",
        "Conv Slice BatchNormalization Relu", "is also read by Relu",
        weights={"W": (6, 3, 3, 3), "b": (6,), "from": np.array([1]), "to": np.array([5]),
                 "axes": np.array([1]), **SIGNED}),
    Row("Slice of the places",
        f"{FREE} {{ p = Conv (x, W, b)\n c = Slice (p, from, to, axes)\n {BN} }}", "Conv Slice",
        weights={"W": W, "b": B, "from": np.array([1]), "to": np.array([2**31]),
                 "axes": np.array([-1]), **SIGNED}),
    Row("Gather of channels, shuffled",
        f"{FREE} {{ p = Conv (x, W, b)\n c = Gather <axis=1> (p, i)\n {BN} }}", "Conv Gather",
        weights={"W": (6, 3, 3, 3), "b": (6,), "i": np.array([5, 0, -2, 1]), **SIGNED}),
    Row("trap: Gather of one channel twice",
        f"{FREE} {{ p = Conv (x, W, b)\n c = Gather <axis=1> (p, i)\n {BN} }}",
        "Conv Gather BatchNormalization", "more than once",
        weights={"W": (6, 3, 3, 3), "b": (6,), "i": np.array([5, 0, -1, 1]), **SIGNED}),
)  # fmt: skip

ACTIVATIONS = (
    Row("a positive scale through Relu",
        f"{FREE} {{ p = Conv (x, W, b)\n c = Relu (p)\n y = Mul (c, k) }}", "Conv Relu",
        weights={"W": W, "b": B, "k": POSITIVE}),
    Row("trap: a negative scale behind Relu",
        f"{FREE} {{ p = Conv (x, W, b)\n c = Relu (p)\n y = Mul (c, k) }}", "Conv Relu Mul",
        "channel 1 has -1", weights={"W": W, "b": B, "k": K}),
    Row("trap: a scale of zero behind Relu",
        f"{FREE} {{ p = Conv (x, W, b)\n c = Relu (p)\n y = Mul (c, k) }}", "Conv Relu Mul",
        "channel 3 has 0", weights={"W": W, "b": B, "k": channel(1, 2, 3, 0)}),
    Row("a positive scale through LeakyRelu",
        f"{FREE} {{ p = Conv (x, W, b)\n c = LeakyRelu <alpha=0.2> (p)\n y = Div (c, k) }}",
        "Conv LeakyRelu", weights={"W": W, "b": B, "k": POSITIVE}),
    Row("a positive scale through PRelu",
        f"{FREE} {{ p = Conv (x, W, b)\n c = PRelu (p, l)\n y = Mul (c, k) }}", "Conv PRelu",
        weights={"W": W, "b": B, "l": (4, 1, 1), "k": POSITIVE}),
    Row("trap: a shift behind PRelu stays behind it",
        f"{FREE} {{ p = Conv (x, W, b)\n c = PRelu (p, l)\n y = Add (c, k) }}", "Conv PRelu Add",
        "it would leave as many nodes", weights={"W": W, "b": B, "l": (4, 1, 1), "k": POSITIVE}),
    Row("BatchNormalization behind Relu leaves only its shift",
        f"{FREE} {{ p = Conv (x, W, b)\n c = Relu (p)\n {BN} }}", "Conv Relu Add",
        weights={"W": W, "b": B, **P}),
    Row("trap: Sigmoid",
        f"{FREE} {{ p = Conv (x, W, b)\n c = Sigmoid (p)\n y = Mul (c, k) }}", "Conv Sigmoid Mul",
        "Sigmoid", weights={"W": W, "b": B, "k": POSITIVE}),
    Row("trap: Relu of what no layer makes",
        f"(float[n,4,h,w] x) => (float[] y) {{ c = Relu (x)\n {BN} }}", "Relu BatchNormalization",
        "'x', an input", weights=P),
    Row("forward through Relu into a Conv",
        f"{FREE} {{ c = Mul (x, k)\n r = Relu (c)\n y = Conv <pads=[1,1,1,1]> (r, W) }}",
        "Relu Conv", weights={"W": W, "k": channel(2, 1, 0.5)}),
    Row("trap: forward a shift meets Relu",
        f"{FREE} {{ c = Add (x, k)\n r = Relu (c)\n y = Conv <pads=[1,1,1,1]> (r, W) }}",
        "Add Relu Conv", "only a scale can cross", weights={"W": W, "k": channel(2, 1, 0.5)}),
)  # fmt: skip

ROWS = [*BRANCHES, *PLACES, *LAYOUT, *PICKED, *ACTIVATIONS]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Row) -> None:
    check(row)
