"""Who else reads, where constants come from, subgraphs, functions and names."""

from __future__ import annotations

import numpy as np

from .case import Case, Fires, Right, Stays, batch_norm

BN = "y = BatchNormalization (c, s, o, m, v)"
IMAGE = "(float[2,3,7,9] x) => (float[] y)"
W, B, P = (4, 3, 3, 3), (4,), batch_norm("", 4)
CONV = Fires("Conv")

READERS = (
    Case("weight shared by two convolutions with their own norms",
         Stays("Conv Conv BatchNormalization BatchNormalization", "'W' is also read by Conv"),
         "(float[2,3,7,9] x) => (float[] y, float[] z) { c = Conv (x, W)\n"
         f"d = Conv <pads=[1,1,1,1]> (x, W)\n {BN}\n z = BatchNormalization (d, qs, qo, qm, qv) }}",
         {"W": W, **P, **batch_norm("q", 4)}),
    Case("weight shared in a chain, folded one behind the other", Fires("Conv Conv Relu"),
         "(float[2,4,7,9] x) => (float[] y) { c = Conv (x, W)\n"
         "d = BatchNormalization (c, s, o, m, v)\n r = Relu (d)\n e = Conv (r, W)\n"
         "y = BatchNormalization (e, s, o, m, v) }", {"W": (4, 4, 3, 3), **P}),
    Case("weight shared with a convolution without norm",
         Stays("Conv Conv BatchNormalization", "'W' is also read by Conv"),
         "(float[2,3,7,9] x) => (float[] y, float[] z) { c = Conv (x, W)\n z = Conv (x, W)\n"
         f"{BN} }}", {"W": W, **P}),
    Case("bias shared with a convolution without norm", Fires("Conv Conv"),
         "(float[2,3,7,9] x) => (float[] y, float[] z) { c = Conv (x, W, b)\n"
         f"z = Conv (x, U, b)\n {BN} }}", {"W": W, "U": W, "b": B, **P}),
    Case("weight that is a graph output", Fires("Conv"),
         "(float[2,3,7,9] x) => (float[] y, float[4,3,3,3] W) { c = Conv (x, W)\n" + BN + "}",
         {"W": W, **P}),
    Case("convolution read by two norms",
         Stays("Conv BatchNormalization BatchNormalization", "also read by BatchNormalization"),
         "(float[2,3,7,9] x) => (float[] y, float[] z) { c = Conv (x, W)\n"
         f"{BN}\n z = BatchNormalization (c, qs, qo, qm, qv) }}",
         {"W": W, **P, **batch_norm("q", 4)}),
    Case("convolution read by a Relu as well",
         Stays("Conv BatchNormalization Relu", "also read by Relu 'Relu_2'"),
         f"(float[2,3,7,9] x) => (float[] y, float[] z) {{ c = Conv (x, W)\n {BN}\n"
         "z = Relu (c) }", {"W": W, **P}),
    Case("convolution that is a graph output",
         Stays("Conv BatchNormalization", "an output of the graph"),
         f"(float[2,3,7,9] x) => (float[] y, float[] c) {{ c = Conv (x, W)\n {BN} }}",
         {"W": W, **P}),
    Case("convolution read inside an If", Stays("Conv BatchNormalization", "also read by"),
         f"(float[2,3,7,9] x, bool f) => (float[] y, float[] z) {{ c = Conv (x, W)\n {BN}\n"
         "z = If (f) <then_branch = t () => (float[2,4,5,7] p) { p = Relu (c) },"
         "else_branch = e () => (float[2,4,5,7] q) { q = Neg (c) }> }", {"W": W, **P}),
)  # fmt: skip

