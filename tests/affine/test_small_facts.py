"""What a default, a size or one more input decides; each would fold wrongly, or not, if misread."""

from __future__ import annotations

import numpy as np
import pytest

from tests.affine.rows import Row, bn, channel, check

FREE = "(float[n,3,h,w] x) => (float[] y)"
SQUARE = "(float[2,4,6,6] x) => (float[] y)"
BN = "y = BatchNormalization (c, s, o, m, v)"
SIGNED = bn(4, signs=True)
W, B = (4, 3, 3, 3), (4,)
THREE = (4, 4, 3, 3)
BYTES = np.random.default_rng(3).integers(-100, 100, W).astype(np.int8)
HALF = np.float32(0.5)

GEMM = (
    Row("a Gemm without C takes a shift",
        f"(float[n,3] x) => (float[] y) {{ c = Gemm (x, W)\n {BN} }}", "Gemm",
        weights={"W": (3, 4), **SIGNED}),
    Row("a Gemm without C takes a scale",
        "(float[n,3] x) => (float[] y) { c = Gemm (x, W)\n y = Mul (c, k) }", "Gemm",
        weights={"W": (3, 4), "k": B}),
    Row("a C that β = 0 leaves out stays out",
        f"(float[n,3] x) => (float[] y) {{ c = Gemm <beta=0.0> (x, W, b)\n {BN} }}", "Gemm",
        weights={"W": (3, 4), "b": B, **SIGNED}),
    Row("β = 0 forward", "(float[n,3] x) => (float[] y) { c = Add (x, k)\n"
        "y = Gemm <beta=0.0> (c, W, b) }", "Gemm", weights={"W": (3, 4), "b": B, "k": (3,)}),
    Row("β = ½ forward", "(float[n,3] x) => (float[] y) { c = Add (x, k)\n"
        "y = Gemm <beta=0.5, alpha=2.0> (c, W, b) }", "Gemm",
        weights={"W": (3, 4), "b": B, "k": (3,)}),
    Row("a square weight on the left is not transposed",
        "(float[4,5] x) => (float[] y) { c = Gemm (W, x)\n y = Mul (c, k) }", "Gemm",
        weights={"W": (4, 4), "k": (4, 1)}),
    Row("a square weight on the left, transposed",
        "(float[4,5] x) => (float[] y) { c = Gemm <transA=1> (W, x)\n y = Mul (c, k) }", "Gemm",
        weights={"W": (4, 4), "k": (4, 1)}),
    Row("a square weight on the right is not transposed",
        "(float[n,4] x) => (float[] y) { c = Gemm (x, W)\n y = Mul (c, k) }", "Gemm",
        weights={"W": (4, 4), "k": B}),
    Row("a square weight on the right, transposed",
        "(float[n,4] x) => (float[] y) { c = Gemm <transB=1> (x, W)\n y = Mul (c, k) }", "Gemm",
        weights={"W": (4, 4), "k": B}),
)  # fmt: skip

QUANTISED = (
    Row("zero points of their own per channel",
        f"{FREE} {{ W = DequantizeLinear <axis=0> (q, qs, qz)\n c = Conv (x, W, b)\n {BN} }}",
        "DequantizeLinear Conv",
        weights={"q": BYTES, "qs": np.float32([0.01, 0.02, 0.03, 0.04]),
                 "qz": np.int8([3, -2, 1, 0]), "b": B, **SIGNED}),
)  # fmt: skip

PARALLEL = (
    Row("trap: a branch that is no map",
        f"{SQUARE} {{ p = Conv <pads=[1,1,1,1]> (x, W)\n q = Relu (x)\n y = Add (p, q) }}",
        "Conv Relu Add", weights={"W": THREE}),
    Row("trap: a branch that is a map of the rows",
        f"{SQUARE} {{ p = Conv <pads=[1,1,1,1]> (x, W)\n q = Mul (x, k)\n y = Add (p, q) }}",
        "Conv Mul Add", weights={"W": THREE, "k": (6, 1)}),
    Row("a branch that is one number for all channels",
        f"{SQUARE} {{ p = Conv <pads=[1,1,1,1]> (x, W)\n q = Mul (x, k)\n y = Add (p, q) }}",
        "Conv", weights={"W": THREE, "k": np.float32(0.3)}),
)  # fmt: skip

CONSTANTS = (
    Row("a constant along the width, everywhere the same, is one number",
        f"{SQUARE} {{ c = Conv (x, W)\n y = Mul (c, k) }}", "Conv",
        weights={"W": THREE, "k": np.full((1, 1, 1, 4), 3, np.float32)}),
    Row("trap: a constant along the width, but for one place the same",
        f"{SQUARE} {{ c = Conv (x, W)\n y = Mul (c, k) }}", "Conv Mul", "varies along axis 3",
        weights={"W": THREE, "k": np.float32([[[[3, 3, 3, 4]]]])}),
)  # fmt: skip

PASSED = (
    Row("a Cast to the type that is there",
        f"{FREE} {{ d = Conv (x, W)\n c = Cast <to=1> (d)\n {BN} }}", "Conv Cast",
        weights={"W": W, **SIGNED}),
    Row("a mean over the width, its axis taken away",
        f"{SQUARE} {{ d = Conv (x, W)\n c = ReduceMean <axes=[3], keepdims=0> (d)\n {BN} }}",
        "Conv ReduceMean", weights={"W": THREE, **SIGNED}),
    Row("a mean over the rows before the channels, its axis taken away",
        "(float[2,4,6,3] x) => (float[] y) { d = MatMul (x, W)\n"
        "c = ReduceMean <axes=[1], keepdims=0> (d)\n y = Mul (c, k) }", "MatMul ReduceMean",
        weights={"W": (3, 4), "k": B}),
    Row("a mean over the width, its axis kept",
        f"{SQUARE} {{ d = Conv (x, W)\n c = ReduceMean <axes=[3]> (d)\n {BN} }}",
        "Conv ReduceMean", weights={"W": THREE, **SIGNED}),
)  # fmt: skip

GELU = "e = Div (c, root)\n f = Erf (e)\n g = Add (f, one)\n p = Mul (c, g)\n"
NUMBERS = {"root": np.float32(np.sqrt(2)), "one": np.float32(1)}

HALVES = (
    Row("trap: the half of a GELU before a Conv",
        f"(float[2,3,6,6] c) => (float[] y) {{ {GELU} q = Mul (p, h)\n y = Conv (q, W) }}",
        "Div Erf Add Mul Mul Conv", weights={**NUMBERS, "h": HALF, "W": W}),
    Row("a number that is added to it is no part of it",
        f"(float[2,3,6,6] c) => (float[] y) {{ {GELU} q = Add (p, h)\n y = Conv (q, W) }}",
        "Div Erf Add Mul Conv", weights={**NUMBERS, "h": HALF, "W": W}),
    Row("nor is a scale for each channel",
        f"(float[2,3,6,6] c) => (float[] y) {{ {GELU} q = Mul (p, h)\n y = Conv (q, W) }}",
        "Div Erf Add Mul Conv", weights={**NUMBERS, "h": channel(1, 2, 3), "W": W}),
)  # fmt: skip


@pytest.mark.parametrize(
    "row", [*GEMM, *QUANTISED, *PARALLEL, *CONSTANTS, *PASSED, *HALVES], ids=str
)
def test_small_facts(row: Row) -> None:
    if row.name.startswith("trap"):
        assert not check(row).journal.rewrites
    else:
        assert check(row).journal.rewrites
