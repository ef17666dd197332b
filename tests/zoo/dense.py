"""BatchNormalization and affine arithmetic behind Gemm and MatMul, also behind a new layout."""

from __future__ import annotations

import numpy as np

from .case import Case, Fires, Right, Stays, batch_norm

BN = "y = BatchNormalization (c, s, o, m, v)"
P4, P6 = batch_norm("", 4), batch_norm("", 6)
GEMM, MATMUL = Fires("Gemm"), Fires("MatMul Add")


def gemm(
    name: str, call: str, bias: tuple[int, ...] = (4,), *, w: tuple[int, int] = (3, 4)
) -> Case:
    """Gemm with the given call on 5 × 3 numbers, then BatchNormalization over 4 channels."""
    return Case(
        name, GEMM, f"(float[5,3] x) => (float[] y) {{ c = {call}\n {BN} }}",
        {"W": w, "b": bias, **P4},
    )  # fmt: skip


GEMMS = (
    gemm("Gemm", "Gemm (x, W, b)"),
    gemm("Gemm without C", "Gemm (x, W)"),
    gemm("Gemm transB", "Gemm <transB=1> (x, W, b)", w=(4, 3)),
    gemm("Gemm alpha and beta", "Gemm <alpha=0.5, beta=2.0, transB=1> (x, W, b)", w=(4, 3)),
    gemm("Gemm beta of zero", "Gemm <beta=0.0> (x, W, b)"),
    gemm("Gemm alpha of zero", "Gemm <alpha=0.0> (x, W, b)"),
    gemm("Gemm C is a scalar", "Gemm (x, W, b)", ()),
    gemm("Gemm C is of one", "Gemm <beta=3.0> (x, W, b)", (1,)),
    gemm("Gemm C is a row", "Gemm (x, W, b)", (1, 4)),
    gemm("Gemm C is a column", "Gemm <beta=0.5> (x, W, b)", (5, 1)),
    gemm("Gemm C is a matrix", "Gemm (x, W, b)", (5, 4)),
    Case("Gemm transA", GEMM,
         f"(float[3,5] x) => (float[] y) {{ c = Gemm <transA=1, alpha=2.0> (x, W, b)\n {BN} }}",
         {"W": (3, 4), "b": (4,), **P4}),
    Case("Gemm whose C is computed",
         Stays("Gemm BatchNormalization", "'b' of Gemm 'Gemm_1' is not a constant"),
         "(float[5,3] x, float[5,4] k) => (float[] y) {"
         f"b = Relu (k)\n c = Gemm (x, W, b)\n {BN} }}", {"W": (3, 4), **P4}),
    Case("Gemm whose weight is computed", Stays("Gemm BatchNormalization", "weight 'W' of Gemm"),
         f"(float[5,3] x, float[3,4] W) => (float[] y) {{ c = Gemm (x, W, b)\n {BN} }}",
         {"b": (4,), **P4}),
    Case("Gemm with the weight on the left", Right(),
         f"(float[3,4] x) => (float[] y) {{ c = Gemm (W, x)\n {BN} }}", {"W": (4, 3), **P4}),
    Case("Gemm then Mul and Add", GEMM,
         "(float[5,3] x) => (float[] y) { c = Gemm (x, W, b)\n d = Mul (k, c)\n y = Add (d, l) }",
         {"W": (3, 4), "b": (4,), "k": (4,), "l": (1, 4)}),
    Case("Gemm, Dropout, Cast, BatchNorm", Fires(gone="BatchNormalization"),
         "(float[5,3] x) => (float[] y) { g = Gemm (x, W, b)\n d = Dropout (g)\n"
         f"c = Cast <to=1> (d)\n {BN} }}", {"W": (3, 4), "b": (4,), **P4}),
)  # fmt: skip

