"""What swallows a map, what merges with it, what may be copied for it; and where not.

Of each pair the second is one fact away from the first.
"""

from __future__ import annotations

import numpy as np
import pytest

from normonnx.options import Options
from tests.affine.rows import Row, bn, channel, check

FREE = "(float[n,3,h,w] x) => (float[] y)"
BN = "y = BatchNormalization (c, s, o, m, v)"
SIGNED = bn(4, signs=True)
W, B = (4, 3, 3, 3), (4,)
K = channel(2, -1, 0.5, 3)

PRODUCERS = (
    Row("Conv1d", f"(float[n,3,t] x) => (float[] y) {{ c = Conv <pads=[1,1]> (x, W, b)\n {BN} }}",
        "Conv", weights={"W": (4, 3, 3), "b": B, **SIGNED}),
    Row("Conv3d", f"(float[1,3,4,4,4] x) => (float[] y) {{ c = Conv (x, W)\n {BN} }}", "Conv",
        weights={"W": (4, 3, 2, 2, 2), **SIGNED}),
    Row("Conv with an empty bias", f'{FREE} {{ c = Conv (x, W, "")\n {BN} }}', "Conv",
        weights={"W": W, **SIGNED}),
    Row("trap: the weight of the Conv is an input",
        f"(float[n,3,h,w] x, float[4,3,3,3] W) => (float[] y) {{ c = Conv (x, W)\n {BN} }}",
        "Conv BatchNormalization", "the weight 'W'", weights=SIGNED),
    Row("trap: the bias of the Conv is an input",
        f"(float[n,3,h,w] x, float[4] b) => (float[] y) {{ c = Conv (x, W, b)\n {BN} }}",
        "Conv BatchNormalization", "the bias 'b'", weights={"W": W, **SIGNED}),
    Row("ConvTranspose in groups",
        f"(float[2,4,5,5] x) => (float[] y) {{ c = ConvTranspose <group=2> (x, W, b)\n {BN} }}",
        "ConvTranspose", weights={"W": (4, 3, 2, 2), "b": (6,), **bn(6, signs=True)}),
    Row("trap: Mul along the width behind a ConvTranspose",
        "(float[2,4,5,5] x) => (float[] y) { c = ConvTranspose <group=2> (x, W)\n y = Mul (c, k) }",
        "ConvTranspose Mul", "varies along axis 3", weights={"W": (4, 3, 2, 2), "k": (6,)}),
    Row("Gemm, both transposed, alpha and beta",
        f"(float[3,n] x) => (float[] y) {{ c = Gemm <transA=1, transB=1, alpha=0.5, beta=3.0>"
        f"(x, W, b)\n {BN} }}", "Gemm", weights={"W": (4, 3), "b": (1, 4), **SIGNED}),
    Row("Gemm with beta 0, before C was optional",
        "(float[n,3] x) => (float[] y) { c = Gemm <beta=0.0> (x, W, b)\n y = Mul (c, k) }",
        "Gemm", weights={"W": (3, 4), "b": B, "k": (4,)}, opset=9),
    Row("Gemm with the weight on the left, map along the rows",
        "(float[3,5] x) => (float[] y) { c = Gemm (W, x, b)\n y = Mul (c, k) }", "Gemm",
        weights={"W": (4, 3), "b": (4, 5), "k": (4, 1)}),
    Row("trap: Gemm with the weight on the left, map along the columns",
        "(float[3,5] x) => (float[] y) { c = Gemm (W, x, b)\n y = Mul (c, k) }", "Gemm Mul",
        "the channels of Gemm", weights={"W": (4, 3), "b": (4, 5), "k": (5,)}),
    Row("trap: the C of the Gemm is an input",
        f"(float[n,3] x, float[4] b) => (float[] y) {{ c = Gemm (x, W, b)\n {BN} }}",
        "Gemm BatchNormalization", "the bias 'b'", weights={"W": (3, 4), **SIGNED}),
    Row("MatMul of rank 2", f"(float[n,3] x) => (float[] y) {{ c = MatMul (x, W)\n {BN} }}",
        "MatMul Add", weights={"W": (3, 4), **SIGNED}),
    Row("MatMul of rank 4, Mul and Add",
        "(float[2,n,t,3] x) => (float[] y) { c = MatMul (x, W)\n d = Mul (c, k)\n"
        "e = Add (d, l)\n y = Mul (e, k) }", "MatMul Add",
        weights={"W": (3, 4), "k": (4,), "l": (4,)}),
    Row("MatMul with the weight on the left",
        f"(float[2,3,5] x) => (float[] y) {{ c = MatMul (W, x)\n {BN} }}", "MatMul Add",
        weights={"W": (4, 3), **SIGNED}),
    Row("trap: BatchNormalization of a rank-3 MatMul acts on time",
        f"(float[2,4,3] x) => (float[] y) {{ c = MatMul (x, W)\n {BN} }}",
        "MatMul BatchNormalization", "are axis 2", weights={"W": (3, 4), **SIGNED}),
    Row("trap: weight on the left, map along the columns",
        "(float[2,3,4] x) => (float[] y) { c = MatMul (W, x)\n y = Mul (c, k) }", "MatMul Mul",
        "are axis 1", weights={"W": (4, 3), "k": (4,)}),
    Row("Einsum with the channel among the output's labels",
        '(float[n,3,t] x) => (float[] y) { c = Einsum <equation="nct,cd->ndt"> (x, W)\n'
        f"{BN} }}", "Einsum Add", weights={"W": (3, 4), **SIGNED}),
    Row("trap: the map's label is only the data's",
        '(float[2,3,4] x) => (float[] y) { c = Einsum <equation="nct,cd->ndt"> (x, W)\n'
        "y = Mul (c, k) }", "Einsum Mul", "no constant operand", weights={"W": (3, 4), "k": (4,)}),
    Row("trap: broadcasting against the map would make the tensor larger",
        f"{FREE} {{ c = Conv (x, W)\n y = Add (c, k) }}", "Conv Add", "make the tensor larger",
        weights={"W": (1, 3, 3, 3), "k": K}),
    Row("trap: a constant for every place of a picture",
        "(float[2,3,6,6] x) => (float[] y) { c = Conv (x, W)\n y = Add (c, k) }", "Conv Add",
        "varies along several axes", weights={"W": W, "k": (1, 4, 4, 4)}),
    Row("trap: a constant for every row of a picture",
        "(float[2,3,6,6] x) => (float[] y) { c = Conv (x, W) d = Add (c, k) y = Relu (d) }",
        "Conv Add Relu", "varies along several axes", weights={"W": W, "k": (4, 4, 1)}),
    Row("trap: a constant along the width, as wide as there are channels",
        "(float[2,3,6,6] x) => (float[] y) { c = Conv (x, W)\n y = Mul (c, k) }", "Conv Mul",
        "varies along axis 3", weights={"W": W, "k": (4,)}),
)  # fmt: skip

