"""Weights and parameters that are computed from constants, and weights of small types."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from normonnx import pipeline
from normonnx.options import Options
from tests.affine.rows import Row, bn, channel, check

FREE = "(float[n,3,h,w] x) => (float[] y)"
CONV_BN = "c = Conv (x, W)\n y = BatchNormalization (c, s, o, m, v)"
SIGNED = bn(4, signs=True)
W = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
SCALES = np.float32([0.01, 0.02, 0.03, 0.04])
ONE = channel(1.0002, 1.0001, 0.9999, 1.0002)

COMPUTED = (
    Row("a weight through a narrower type",
        f"{FREE} {{ h = Cast <to=16> (w)\n W = Cast <to=1> (h)\n {CONV_BN} }}", "Conv",
        weights={"w": W, **SIGNED}),
    Row("what a cast rounds off, multiplied",
        f"{FREE} {{ c = Conv (x, w)\n h = Cast <to=10> (k)\n r = Cast <to=1> (h)\n"
        "d = Sub (r, one)\n f = Mul (d, many)\n y = Mul (c, f) }", "Conv",
        weights={"w": W, "k": ONE + 1, "one": np.float32(1), "many": np.float32(1000)}),
    Row("what arithmetic rounds off, multiplied",
        f"{FREE} {{ c = Conv (x, w)\n a = Add (k, magic)\n r = Sub (a, magic)\n"
        "d = Sub (r, one)\n f = Mul (d, many)\n y = Mul (c, f) }", "Conv",
        weights={"w": W, "k": ONE + 0.01, "one": np.float32(1), "many": np.float32(1000),
                 "magic": np.float32(49152)}),
    Row("parameters through half precision",
        f"{FREE} {{ c = Conv (x, w)\n h = Cast <to=10> (v32)\n v = Cast <to=1> (h)\n"
        "y = BatchNormalization (c, s, o, m, v) }", "Conv",
        weights={"w": W, "v32": SIGNED["v"], **{k: SIGNED[k] for k in "som"}}),
    Row("a weight by its length and a gain",
        f"{FREE} {{ n0 = ReduceL2 <axes=[1,2,3]> (w)\n u = Div (w, n0)\n W = Mul (u, g)\n"
        f"{CONV_BN} }}", "Conv", weights={"w": W, "g": (4, 1, 1, 1), **SIGNED}),
    Row("a product of matrices of low rank",
        "(float[n,6] x) => (float[] y) { W = MatMul (a, b)\n c = MatMul (x, W)\n y = Mul (c, k) }",
        "MatMul", weights={"a": (6, 2), "b": (2, 5), "k": (5,)}),
    Row("a weight that a BatchNormalization standardises",
        f"{FREE} {{ t, tm, tv = BatchNormalization <training_mode=1, momentum=1.0> (w, g, z, a, q)"
        f"\n W = Reshape (t, full)\n {CONV_BN} }}", "Conv",
        weights={"w": W.reshape(1, 4, 27), "g": SIGNED["s"], "z": np.zeros(4, np.float32),
                 "a": W.mean((1, 2, 3)), "q": W.var((1, 2, 3)),
                 "full": np.int64([4, 3, 3, 3]), **SIGNED}, opset=15),
    Row("the same with nothing to fold into it",
        f"{FREE} {{ t, tm, tv = BatchNormalization <training_mode=1, momentum=1.0> (w, g, z, a, q)"
        "\n W = Reshape (t, full)\n c = Conv (x, W)\n y = Relu (c) }", "Conv Relu",
        weights={"w": W.reshape(1, 4, 27), "g": SIGNED["s"], "z": np.zeros(4, np.float32),
                 "a": W.mean((1, 2, 3)), "q": W.var((1, 2, 3)),
                 "full": np.int64([4, 3, 3, 3])}, opset=15),
    Row("one part of a split weight",
        f"{FREE} {{ W, V = Split <axis=0> (w)\n {CONV_BN} }}", "Conv",
        weights={"w": (8, 3, 3, 3), **SIGNED}),
)  # fmt: skip

QUANTISED = (
    Row("a weight that is quantised and dequantised",
        f"{FREE} {{ q = QuantizeLinear <axis=0> (w, qs, z)\n"
        f"W = DequantizeLinear <axis=0> (q, qs, z)\n {CONV_BN} }}",
        "QuantizeLinear DequantizeLinear Conv",
        weights={"w": W, "qs": SCALES, "z": np.zeros(4, np.int8), **bn(4)}),
    Row("an operand of Einsum",
        "(float[n,6] x) => (float[] y) { W = DequantizeLinear <axis=1> (q, qs)\n"
        'c = Einsum <equation="ni,io->no"> (x, W)\n y = Mul (c, k) }',
        "DequantizeLinear Einsum",
        weights={"q": np.arange(-12, 12).reshape(6, 4).astype(np.int8), "qs": SCALES, "k": (4,)}),
    Row("trap: moved after it is dequantised, it would lose its integers",
        "(float[n,6] x) => (float[] y) { d = DequantizeLinear <axis=0> (q, qs)\n"
        "W = Transpose (d)\n c = MatMul (x, W)\n y = Mul (c, k) }",
        "DequantizeLinear Transpose MatMul Mul", "would be quantised no more",
        weights={"q": np.arange(-12, 12).reshape(4, 6).astype(np.int8), "qs": SCALES, "k": (4,)}),
)  # fmt: skip


@pytest.mark.parametrize("row", [*COMPUTED, *QUANTISED], ids=str)
def test_row(row: Row) -> None:
    check(row)


SMALL = [
    ("int4", 21, (-7, 8), True),
    ("uint4", 21, (0, 16), False),
    ("int8", 13, (-127, 128), True),
    ("float8_e4m3fn", 19, (-16, 17), True),
    ("float8_e5m2", 19, (-4, 5), True),
    ("float8_e4m3fnuz", 19, (-16, 17), True),
]


@pytest.mark.parametrize(("kind", "opset", "limits", "signed"), SMALL)
@pytest.mark.parametrize("negative", [False, True])
def test_a_weight_of_a_small_type(
    kind: str, opset: int, limits: tuple[int, int], signed: bool, negative: bool
) -> None:
    """The scale takes the map, and the numbers are mirrored where it is negative."""
    if negative and not signed:
        pytest.skip("what has no negative numbers cannot be mirrored about 0")
    dtype: Any = getattr(ml_dtypes, kind, None) or np.int8
    numbers = np.random.default_rng(1).integers(*limits, (4, 3, 3, 3)).astype(dtype)
    row = Row("", f"{FREE} {{ W = DequantizeLinear <axis=0> (q, qs)\n {CONV_BN} }}",
              "DequantizeLinear Conv", opset=opset,
              weights={"q": numbers, "qs": SCALES, **bn(4, signs=negative)})  # fmt: skip
    outcome = check(row)
    [stored] = [
        value.const_value
        for node in outcome.model.graph
        if node.op_type == "DequantizeLinear" and (value := node.inputs[0]) is not None
    ]
    assert stored is not None
    assert stored.dtype == ir.DataType.from_numpy(numbers.dtype)
    found = np.abs(stored.numpy().astype(np.float64))
    np.testing.assert_array_equal(found, np.abs(numbers.astype(np.float64)))


def test_an_int4_that_cannot_be_mirrored_says_so() -> None:
    numbers = np.full((4, 3, 3, 3), -8).astype(ml_dtypes.int4)
    check(Row("", f"{FREE} {{ W = DequantizeLinear <axis=0> (q, qs)\n {CONV_BN} }}",
              "DequantizeLinear Conv BatchNormalization", "out of its type", opset=21,
              weights={"q": numbers, "qs": SCALES, **SIGNED}))  # fmt: skip


def test_a_weight_that_a_caller_may_override_is_not_standardised_beforehand() -> None:
    row = COMPUTED[-2]
    model = ir.from_proto(row.model())
    model.graph.inputs.append(model.graph.initializers["w"])
    outcome = pipeline.run(model, Options())
    assert not outcome.journal.rewrites
    [miss] = outcome.journal.near_misses.values()
    assert "evaluation mode" in miss.remedy