MATMULS = (
    Case("MatMul", Fires(gone="BatchNormalization Mul"),
         f"(float[5,3] x) => (float[] y) {{ c = MatMul (x, W)\n {BN} }}", {"W": (3, 4), **P4}),
    Case("MatMul and Add", GEMM,
         f"(float[n,3] x) => (float[] y) {{ p = MatMul (x, W)\n c = Add (p, b)\n {BN} }}",
         {"W": (3, 4), "b": (4,), **P4}),
    Case("MatMul and Add, bias first", GEMM,
         f"(float[n,3] x) => (float[] y) {{ p = MatMul (x, W)\n c = Add (b, p)\n {BN} }}",
         {"W": (3, 4), "b": (1, 4), **P4}),
    Case("MatMul then Mul and Add, rank 3", MATMUL,
         "(float[2,n,3] x) => (float[] y) { c = MatMul (x, W)\n d = Mul (c, k)\n y = Add (d, l) }",
         {"W": (3, 4), "k": (1, 1, 4), "l": (4,)}),
    Case("MatMul then Sub and Div, rank 4", MATMUL,
         "(float[2,2,n,3] x) => (float[] y) { c = MatMul (x, W)\n d = Sub (c, k)\n"
         "e = Div (d, l)\n f = Add (e, b)\n y = Neg (f) }",
         {"W": (3, 4), "k": (4,), "l": (4,), "b": (4,)}),
    Case("MatMul, Transpose, BatchNorm over what was last", Fires("MatMul Transpose Add"),
         "(float[2,5,3] x) => (float[] y) { p = MatMul (x, W)\n"
         f"c = Transpose <perm=[0,2,1]> (p)\n {BN} }}", {"W": (3, 4), **P4}),
    Case("MatMul, Add, Transpose, BatchNorm over what was last", Fires("MatMul Add Transpose"),
         "(float[2,n,3] x) => (float[] y) { p = MatMul (x, W)\n q = Add (b, p)\n"
         f"c = Transpose <perm=[0,2,1]> (q)\n {BN} }}", {"W": (3, 4), "b": (4,), **P4}),
    Case("MatMul, Add, Reshape to rows, BatchNorm", Fires("MatMul Add Reshape"),
         "(float[2,5,3] x) => (float[] y) { p = MatMul (x, W)\n q = Add (p, b)\n"
         f"c = Reshape (q, shape)\n {BN} }}",
         {"W": (3, 4), "b": (4,), "shape": np.array([10, 4]), **P4}),
    Case("MatMul, Add, Flatten, BatchNorm, Reshape back", Fires(gone="BatchNormalization Mul"),
         "(float[2,5,3] x) => (float[] y) { p = MatMul (x, W)\n q = Add (p, b)\n"
         "c = Flatten <axis=2> (q)\n d = BatchNormalization (c, s, o, m, v)\n"
         "y = Reshape (d, shape) }",
         {"W": (3, 4), "b": (4,), "shape": np.array([2, 5, 4]), **P4}),
    Case("MatMul, Reshape to heads, Mul with a scalar", Fires("MatMul Reshape"),
         "(float[2,n,3] x) => (float[] y) { p = MatMul (x, W)\n c = Reshape (p, shape)\n"
         "y = Mul (c, k) }",
         {"W": (3, 4), "shape": np.array([0, 0, 2, 2]), "k": np.float32([0.5])}),
    Case("Unsqueeze, BatchNorm, Squeeze", Fires(gone="BatchNormalization Mul"),
         "(float[5,3] x) => (float[] y) { p = MatMul (x, W)\n q = Add (p, b)\n"
         "c = Unsqueeze (q, a)\n d = BatchNormalization (c, s, o, m, v)\n y = Squeeze (d, a) }",
         {"W": (3, 4), "b": (4,), "a": np.array([2]), **P4}),
    Case("BatchNorm before MatMul of rank 3", Right(),
         "(float[2,4,3] x) => (float[] y) { c = BatchNormalization (x, s, o, m, v)\n"
         "y = MatMul (c, W) }", {"W": (3, 5), **P4}),
    Case("Keras: Relu, Mul, Add, MatMul, Add", Fires("Relu Gemm"),
         "(float[n,4] x) => (float[] y) { r = Relu (x)\n c = Mul (r, k)\n d = Add (c, l)\n"
         "p = MatMul (d, W)\n y = Add (p, b) }",
         {"W": (4, 3), "b": (3,), "k": (4,), "l": (4,)}),
    Case("weight of rank 3", Fires("MatMul Add"),
         "(float[2,5,3] x) => (float[] y) { c = MatMul (x, W)\n d = Mul (c, k)\n y = Add (d, l) }",
         {"W": (2, 3, 4), "k": (4,), "l": (4,)}),
    Case("weight of rank 3, a factor for each", Right(),
         "(float[2,5,3] x) => (float[] y) { c = MatMul (x, W)\n y = Mul (c, k) }",
         {"W": (2, 3, 4), "k": (2, 1, 1)}),
    Case("weight on the left, factor for each row", Fires("MatMul Add"),
         "(float[2,3,5] x) => (float[] y) { c = MatMul (W, x)\n d = Mul (c, k)\n y = Add (d, l) }",
         {"W": (4, 3), "k": (4, 1), "l": (4, 1)}),
    Case("weight on the left, factor for each column", Right(),
         "(float[2,3,4] x) => (float[] y) { c = MatMul (W, x)\n d = Mul (c, k)\n y = Add (d, l) }",
         {"W": (4, 3), "k": (4,), "l": (4,)}),
    Case("vector times matrix", Fires("MatMul Add"),
         "(float[3] x) => (float[] y) { c = MatMul (x, W)\n d = Mul (c, k)\n y = Add (d, l) }",
         {"W": (3, 4), "k": (4,), "l": (4,)}),
    Case("matrix times vector", Right(),
         "(float[5,3] x) => (float[] y) { c = MatMul (x, W)\n d = Mul (c, k)\n y = Add (d, l) }",
         {"W": (3,), "k": (5,), "l": (5,)}),
)  # fmt: skip