BYTES = np.random.default_rng(0).integers(-100, 100, W).astype(np.int8)
SCALES = np.float32([0.01, 0.02, 0.03, 0.04])

QUANTISED = (
    Row("a weight with a scale per channel",
        f"{FREE} {{ W = DequantizeLinear <axis=0> (q, qs)\n c = Conv (x, W, b)\n {BN} }}",
        "DequantizeLinear Conv", weights={"q": BYTES, "qs": SCALES, "b": B, **SIGNED}),
    Row("one scale for the whole weight becomes one per channel",
        f"{FREE} {{ W = DequantizeLinear (q, qs, qz)\n c = Conv (x, W, b)\n {BN} }}",
        "DequantizeLinear Conv",
        weights={"q": BYTES, "qs": np.float32(0.02), "qz": np.int8(3), "b": B, **SIGNED}),
    Row("trap: one scale for the whole weight, before there were scales per channel",
        f"{FREE} {{ W = DequantizeLinear (q, qs, qz)\n c = Conv (x, W, b)\n {BN} }}",
        "DequantizeLinear Conv BatchNormalization", "from opset 13 on",
        weights={"q": BYTES, "qs": np.float32(0.02), "qz": np.int8(3), "b": B, **SIGNED}, opset=11),
    Row("trap: mirrored by a negative scale, -128 would leave its type",
        f"{FREE} {{ W = DequantizeLinear <axis=0> (q, qs)\n c = Conv (x, W, b)\n {BN} }}",
        "DequantizeLinear Conv BatchNormalization", "out of its type",
        weights={"q": np.where(BYTES < -98, np.int8(-128), BYTES), "qs": SCALES, "b": B,
                 **SIGNED, "s": -np.ones(4, np.float32)}),
    Row("trap: a scale of zero",
        f"{FREE} {{ W = DequantizeLinear <axis=0> (q, qs)\n c = Conv (x, W, b)\n {BN} }}",
        "DequantizeLinear Conv BatchNormalization", "a scale of 0 in channel 1",
        weights={"q": BYTES, "qs": SCALES, "b": B, **SIGNED, "s": np.float32([1, 0, 2, 3])}),
    Row("trap: scales along the input channels",
        f"{FREE} {{ W = DequantizeLinear <axis=1> (q, qs)\n c = Conv (x, W, b)\n {BN} }}",
        "DequantizeLinear Conv BatchNormalization", "along another axis",
        weights={"q": BYTES, "qs": SCALES[:3], "b": B, **SIGNED}),
    Row("a bias in int32 becomes a plain one",
        f"{FREE} {{ W = DequantizeLinear <axis=0> (q, qs)\n b = DequantizeLinear <axis=0> (r, rs)\n"
        f"c = Conv (x, W, b)\n {BN} }}", "DequantizeLinear Conv",
        weights={"q": BYTES, "qs": SCALES, "r": np.int32([100, -200, 300, -400]),
                 "rs": SCALES / 10, **SIGNED}),
    Row("trap: forward there is no scale per input channel",
        "(float[n,3,h,w] x) => (float[] y) { W = DequantizeLinear <axis=0> (q, qs)\n"
        "c = Mul (x, k)\n y = Conv (c, W) }", "DequantizeLinear Mul Conv", "is quantised",
        weights={"q": BYTES, "qs": SCALES, "k": channel(1, 2, 3)}),
)  # fmt: skip