CONSTANTS = (
    Case("parameters behind Identity and Cast", CONV,
         f"{IMAGE} {{ i = Identity (W)\n j = Cast <to=1> (s)\n c = Conv (x, i)\n"
         "y = BatchNormalization (c, j, o, m, v) }",
         {"W": W, **P, "s": P["s"].astype(np.float64)}),
    Case("parameters behind CastLike and Expand", CONV,
         f"{IMAGE} {{ i = CastLike (s, x)\n j = Expand (one, four)\n c = Conv (x, W)\n"
         "y = BatchNormalization (c, i, o, m, j) }",
         {"W": W, **P, "s": P["s"].astype(np.float16), "one": np.float32([1]),
          "four": np.array([4])}),
    Case("parameters behind Reshape, Unsqueeze and ConstantOfShape", CONV,
         f"{IMAGE} {{ i = Reshape (s, four)\n"
         "j = ConstantOfShape <value = float[1] {0.5}> (four)\n c = Conv (x, W)\n"
         "y = BatchNormalization (c, i, o, m, j) }",
         {"W": W, **P, "s": P["s"].reshape(2, 2), "four": np.array([4])}),
    Case("weight behind a Transpose, as PyTorch exports it", Fires("MatMul Add"),
         "(float[2,5,3] x) => (float[] y) { w = Transpose <perm=[1,0]> (W)\n p = MatMul (x, w)\n"
         "c = Add (b, p)\n y = Mul (c, k) }", {"W": (4, 3), "b": B, "k": (4,)}),
    Case("parameters in Constant nodes", CONV,
         f"{IMAGE} {{ k = Constant <value = float[4,1,1] {{1, -2, 3, 4}}> ()\n"
         "l = Constant <value_float = 0.25> ()\n c = Conv (x, W)\n d = Mul (c, k)\n"
         "y = Sub (d, l) }", {"W": W}),
    Case("parameters computed from constants", CONV,
         f"{IMAGE} {{ e = Add (v, eps)\n r = Sqrt (e)\n k = Div (s, r)\n km = Mul (m, k)\n"
         "l = Sub (o, km)\n k4 = Unsqueeze (k, a)\n l4 = Unsqueeze (l, a)\n c = Conv (x, W)\n"
         "d = Mul (c, k4)\n y = Add (d, l4) }",
         {"W": W, **P, "eps": np.float32(1e-3), "a": np.array([0, 2, 3])}),
    Case("scale is a graph input", Stays("Conv BatchNormalization", "scale is not a constant"),
         f"(float[2,3,7,9] x, float[4] s) => (float[] y) {{ c = Conv (x, W)\n {BN} }}",
         {"W": W, "o": P["o"], "m": P["m"], "v": P["v"]}),
    Case("bias is a graph input",
         Stays("Conv BatchNormalization", "bias 'b' of Conv 'Conv_0' is not a constant"),
         f"(float[2,3,7,9] x, float[4] b) => (float[] y) {{ c = Conv (x, W, b)\n {BN} }}",
         {"W": W, **P}),
    Case("initializers may be overridden", Stays("Conv BatchNormalization", "is not a constant"),
         f"{IMAGE} {{ c = Conv (x, W, b)\n {BN} }}", {"W": W, "b": B, **P}, opset=9,
         listed=("W", "b", "s", "o", "m", "v")),
    Case("initializers had to be listed in IR version 3", CONV,
         f"{IMAGE} {{ c = Conv (x, W, b)\n {BN} }}", {"W": W, "b": B, **P}, opset=7, ir_version=3,
         listed=("W", "b", "s", "o", "m", "v")),
    Case("one parameter may be overridden",
         Stays("Conv BatchNormalization", "bias is not a constant"),
         f"{IMAGE} {{ c = Conv (x, W, b)\n {BN} }}", {"W": W, "b": B, **P}, listed=("o",)),
)  # fmt: skip

TRAINING = (
    Case("training mode", Stays("Conv BatchNormalization", "training mode"),
         f"{IMAGE} {{ c = Conv (x, W)\n"
         "y, nm, nv = BatchNormalization <training_mode=1> (c, s, o, m, v) }", {"W": W, **P}),
    Case("opset 9, statistics as outputs", Stays("Conv BatchNormalization"),
         f"{IMAGE} {{ c = Conv (x, W)\n y, q, r, t, u = BatchNormalization (c, s, o, m, v) }}",
         {"W": W, **P}, opset=9),
    Case("opset 7, not spatial", Stays("Conv BatchNormalization", "spatial"),
         f"{IMAGE} {{ c = Conv (x, W)\n y = BatchNormalization <spatial=0> (c, s, o, m, v) }}",
         {"W": W, "s": (4, 5, 7), "o": (4, 5, 7), "m": (4, 5, 7),
          "v": np.linspace(0.1, 2, 140, dtype=np.float32).reshape(4, 5, 7)}, opset=7),
)  # fmt: skip

NAMES = (
    Case("another initializer is called W_bias", Fires("Conv Add"),
         f"{IMAGE} {{ c = Conv (x, W)\n d = BatchNormalization (c, s, o, m, v)\n"
         "y = Add (d, W_bias) }", {"W": W, "W_bias": (1, 1, 5, 7), **P}),
    Case("values called like folded weights", Fires("Relu Conv Add"),
         f"{IMAGE} {{ W_folded = Relu (x)\n W_fused = Conv (W_folded, W)\n"
         "W_1 = BatchNormalization (W_fused, s, o, m, v)\n y = Add (W_1, W_0) }",
         {"W": W, "W_0": (1, 1, 5, 7), **P}),
    Case("a value inside an If is called like a folded weight", Fires("Conv If Add Relu Identity"),
         "(float[2,3,7,9] x, bool f) => (float[] z) { c = Conv (x, W)\n" + BN + "\n"
         "z = If (f) <then_branch = t () => (float[2,4,5,7] q) {"
         "W_folded = Relu (y)\n q = Add (W_folded, W_1) },"
         "else_branch = e () => (float[2,4,5,7] r) { r = Identity (y) }> }",
         {"W": W, "W_1": (1, 1, 5, 7), **P}),
    Case("names with spaces, slashes and brackets", CONV,
         '(float[2,3,7,9] "in [0]/x") => (float[] "out y") {'
         '"a/b c" = Conv ("in [0]/x", "w [b]")\n'
         '"out y" = BatchNormalization ("a/b c", s, o, m, v) }', {"w [b]": W, **P}),
)  # fmt: skip