AXES = (
    Case("BatchNorm over the rows of a matrix, transposed",
         Stays("MatMul BatchNormalization", "varies along axis 0"),
         "(float[8,6] x) => (float[] y) { p = MatMul (x, W)\n"
         f"c = Transpose <perm=[1,0]> (p)\n {BN} }}", {"W": (6, 8), **batch_norm("", 8)}),
    Case("BatchNorm over the rows of a matrix, reshaped",
         Stays("MatMul BatchNormalization", "varies along axis 0"),
         "(float[8,6] x) => (float[] y) { p = MatMul (x, W)\n"
         f"c = Reshape (p, shape)\n {BN} }}",
         {"W": (6, 8), "shape": np.array([1, 8, 8]), **batch_norm("", 8)}),
    Case("BatchNorm over the sequence", Stays("MatMul BatchNormalization", "varies along axis 1"),
         f"(float[2,4,3] x) => (float[] y) {{ c = MatMul (x, W)\n {BN} }}", {"W": (3, 4), **P4}),
    Case("Reshape that splits the channels", Fires("Gemm Reshape"),
         "(float[6,3] x) => (float[] y) { p = MatMul (x, W)\n"
         f"c = Reshape (p, shape)\n {BN} }}",
         {"W": (3, 8), "shape": np.array([6, 4, 2]), **P4}),
    Case("Reshape that mixes rows and channels",
         Stays("MatMul Reshape BatchNormalization", "Reshape 'Reshape_1'"),
         "(float[6,3] x) => (float[] y) { p = MatMul (x, W)\n"
         f"c = Reshape (p, shape)\n {BN} }}",
         {"W": (3, 6), "shape": np.array([9, 4]), **P4}),
)  # fmt: skip

CASES = (*GEMMS, *MATMULS, *AXES)