SAME = "(float[n,4,h,w] x) => (float[] y)"
THREE, ONE = (4, 4, 3, 3), (4, 4, 1, 1)

PARALLEL = (
    Row("RepVGG: 3×3, 1×1 and the identity, each normalised",
        f"{SAME} {{ p = Conv <pads=[1,1,1,1]> (x, W)\n q = Conv (x, U)\n"
        "a = BatchNormalization (p, s, o, m, v)\n b = BatchNormalization (q, qs, qo, qm, qv)\n"
        "i = BatchNormalization (x, rrs, rro, rrm, rrv)\n c = Add (a, b)\n y = Add (c, i) }",
        "Conv", weights={"W": THREE, "U": ONE, **SIGNED, **bn(4, "q"), **bn(4, "rr")}),
    Row("MobileOne: depthwise, with strides",
        f"{SAME} {{ p = Conv <pads=[1,1,1,1], strides=[2,2], group=4> (x, W, b)\n"
        "q = Conv <strides=[2,2], group=4> (x, U)\n y = Add (p, q) }", "Conv",
        weights={"W": (4, 1, 3, 3), "U": (4, 1, 1, 1), "b": B}),
    Row("trap: other strides",
        "(float[1,4,3,3] x) => (float[] y) { p = Conv <pads=[1,1,1,1], strides=[3,3]> (x, W)\n"
        "q = Conv <strides=[4,4]> (x, U)\n y = Add (p, q) }", "Conv Conv Add",
        "other groups or strides", weights={"W": THREE, "U": ONE}),
    Row("the small kernel lies at the edge of the large one",
        "(float[1,4,6,6] x) => (float[] y) { p = Conv <pads=[2,2,0,0]> (x, W)\n"
        "q = Conv <pads=[0,0,0,0]> (x, U)\n y = Add (p, q) }", "Conv",
        weights={"W": THREE, "U": ONE}),
    Row("trap: the small kernel reads beside the large one",
        "(float[1,4,6,6] x) => (float[] y) { p = Conv <pads=[0,0,2,2]> (x, W)\n"
        "q = Conv <pads=[1,1,0,0]> (x, U)\n y = Add (p, q) }", "Conv Conv Add", "do not align",
        weights={"W": THREE, "U": (4, 4, 2, 2)}),
    Row("trap: another input",
        "(float[n,4,h,w] x, float[n,4,h,w] r) => (float[] y) {"
        "p = Conv <pads=[1,1,1,1]> (x, W)\n q = Conv (r, U)\n y = Add (p, q) }", "Conv Conv Add",
        weights={"W": THREE, "U": ONE}),
    Row("a branch stays for who else reads it",
        "(float[n,4,h,w] x) => (float[] y, float[] z) {"
        "p = Conv <pads=[1,1,1,1]> (x, W)\n q = Conv (x, U)\n y = Add (p, q)\n z = Relu (q) }",
        "Conv Conv Relu", weights={"W": THREE, "U": ONE}),
    Row("trap: both branches are read elsewhere",
        "(float[n,4,h,w] x) => (float[] y, float[] z, float[] u) {"
        "p = Conv <pads=[1,1,1,1]> (x, W)\n q = Conv (x, U)\n y = Add (p, q)\n z = Relu (q)\n"
        "u = Relu (p) }", "Conv Conv Add Relu Relu", "a branch is read elsewhere",
        weights={"W": THREE, "U": ONE}),
    Row("trap: the identity beside a Conv with strides",
        "(float[1,4,1,1] x) => (float[] y) { p = Conv <pads=[1,1,1,1], strides=[2,2]> (x, W)\n"
        "y = Add (p, x) }", "Conv Add", "has strides", weights={"W": THREE}),
)  # fmt: skip