SCOPES = (
    Case("inside an If, parameters outside", Fires("If Conv Conv"),
         "(float[2,3,7,9] x, bool f) => (float[] z) {"
         "z = If (f) <then_branch = t () => (float[2,4,5,7] y) { c = Conv (x, W)\n" + BN + "},"
         "else_branch = e () => (float[2,4,5,7] q) { q = Conv (x, U) }> }",
         {"W": W, "U": W, **P}),
    Case("inside both branches, the same parameters",
         Stays("Conv Conv BatchNormalization BatchNormalization", "'W' is also read by Conv"),
         "(float[2,3,7,9] x, bool f) => (float[] z) {"
         "z = If (f) <then_branch = t () => (float[2,4,5,7] y) { c = Conv (x, W)\n" + BN + "},"
         "else_branch = e () => (float[2,4,5,7] q) { d = Conv (x, W)\n"
         "q = BatchNormalization <epsilon=0.1> (d, s, o, m, v) }> }", {"W": W, **P}),
    Case("convolution outside, norm inside an If",
         Stays("Conv If BatchNormalization", "Conv 'Conv_0'"),
         "(float[2,3,7,9] x, bool f) => (float[] z) { c = Conv (x, W)\n"
         "z = If (f) <then_branch = t () => (float[2,4,5,7] y) {" + BN + "},"
         "else_branch = e () => (float[2,4,5,7] q) { q = Neg (c) }> }", {"W": W, **P}),
    Case("inside a Loop", Fires("Loop Identity Gemm"),
         "(float[2,4] x) => (float[2,4] z) { z = Loop (n, f, x) <"
         "body = l (int64 i, bool p, float[2,4] a) => (bool q, float[2,4] y) { q = Identity (p)\n"
         "c = MatMul (a, W)\n d = Mul (c, k)\n"
         "y = Add (d, l) }> }",
         {"W": np.eye(4, dtype=np.float32)[::-1].copy() * np.float32(0.5), "k": (4,), "l": (4,),
          "n": np.array(3), "f": np.array(True)}),
    Case("inside a Scan", Fires("Scan Identity Gemm"),
         "(float[3,2,4] x) => (float[] u, float[] z) { u, z = Scan <num_scan_inputs=1,"
         "body = l (float[2,4] h, float[2,4] a) => (float[2,4] g, float[2,4] y) {"
         "g = Identity (a)\n c = MatMul (a, W)\n d = Mul (c, k)\n y = Add (d, l) }> (h0, x) }",
         {"W": (4, 4), "k": (4,), "l": (4,), "h0": (2, 4)}),
    Case("inside a model-local function", Fires("Conv"),
         f"{IMAGE} {{ y = local.f (x) }}", {},
         functions='<domain: "local", opset_import: ["" : 17]> f (x) => (y) {'
         "W = Constant <value = float[2,3,1,1] {1, 2, 3, 4, 5, 6}> ()\n"
         "k = Constant <value = float[2,1,1] {2, -3}> ()\n c = Conv (x, W)\n y = Mul (c, k) }"),
    Case("weights handed into a model-local function", Right(),
         f"{IMAGE} {{ c = local.f (x, W)\n {BN} }}", {"W": W, **P},
         functions='<domain: "local", opset_import: ["" : 17]> f (x, w) => (y) {'
         "y = Conv (x, w) }"),
    Case("a function called twice with other weights", Right(),
         "(float[2,3,7,9] x) => (float[] y, float[] z) { y = local.f (x, W, s, o, m, v)\n"
         "z = local.f (x, U, s, o, m, v) }", {"W": W, "U": W, **P},
         functions='<domain: "local", opset_import: ["" : 17]> f (x, w, s, o, m, v) => (y) {'
         "c = Conv (x, w)\n y = BatchNormalization (c, s, o, m, v) }"),
)  # fmt: skip

CASES = (*READERS, *CONSTANTS, *TRAINING, *NAMES, *SCOPES)