ROW = "(float[n,t,4] x) => (float[] y)"
NORM = "c = LayerNormalization (x, g, e)"
NX006 = Options(rules_on=frozenset({"NX006"}))

MERGED = (
    Row("Mul, Add, Mul, Add become Mul, Add",
        "(float[n,4] x) => (float[] y) { r = Relu (x)\n a = Mul (r, k)\n b = Add (a, l)\n"
        "c = Mul (b, l)\n y = Add (c, k) }", "Relu Mul Add", weights={"k": (4,), "l": (4,)}),
    Row("trap: Mul along the channels and Mul along the width",
        "(float[2,4,4] x) => (float[] y) { r = Relu (x)\n a = Mul (r, k)\n y = Mul (a, l) }",
        "Relu Mul Mul", "takes no scale or shift", weights={"k": (4, 1), "l": (4,)}),
    Row("two BatchNormalizations become one",
        f"(float[n,4,t] x) => (float[] y) {{ r = Relu (x)\n"
        f"c = BatchNormalization (r, qs, qo, qm, qv)\n {BN} }}", "Relu BatchNormalization",
        weights={**SIGNED, **bn(4, "q")}),
    Row("what cancels goes away",
        "(float[n,4] x) => (float[] y) { r = Relu (x)\n a = Mul (r, k)\n b = Neg (a)\n"
        "c = Div (b, k)\n d = Neg (c)\n y = Sigmoid (d) }", "Relu Sigmoid",
        weights={"k": np.float32([1, 2, 4, 8])}),
    Row("into a LayerNormalization", f"{ROW} {{ {NORM}\n a = Mul (c, k)\n y = Add (a, l) }}",
        "LayerNormalization", weights={"g": (4,), "e": (4,), "k": (4,), "l": (4,)}),
    Row("into a LayerNormalization without a bias",
        f"{ROW} {{ c = LayerNormalization (x, g)\n a = Mul (c, k)\n y = Add (a, l) }}",
        "LayerNormalization", weights={"g": (4,), "k": (4,), "l": (4,)}),
    Row("trap: along time behind a LayerNormalization",
        f"(float[2,4,4] x) => (float[] y) {{ {NORM}\n y = Mul (c, k) }}", "LayerNormalization Mul",
        "are axis 2", weights={"g": (4,), "e": (4,), "k": (4, 1)}),
    Row("into an InstanceNormalization",
        f"(float[n,4,t] x) => (float[] y) {{ c = InstanceNormalization (x, g, e)\n {BN} }}",
        "InstanceNormalization", weights={"g": (4,), "e": (4,), **SIGNED}),
    Row("trap: along the last axis behind an InstanceNormalization",
        "(float[2,4,4] x) => (float[] y) { c = InstanceNormalization (x, g, e)\n y = Mul (c, k) }",
        "InstanceNormalization Mul", "are axis 1", weights={"g": (4,), "e": (4,), "k": (4,)}),
    Row("a scale into an RMSNormalization",
        f"{ROW} {{ c = RMSNormalization (x, g)\n y = Mul (c, k) }}", "RMSNormalization",
        weights={"g": (4,), "k": (4,)}, opset=23),
    Row("trap: a shift behind an RMSNormalization",
        f"{ROW} {{ c = RMSNormalization (x, g)\n y = Add (c, k) }}", "RMSNormalization Add",
        "has no bias", weights={"g": (4,), "k": (4,)}, opset=23),
    Row("the scale and bias of a LayerNormalization into the MatMul, on request",
        f"{ROW} {{ {NORM}\n d = MatMul (c, W)\n y = Add (d, b) }}",
        "LayerNormalization MatMul Add", options=NX006,
        weights={"g": (4,), "e": (4,), "W": (4, 5), "b": (5,)}),
)  # fmt: skip

COPY = Options(allow_duplicate=True)
TWO = "(float[n,3,h,w] x) => (float[] y, float[] z)"

COPIED = (
    Row("a Conv with another reader is copied on request",
        f"{TWO} {{ c = Conv (x, W, b)\n {BN}\n z = Relu (c) }}", "Conv Conv Relu", options=COPY,
        weights={"W": W, "b": B, **SIGNED}),
    Row("a Conv that is an output is copied on request",
        f"{TWO.replace('z', 'c')} {{ c = Conv (x, W, b)\n {BN} }}", "Conv Conv", options=COPY,
        weights={"W": W, "b": B, **SIGNED}),
    Row("trap: never without a request",
        f"{TWO} {{ c = Conv (x, W, b)\n {BN}\n z = Relu (c) }}", "Conv BatchNormalization Relu",
        "is also read by Relu", weights={"W": W, "b": B, **SIGNED}),
    Row("trap: a Relu is not copied even on request",
        f"{TWO} {{ d = Conv (x, W, b)\n c = Relu (d)\n {BN}\n z = Sigmoid (c) }}",
        "Conv Relu BatchNormalization Sigmoid", "is also read by Sigmoid", options=COPY,
        weights={"W": W, "b": B, **bn(4)}),
    Row("a weight that two layers share is copied where that is asked for",
        f"{TWO} {{ c = Conv (x, W)\n {BN}\n d = Conv (x, W)\n z = Relu (d) }}",
        "Conv Conv Relu", weights={"W": W, **SIGNED},
        options=Options(allow_duplicate=True)),
)  # fmt: skip

ROWS = [*PRODUCERS, *QUANTISED, *PARALLEL, *MERGED, *COPIED]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Row) -> None:
    check(row)


def test_the_norm_that_gave_its_scale_away_has_none() -> None:
    on_request = next(row for row in MERGED if "on request" in row.name)
    (rewrite,) = check(on_request).journal.rewrites
    assert rewrite.rule == "NX006"
    asked = Row(on_request.name, on_request.graph, on_request.becomes, weights=on_request.weights)
    assert not check(asked).journal.rewrites


def test_the_copy_is_offered_as_a_way_out() -> None:
    (miss,) = check(next(row for row in COPIED if "without a request" in row.name)
                    ).journal.near_misses.values()  # fmt: skip
    assert "--allow-duplicate" in miss.remedy


def test_a_quantised_weight_keeps_its_integers_under_a_positive_scale() -> None:
    row = Row("", QUANTISED[0].graph, QUANTISED[0].becomes,
              weights={**QUANTISED[0].weights, **bn(4)})  # fmt: skip
    stored = check(row).model.graph.initializers
    assert np.array_equal(stored["q"].const_value.numpy(), row.weights["q"])
    assert not np.array_equal(stored["qs"].const_value.numpy(), row.weights["qs"])
