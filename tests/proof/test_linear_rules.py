"""What each operator makes of a scale and a shift in front of it, and where nothing is said of it.

A window is "in numbers" where both sides are the same operators with the same numbers; what is
right and not of that kind is evaluated.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from normonnx.proof.linear import same_numbers
from normonnx.proof.window import sides
from tests.proof.windows import certificate, in_numbers, pair, window

RNG = np.random.default_rng(1)


def drawn(*shape: int) -> np.ndarray:
    return RNG.uniform(0.5, 2, shape) * RNG.choice([-1, 1], shape)


X = "double[2,4,6,5] x"
FAR = "double[1,4,101,97] x"
XU = f"{X}, double[2,4,6,5] u"
C, D = np.abs(drawn(4, 1, 1)), drawn(4, 1, 1)
E, G = np.abs(drawn(4, 1, 1)), drawn(4, 1, 1)
K, K1 = drawn(6, 4, 3, 3), drawn(6, 4, 1, 1)
A = drawn(6, 1, 1)
KA = K * A[..., None]
T = drawn(4, 3, 2, 2)
AT = drawn(3, 1, 1)
M = drawn(4, 3)
PAIR = np.array([2.0, 3.0])
HALF = np.arange(6).reshape(6, 1, 1) % 2.0
SPATIAL = np.array([0, 0, 1, 0, 0, 0, 2, 1])


def around_kernel(attributes: str) -> str:
    """A shift, then a kernel; the scale behind it goes into the kernel."""
    return pair(
        FAR,
        f"m = Add (x, d) c = Conv <{attributes}> (m, k) y = Mul (c, a)",
        f"n1 = Add (x, d) z = Conv <{attributes}> (n1, ka)",
    )


def kernel_of(*extents: int) -> dict[str, np.ndarray]:
    k = drawn(2, 4, *extents)
    a = drawn(2, 1, 1)
    return {"d": D, "k": k, "a": a, "ka": k * a[..., None]}


IN_NUMBERS: dict[str, tuple[str, dict[str, Any]]] = {
    "a kernel with strides over a large value": (
        around_kernel("pads=[1,1,1,1], strides=[2,2]"), kernel_of(3, 3)),
    "strides of three and four": (
        around_kernel("pads=[1,1,1,1], strides=[3,4]"), kernel_of(3, 3)),
    "a kernel that reaches thirteen, without padding": (
        around_kernel("pads=[0,0,0,0]"), kernel_of(13, 13)),
    "a kernel that reaches twelve": (around_kernel("pads=[6,6,6,6]"), kernel_of(12, 12)),
    "a kernel with dilations that reaches eleven": (
        around_kernel("pads=[1,1,1,1], dilations=[5,5]"), kernel_of(3, 3)),
    "padding by name": (around_kernel('auto_pad="SAME_UPPER"'), kernel_of(3, 3)),
    "no padding by name": (
        pair(X, 'm = Add (x, d) y = Conv <auto_pad="VALID"> (m, k)', "z = Conv (x, k, n)"),
        {"k": K, "d": D, "n": (K * D[None]).sum(axis=(1, 2, 3))}),
    "a shift in front of groups": (
        pair(X, "m = Add (x, d) y = Conv <group=2> (m, k, b)", "z = Conv <group=2> (x, k, n)"),
        {"k": K[:, :2], "d": D, "b": A.reshape(-1),
         "n": A.reshape(-1)
         + (K[:, :2] * D.reshape(2, 1, 2, 1, 1).repeat(3, 1).reshape(6, 2, 1, 1)).sum((1, 2, 3))}),
    "one shift for all channels": (
        pair(X, "m = Add (x, d) y = Conv (m, k)", "z = Conv (x, k, n)"),
        {"k": K, "d": np.array(0.5), "n": 0.5 * K.sum(axis=(1, 2, 3))}),
    "a shift in front of a transposed convolution": (
        pair(X, "m = Add (x, d) t = ConvTranspose (m, k, b) y = Mul (t, a)",
             "n1 = Add (x, d) z = ConvTranspose (n1, ka, ba)"),
        {"d": D, "k": T, "a": AT, "ka": T * AT, "b": AT.reshape(-1) + 1,
         "ba": ((AT + 1) * AT).reshape(-1)}),
    "a transposed convolution of one tap, and a kernel behind it": (
        pair(X, "m = Add (x, d) t = ConvTranspose (m, k1) c = Conv <pads=[1,1,1,1]> (t, k) "
             "y = Mul (c, a)",
             "n1 = Add (x, d) n2 = ConvTranspose (n1, k1) z = Conv <pads=[1,1,1,1]> (n2, ka)"),
        {**kernel_of(3, 3), "k1": drawn(4, 4, 1, 1)}),
    "behind a border, a scale and a shift": (
        pair(FAR, "m = Add (x, d) c = Conv <pads=[1,1,1,1]> (m, k) s = Mul (c, a) y = Add (s, b)",
             "n1 = Add (x, d) n2 = Conv <pads=[1,1,1,1]> (n1, ka) z = Add (n2, b)"),
        {**kernel_of(3, 3), "b": drawn(2, 1, 1)}),
    "two with the same border are added": (
        pair(f"{FAR}, double[1,4,101,97] u",
             "m = Add (x, d) p = Conv <pads=[1,1,1,1]> (m, k) v = Add (u, d) "
             "q = Conv <pads=[1,1,1,1]> (v, k) s = Add (p, q) y = Mul (s, a)",
             "n1 = Add (x, d) n2 = Conv <pads=[1,1,1,1]> (n1, ka) n3 = Add (u, d) "
             "n4 = Conv <pads=[1,1,1,1]> (n3, ka) z = Add (n2, n4)"),
        kernel_of(3, 3)),
    "a Gemm with factors": (
        pair("double[5,4] x", "m = Mul (x, c) s = Add (m, d) "
             "y = Gemm <transB=1, alpha=0.5, beta=2.0> (s, k, b)",
             "z = Gemm <transB=1> (x, n, o)"),
        {"c": C[:, 0, 0], "d": D[:, 0, 0], "k": M.T.copy(), "b": M[0],
         "n": 0.5 * M.T * C[:, 0, 0], "o": 2 * M[0] + 0.5 * M.T @ D[:, 0, 0]}),
    "a Gemm that is not transposed": (
        pair("double[5,4] x", "m = Mul (x, c) y = Gemm (m, k)", "z = Gemm (x, n)"),
        {"c": C[:, 0, 0], "k": M, "n": M * C[:, 0]}),
    "a vector times a matrix": (
        pair("double[4] x", "m = Mul (x, c) t = MatMul (m, k) y = Add (t, b)",
             "n1 = MatMul (x, n) z = Add (n1, b)"),
        {"c": C[:, 0, 0], "k": M, "n": M * C[:, 0], "b": M[0]}),
    "a stack of matrices": (
        pair("double[5,4] x", "m = Mul (x, c) s = Add (m, d) y = MatMul (s, k)",
             "n1 = MatMul (x, n) z = Add (n1, o)"),
        {"c": C[:, 0, 0], "d": D[:, 0, 0], "k": np.stack([M, 2 * M]),
         "n": np.stack([M, 2 * M]) * C[:, 0],
         "o": np.stack([D[:, 0, 0] @ M, 2 * D[:, 0, 0] @ M])[:, None]}),
    "a scale behind a stack of matrices": (
        pair("double[5,4] x", "t = MatMul (x, k) y = Mul (t, a)", "z = MatMul (x, n)"),
        {"k": np.stack([M, 2 * M]), "a": M[0], "n": np.stack([M, 2 * M]) * M[0]}),
    "a matrix with a uniform scale for each row of the result": (
        pair("double[2,5,4] x", "t = MatMul (x, k) y = Mul (t, a)", "z = MatMul (x, n)"),
        {"k": M, "a": M[0], "n": M * M[0]}),
    "a Pad with zeros": (
        pair(X, 'm = Mul (x, c) y = Pad <mode="constant"> (m, p)',
             "n1 = Pad (x, p) z = Mul (n1, c)"),
        {"c": C, "p": SPATIAL}),
    "a Pad with a number": (
        pair(X, "m = Mul (x, two) y = Pad (m, p, v)", "n1 = Pad (x, p, w) z = Mul (n1, two)"),
        {"two": np.array(2.0), "p": SPATIAL, "v": np.array(3.0), "w": np.array(1.5)}),
    "a mean whose scale differs from sample to sample": (
        pair(X, "m = Mul (x, c) y = GlobalAveragePool (m)",
             "n1 = GlobalAveragePool (x) z = Mul (n1, c)"), {"c": drawn(2, 4, 1, 1)}),
    "a Concat along the channels": (
        pair(XU, "m = Mul (x, c) s = Add (m, d) v = Mul (u, e) y = Concat <axis=-3> (s, v)",
             "n1 = Concat <axis=-3> (x, u) n2 = Mul (n1, ce) z = Add (n2, dz)"),
        {"c": C, "d": D, "e": E, "ce": np.concatenate([C, E]),
         "dz": np.concatenate([D, np.zeros_like(D)])}),
    "a Concat along the rows": (
        pair(XU, "m = Mul (x, c) v = Mul (u, c) y = Concat <axis=2> (m, v)",
             "n1 = Concat <axis=2> (x, u) z = Mul (n1, c)"), {"c": C}),
    "a Transpose": (
        pair(X, "m = Mul (x, c) s = Add (m, d) y = Transpose <perm=[0,2,3,1]> (s)",
             "n1 = Transpose <perm=[0,2,3,1]> (x) n2 = Mul (n1, ct) z = Add (n2, dt)"),
        {"c": C, "d": D, "ct": C.reshape(-1), "dt": D.reshape(-1)}),
    "a largest value where a scale is zero": (
        pair(X, "m = Mul (x, c) y = MaxPool <kernel_shape=[2,2]> (m)",
             "n1 = MaxPool <kernel_shape=[2,2]> (x) z = Mul (n1, c)"),
        {"c": C * np.array([1, 0, 1, 1]).reshape(4, 1, 1)}),
    "a global maximum": (
        pair(X, "m = Mul (x, c) s = Add (m, d) y = GlobalMaxPool (s)",
             "n1 = GlobalMaxPool (x) n2 = Mul (n1, c) z = Add (n2, d)"), {"c": C, "d": D}),
    "a global mean, whatever the sign": (
        pair(X, "m = Mul (x, c) s = Add (m, d) y = GlobalAveragePool (s)",
             "n1 = GlobalAveragePool (x) n2 = Mul (n1, c) z = Add (n2, d)"), {"c": G, "d": D}),
    "an average that leaves its padding out": (
        pair(X, "m = Add (x, d) y = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1]> (m)",
             "n1 = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1]> (x) z = Add (n1, d)"),
        {"d": D}),
    "a scale in front of an average that counts its padding": (
        pair(X, "m = Mul (x, c) y = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1], "
             "count_include_pad=1> (m)",
             "n1 = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1> (x) "
             "z = Mul (n1, c)"), {"c": G}),
    "a Resize to sizes": (
        pair(X, "m = Mul (x, c) s = Add (m, d) y = Resize (s, , , f)",
             "n1 = Resize (x, , , f) n2 = Mul (n1, c) z = Add (n2, d)"),
        {"c": C, "d": D, "f": np.array([2, 4, 12, 5])}),
    "a Trilu of a multiple": (
        pair("double[5,5] x", "m = Mul (x, two) y = Trilu (m)", "n1 = Trilu (x) z = Mul (n1, two)"),
        {"two": np.array(2.0)}),
    "a Reshape with the channel in it": (
        pair(X, "m = Mul (x, c) s = Add (m, d) y = Reshape (s, r)",
             "n1 = Reshape (x, r) n2 = Mul (n1, cr) z = Add (n2, dr)"),
        {"c": C, "d": D, "r": np.array([2, 2, 2, 30]), "cr": C.reshape(2, 2, 1),
         "dr": D.reshape(2, 2, 1)}),
    "a Reshape to the size of another value": (
        pair("double[n,4,6,5] x, double[n,4,30] u",
             "s = Shape (u) m = Mul (x, c) y = Reshape (m, s)",
             "n1 = Reshape (x, s) z = Mul (n1, cr)"), {"c": C, "cr": C[..., 0]}),
    "a sum of two multiples": (
        pair(XU, "m = Mul (x, c) v = Mul (u, e) y = Add (m, v)",
             "n1 = Mul (u, q) n2 = Add (x, n1) z = Mul (n2, c)"), {"c": C, "e": E, "q": E / C}),
    "a difference of two shifted values": (
        pair(XU, "m = Add (x, d) v = Add (u, g) y = Sub (m, v)", "n1 = Sub (x, u) z = Add (n1, o)"),
        {"d": D, "g": G, "o": D - G}),
    "a difference of two multiples": (
        pair(XU, "v = Mul (u, e) y = Sub (x, v)", "n1 = Mul (u, q) z = Add (x, n1)"),
        {"e": E, "q": -E}),
    "a constant less a value": (
        pair(X, "y = Sub (d, x)", "n1 = Neg (x) z = Add (n1, d)"), {"d": D}),
    "a value less a constant": (pair(X, "y = Sub (x, d)", "z = Add (x, e)"), {"d": D, "e": -D}),
    "a quotient": (pair(X, "y = Div (x, c)", "z = Mul (x, e)"), {"c": C, "e": 1 / C}),
    "casts between floating types": (
        pair(X, "m = Mul (x, c) h = Cast <to=1> (m) y = Cast <to=11> (h)",
             "n1 = Cast <to=1> (x) n2 = Cast <to=11> (n1) z = Mul (n2, c)"), {"c": C}),
    "a BatchNormalization": (
        pair(X, "y = BatchNormalization <epsilon=0.5> (x, a, b, m, v)",
             "n1 = Mul (x, f) z = Add (n1, o)"),
        {"a": G.reshape(-1), "b": D.reshape(-1), "m": E.reshape(-1), "v": C.reshape(-1),
         "f": G / np.sqrt(C + 0.5), "o": D - E * G / np.sqrt(C + 0.5)}),
    "a BatchNormalization with the epsilon of the standard": (
        pair(X, "y = BatchNormalization (x, a, b, m, v)", "n1 = Mul (x, f) z = Add (n1, o)"),
        {"a": G.reshape(-1), "b": D.reshape(-1), "m": E.reshape(-1), "v": C.reshape(-1),
         "f": G / np.sqrt(C + np.float64(np.float32(1e-5))),
         "o": D - E * G / np.sqrt(C + np.float64(np.float32(1e-5)))}),
    "a BatchNormalization of rows": (
        pair("double[5,4] x", "y = BatchNormalization <epsilon=0.5> (x, a, b, m, v)",
             "n1 = Mul (x, f) z = Add (n1, o)"),
        {"a": G.reshape(-1), "b": D.reshape(-1), "m": E.reshape(-1), "v": C.reshape(-1),
         "f": (G / np.sqrt(C + 0.5)).reshape(-1),
         "o": (D - E * G / np.sqrt(C + 0.5)).reshape(-1)}),
    "a Relu of a shifted multiple": (
        pair(X, "m = Mul (x, c) s = Add (m, d) y = Relu (s)",
             "n1 = Add (x, q) n2 = Relu (n1) z = Mul (n2, c)"), {"c": C, "d": D, "q": D / C}),
    "a PRelu": (
        pair(X, "m = Mul (x, c) y = PRelu (m, p)", "n1 = PRelu (x, p) z = Mul (n1, c)"),
        {"c": C, "p": D}),
    "a Relu of what is zero somewhere": (
        pair(X, "m = Mul (x, c) y = Relu (m)", "n1 = Mul (x, c) z = Relu (n1)"),
        {"c": C * np.array([1, 0, 1, 1]).reshape(4, 1, 1)}),
    "any other operator of the same": (
        pair(X, "m = Mul (x, c) y = Softmax <axis=1> (m)",
             "n1 = Div (x, e) z = Softmax <axis=1> (n1)"), {"c": C, "e": 1 / C}),
    "a filter of zeros": (
        pair(X, "c = Conv (x, k) y = Mul (c, a)", "z = Conv (x, ka)"),
        {"k": K * HALF[..., None], "a": A, "ka": KA * HALF[..., None]}),
    "a sum with one that is the same at every place": (
        pair(f"{X}, double[1,4,1,1] u", "m = Mul (x, c) v = Mul (u, c) y = Add (m, v)",
             "n1 = Add (x, u) z = Mul (n1, c)"), {"c": C}),
    "a product of two that vary": (
        pair("double[5,4] x, double[4,3] u", "m = Mul (x, two) s = Mul (u, two) y = MatMul (m, s)",
             "n1 = Div (x, half) n2 = Div (u, half) z = MatMul (n1, n2)"),
        {"two": np.array(2.0), "half": np.array(0.5)}),
    "a Dropout that drops nothing": (
        pair(X, "m = Mul (x, c) y = Dropout (m)", "n1 = Dropout (x) z = Mul (n1, c)"), {"c": C}),
    "a Dropout that is told a ratio alone": (
        pair(X, "m = Mul (x, c) y = Dropout (m, r)", "n1 = Dropout (x, r) z = Mul (n1, c)"),
        {"c": C, "r": np.array(0.5)}),
    "a largest value and its place": (
        pair(X, "m = Mul (x, two) a, i = MaxPool <kernel_shape=[2,2]> (m) f = Cast <to=11> (i) "
             "y = Add (a, f)",
             "n1 = Div (x, half) n2, n3 = MaxPool <kernel_shape=[2,2]> (n1) "
             "n4 = Cast <to=11> (n3) z = Add (n2, n4)"),
        {"two": np.array(2.0), "half": np.array(0.5)}),
    "a Gemm and a product with a sum": (
        pair("double[5,4] x", "y = Gemm (x, k, b)", "n1 = MatMul (x, k) z = Add (n1, b)"),
        {"k": M, "b": M[0]}),
    "a Resize that is told to stretch": (
        pair(X, 'm = Mul (x, c) y = Resize <keep_aspect_ratio_policy="stretch"> (m, , , f)',
             'n1 = Resize <keep_aspect_ratio_policy="stretch"> (x, , , f) z = Mul (n1, c)'),
        {"c": C, "f": np.array([2, 4, 12, 5])}),
    "an operator that reads a constant that is computed": (
        pair(X, "e = Neg (c) y = Mul (x, e)", "z = Mul (x, f)"), {"c": C, "f": -C}),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_NUMBERS)
def test_the_numbers_are_the_same(name: str) -> None:
    text, weights = IN_NUMBERS[name]
    assert in_numbers(text, **weights)


@pytest.mark.parametrize("name", IN_NUMBERS)
def test_another_number_is_seen(name: str) -> None:
    """Each float of the old side, at one place of it, where the new side does not read it."""
    text, weights = IN_NUMBERS[name]
    old = re.split(" n1 = | z = ", text.split("{")[1])[0]
    for number, array in weights.items():
        read = [f"({number}", f" {number})", f" {number},"]
        if np.asarray(array).dtype.kind != "f" or not any(part in old for part in read):
            continue
        if any(text.count(part) > old.count(part) for part in read):
            continue
        changed = np.array(array)
        changed.flat[-1] += 0.125
        assert not certificate(text, **{**weights, number: changed}), number


EVALUATED: dict[str, tuple[str, dict[str, Any]]] = {
    "a kernel that reaches thirteen": (
        around_kernel("pads=[6,6,6,6]").replace("101,97", "31,29"), kernel_of(13, 13)),
    "a kernel with dilations that reaches thirteen": (
        around_kernel("pads=[1,1,1,1], dilations=[6,6]").replace("101,97", "31,29"),
        kernel_of(3, 3)),
    "a stride of five": (
        around_kernel("pads=[1,1,1,1], strides=[5,5]").replace("101,97", "31,29"),
        kernel_of(3, 3)),
    "a shift for each of two rows in front of a kernel": (
        around_kernel("pads=[1,1,1,1]").replace("101,97", "2,8"),
        {**kernel_of(3, 3), "d": drawn(4, 2, 1)}),
    "a value with a border in front of a matrix": (
        pair(FAR.replace("101,97", "9,8"),
             "m = Add (x, d) c = Conv <pads=[1,1,1,1]> (m, k) s = Mul (c, a) y = MatMul (s, w)",
             "n1 = Add (x, d) n2 = Conv <pads=[1,1,1,1]> (n1, ka) z = MatMul (n2, w)"),
        {**kernel_of(3, 3), "w": drawn(8, 5)}),
    "a scale along the rows in front of a matrix": (
        pair("double[5,4] x", "m = Mul (x, c) y = MatMul (m, k)",
             "n1 = MatMul (x, k) z = Mul (n1, c)"),
        {"c": drawn(5, 1), "k": M}),
    "a Pad that cuts": (
        pair(X, "m = Mul (x, c) y = Pad (m, p)", "n1 = Pad (x, p) z = Mul (n1, c)"),
        {"c": C, "p": np.array([0, 0, -1, 0, 0, 0, 0, 1])}),
    "a Pad of the channels": (
        pair(X, "m = Mul (x, c) y = Pad (m, p)", "n1 = Pad (x, p) z = Mul (n1, e)"),
        {"c": C, "e": np.concatenate([np.ones((1, 1, 1)), C]),
         "p": np.array([0, 1, 0, 0, 0, 0, 0, 0])}),
    "a Pad behind the channels": (
        pair(X, "m = Mul (x, c) y = Pad (m, p)", "n1 = Pad (x, p) z = Mul (n1, e)"),
        {"c": C, "e": np.concatenate([C, np.ones((1, 1, 1))]),
         "p": np.array([0, 0, 0, 0, 0, 1, 0, 0])}),
    "a Pad that mirrors": (
        pair(X, 'm = Mul (x, c) y = Pad <mode="reflect"> (m, p)',
             'n1 = Pad <mode="reflect"> (x, p) z = Mul (n1, c)'), {"c": C, "p": SPATIAL}),
    "a Pad of named axes": (
        pair(X, "m = Mul (x, c) y = Pad (m, p, , a)", "n1 = Pad (x, p, , a) z = Mul (n1, c)"),
        {"c": C, "p": np.array([1, 2]), "a": np.array([2])}),
    "a factor for each place behind a border": (
        pair(FAR.replace("101,97", "9,8"),
             "m = Add (x, d) c = Conv <pads=[1,1,1,1]> (m, k) s = Mul (c, a) y = Mul (s, w)",
             "n1 = Add (x, d) n2 = Conv <pads=[1,1,1,1]> (n1, ka) z = Mul (n2, w)"),
        {**kernel_of(3, 3), "w": drawn(9, 8)}),
    "a factor for each of two rows behind a border": (
        pair(FAR.replace("101,97", "2,8"),
             "m = Add (x, d) c = Conv <pads=[1,1,1,1]> (m, k) s = Mul (c, a) y = Mul (s, w)",
             "n1 = Add (x, d) n2 = Conv <pads=[1,1,1,1]> (n1, ka) z = Mul (n2, w)"),
        {**kernel_of(3, 3), "w": drawn(2, 1)}),
    "a shift for each of two rows behind a border": (
        pair(FAR.replace("101,97", "2,8"),
             "m = Add (x, d) c = Conv <pads=[1,1,1,1]> (m, k) s = Mul (c, a) y = Add (s, w)",
             "n1 = Add (x, d) n2 = Conv <pads=[1,1,1,1]> (n1, ka) z = Add (n2, w)"),
        {**kernel_of(3, 3), "w": drawn(2, 1)}),
    "a sum whose first scale is zero": (
        pair(XU, "m = Mul (x, c) y = Add (m, u)", "n1 = Mul (x, c) z = Add (u, n1)"),
        {"c": C * np.array([1, 0, 1, 1]).reshape(4, 1, 1)}),
    "a Resize of the batch": (
        pair(X, "m = Mul (x, c) y = Resize (m, , f)", "n1 = Resize (x, , f) z = Mul (n1, c)"),
        {"c": C, "f": np.array([2, 1, 1, 1], np.float32)}),
    "a Resize of named axes": (
        pair(X, "m = Mul (x, c) y = Resize <axes=[2,3]> (m, , f)",
             "n1 = Resize <axes=[2,3]> (x, , f) z = Mul (n1, c)"),
        {"c": C, "f": np.array([2, 2], np.float32)}),
    "a Relu where a scale is negative": (
        pair(X, "m = Mul (x, c) y = Relu (m)", "n1 = Mul (c, x) n2 = Neg (n1) n3 = Neg (n2) "
             "n4 = Max (n3, nil) z = Identity (n4)"), {"c": G, "nil": np.array(0.0)}),
    "a Pad with the shift": (
        pair(X, "m = Add (x, d) y = Pad (m, p, d)", "n1 = Pad (x, p) z = Add (n1, d)"),
        {"d": np.array(0.5), "p": SPATIAL}),
}  # fmt: skip


@pytest.mark.parametrize("name", EVALUATED)
def test_what_is_right_and_of_another_kind_is_evaluated(name: str) -> None:
    text, weights = EVALUATED[name]
    found = certificate(text, **weights)
    assert found
    assert "same operators" not in found


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "the least for the largest": (pair(X, "y = Clip (x, k)", "z = Clip (x, , k)"),
                                  {"k": np.array(0.5)}),
    "another output": (
        pair(X, "y, u = Split <axis=1, num_outputs=2> (x)",
             "n1, z = Split <axis=1, num_outputs=2> (x)"), {}),
    "another value": (pair(XU, "y = Softmax <axis=1> (x)", "z = Softmax <axis=1> (u)"), {}),
    "another value behind the first": (
        pair(XU, "y = Max (x, u)", "n1 = Neg (u) z = Max (x, n1)"), {}),
    "another attribute": (pair(X, "y = Softmax <axis=1> (x)", "z = Softmax <axis=2> (x)"), {}),
    "another padding": (
        pair(X, "y = Conv <pads=[1,1,0,0]> (x, k)", "z = Conv <pads=[0,0,1,1]> (x, k)"), {"k": K}),
    "another padding by name": (
        pair(X, 'y = Conv <auto_pad="SAME_UPPER"> (x, k)',
             'z = Conv <auto_pad="SAME_LOWER"> (x, k)'),
        {"k": drawn(6, 4, 2, 2)}),
    "another dilation": (
        pair("double[1,4,9,9] x", "y = Conv <dilations=[2,1]> (x, k)",
             "z = Conv <dilations=[1,2]> (x, k)"), {"k": K}),
    "operands in another order": (pair(XU, "y = Sub (x, u)", "z = Sub (u, x)"), {}),
    "a constant divided and one that divides": (
        pair(X, "y = Div (c, x)", "z = Div (x, c)"), {"c": C}),
    "whole numbers that are divided as such": (
        pair("int64[40] x, int64[40] u", "q = Div (x, u) y = Cast <to=1> (q)",
             "n1 = Cast <to=1> (x) n2 = Cast <to=1> (u) z = Div (n1, n2)"), {}),
    "steps for axes": (
        pair("double[2,4,4] x", "y = Slice (x, s, e, , t)", "z = Slice (x, s, e, t)"),
        {"s": np.array([0, 0]), "e": np.array([2, 4]), "t": np.array([1, 2])}),
    "a scale of two samples for one of two channels": (
        pair("double[2,2,6,5] x", "m = Mul (x, c) y = Conv (m, k)", "z = Conv (x, n)"),
        {"c": PAIR.reshape(2, 1, 1, 1), "k": K[:, :2], "n": K[:, :2] * PAIR.reshape(2, 1, 1)}),
    "a scale of two rows for one of two channels": (
        pair("double[1,2,2,5] x", "m = Mul (x, c) y = Conv (m, k)", "z = Conv (x, n)"),
        {"c": PAIR.reshape(2, 1), "k": K1[:, :2], "n": K1[:, :2] * PAIR.reshape(2, 1, 1)}),
    "a shift of two samples for one of two channels": (
        pair("double[2,2,6,5] x", "m = Add (x, c) y = Conv (m, k)", "z = Conv (x, k, n)"),
        {"c": PAIR.reshape(2, 1, 1, 1), "k": K1[:, :2],
         "n": (K1[:, :2] * PAIR.reshape(2, 1, 1)).sum((1, 2, 3))}),
    "a shift of four places for one of four channels": (
        pair("double[1,4,2,2] x", "m = Add (x, c) y = Conv (m, k)", "z = Conv (x, k, n)"),
        {"c": drawn(2, 2), "k": K1, "n": 0.0}),
    "a scale of two rows for one of two columns": (
        pair("double[2,2] x", "m = Mul (x, c) y = MatMul (m, k)", "z = MatMul (x, n)"),
        {"c": PAIR.reshape(2, 1), "k": M[:2], "n": M[:2] * PAIR.reshape(2, 1)}),
    "a matrix that is transposed": (
        pair("double[4,4] x", "y = Gemm <transA=1> (x, k)", "z = Gemm (x, k)"), {"k": M}),
    "a maximum over two rows with scales of their own": (
        pair("double[1,4,2,5] x",
             "m = Mul (x, c) y = MaxPool <kernel_shape=[2,1], pads=[1,0,0,0]> (m)",
             "n1 = MaxPool <kernel_shape=[2,1], pads=[1,0,0,0]> (x) z = Mul (n1, c)"),
        {"c": PAIR.reshape(2, 1)}),
    "a maximum over two rows with shifts of their own": (
        pair("double[1,4,2,5] x",
             "m = Add (x, c) y = MaxPool <kernel_shape=[2,1], pads=[1,0,0,0]> (m)",
             "n1 = MaxPool <kernel_shape=[2,1], pads=[1,0,0,0]> (x) z = Add (n1, c)"),
        {"c": PAIR.reshape(2, 1)}),
    "what is chosen by a condition": (
        pair("bool[8,8] p, double[8,8] x, double[8,8] u", "y = Where (p, x, u)",
             "z = Identity (x)"), {}),
    "what is chosen by a condition otherwise": (
        pair("bool[8,8] p, double[8,8] x, double[8,8] u", "y = Where (p, x, u)",
             "z = Identity (u)"), {}),
    "a Pad of all axes in another order": (
        pair("double[1,1,5,5] x", "y = Pad (x, p, , a)", "z = Pad (x, p)"),
        {"p": SPATIAL, "a": np.array([0, 1, 3, 2])}),
    "two draws": (pair(X, "y = RandomNormalLike (x)", "z = RandomNormalLike (x)"), {}),
    "a global maximum of a negative multiple": (
        pair(X, "m = Mul (x, c) y = GlobalMaxPool (m)", "n1 = GlobalMaxPool (x) z = Mul (n1, c)"),
        {"c": -C}),
    "the batch statistics": (
        pair(X, "m = Mul (x, two) y = InstanceNormalization (m, a, b)",
             "n1 = InstanceNormalization (x, a, b) z = Mul (n1, two)"),
        {"two": np.array(2.0), "a": C.reshape(-1), "b": D.reshape(-1)}),
    "a shift in front of a transposed convolution, as if at every place": (
        pair(X, "m = Add (x, d) y = ConvTranspose (m, k)", "z = ConvTranspose (x, k, n)"),
        {"k": T, "d": D, "n": (T * D[..., None]).sum(axis=(0, 2, 3))}),
    "a cast to whole numbers": (
        pair(X, "m = Mul (x, c) h = Cast <to=7> (m) y = Cast <to=11> (h)",
             "n1 = Cast <to=7> (x) n2 = Cast <to=11> (n1) z = Mul (n2, c)"), {"c": C}),
    "a concatenation in another order": (
        pair(XU, "y = Concat <axis=1> (x, u)", "z = Concat <axis=1> (u, x)"), {}),
    "rows for columns": (
        pair("double[2,4,5,5] x", "y = Transpose <perm=[0,1,3,2]> (x)", "z = Identity (x)"), {}),
}  # fmt: skip
_places = WRONG["a shift of four places for one of four channels"][1]
_places["n"] = (K1 * _places["c"].reshape(4, 1, 1)).sum((1, 2, 3))


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_not_certified(name: str) -> None:
    text, weights = WRONG[name]
    assert not certificate(text, **weights)


OFF = 4e-13


@pytest.mark.parametrize(
    ("text", "weights", "changed"),
    [
        (pair(X, "y = Mul (x, c)", "z = Mul (x, e)"), {"c": C, "e": C}, "e"),
        (pair(X, "y = Conv (x, k)", "z = Conv (x, e)"), {"k": K, "e": K}, "e"),
        (pair(X, "y = Pow (x, c)", "z = Pow (x, e)"), {"c": C, "e": C}, "e"),
    ],
    ids=["a scale", "a kernel", "a number that is read"],
)
def test_how_far_numbers_are_apart_is_told(
    text: str, weights: dict[str, np.ndarray], changed: str
) -> None:
    def off(weights: dict[str, np.ndarray]) -> float | None:
        found = window(text, **weights)
        return same_numbers(found, *sides(found))

    assert off(weights) == 0.0
    array = weights[changed].copy()
    array.reshape(-1)[1] *= 1 + OFF
    told = off({**weights, changed: array})
    assert told is not None
    assert OFF / 2 < told < OFF * 2
    array.reshape(-1)[1] *= 1 + 10 * OFF
    assert off({**weights, changed: array}) is None


def test_a_shift_may_be_off_by_the_rounding_of_its_terms_alone() -> None:
    """(x + 1) − 1 + 1e-4, whose shift is a sum of terms of about one."""
    text = pair(X, "m = Add (x, one) s = Sub (m, one) y = Add (s, d)", "z = Add (x, e)")
    d = np.array(1e-4)
    assert in_numbers(text, one=np.array(1.0), d=d, e=d + 1e-13)
    assert not in_numbers(text, one=np.array(1.0), d=d, e=d + 1e-12)


def test_a_border_is_no_rounding() -> None:
    """Taps of 1e-12 beside one of 1: the border differs by little, and it differs."""
    text = pair(X, "m = Add (x, d) y = Conv <pads=[1,1,1,1]> (m, k)",
                "n1 = Conv <pads=[1,1,1,1]> (x, k) z = Add (n1, o)")  # fmt: skip
    k = np.full((1, 4, 3, 3), 1e-12)
    k[:, :, 1, 1] = 1.0
    assert not in_numbers(text, d=np.array(1.0), k=k, o=k.sum())
    k[:] = 0.0
    k[:, :, 1, 1] = 1.0
    assert in_numbers(text, d=np.array(1.0), k=k, o=k.sum())


def test_a_cast_to_a_narrow_type_is_not_taken_for_nothing() -> None:
    text = pair(X, "m = Mul (x, c) h = Cast <to=17> (m) y = Cast <to=11> (h)",
                "n1 = Cast <to=17> (x) n2 = Cast <to=11> (n1) z = Mul (n2, c)")  # fmt: skip
    assert not in_numbers(text, opset=19, c=C)


def test_a_resize_that_keeps_the_ratio_is_not_taken_to_keep_the_channels() -> None:
    text = pair(X, 'm = Mul (x, c) y = Resize <keep_aspect_ratio_policy="not_larger"> (m, , , f)',
                'n1 = Resize <keep_aspect_ratio_policy="not_larger"> (x, , , f) '
                "z = Mul (n1, c)")  # fmt: skip
    assert not in_numbers(text, c=C, f=np.array([2, 4, 6, 5]))


@pytest.mark.parametrize(("factor", "seen"), [(1, True), (2, False)])
def test_factors_that_are_an_attribute_say_whether_channels_stay(factor: int, seen: bool) -> None:
    form = f"Upsample <scales=[1.0,{factor}.0,2.0,2.0]>"
    text = pair(X, f"m = Mul (x, two) y = {form} (m)", f"n1 = {form} (x) z = Mul (n1, two)")
    assert in_numbers(text, opset=8, two=np.array(2.0)) == seen


def test_from_opset_7_on_a_batch_normalization_need_not_be_told() -> None:
    text = pair(X, "y = BatchNormalization <epsilon=0.5> (x, a, b, m, v)",
                "n1 = Mul (x, f) z = Add (n1, o)")  # fmt: skip
    a, b, m, v = (part.reshape(-1) for part in (G, D, E, C))
    f, o = G / np.sqrt(C + 0.5), D - E * G / np.sqrt(C + 0.5)
    assert in_numbers(text, opset=7, a=a, b=b, m=m, v=v, f=f, o=o)


def test_sides_of_different_shapes_are_not_compared() -> None:
    found = window(pair("double[4,1] x", "y = Mul (x, c)", "z = Mul (x, e)"),
                   c=np.ones((1, 3)), e=np.ones((1, 1)))  # fmt: skip
    assert same_numbers(found, *sides(found)) is None


def test_a_pad_with_attributes_is_evaluated() -> None:
    """As it was up to opset 10."""
    text = pair(
        X,
        "m = Mul (x, c) y = Pad <pads=[0,0,1,1,0,0,1,1]> (m)",
        "n1 = Pad <pads=[0,0,1,1,0,0,1,1]> (x) z = Mul (n1, c)",
    )
    found = certificate(text, opset=10, c=C)
    assert found
    assert "same operators" not in found


@pytest.mark.parametrize("told", [True, False])
def test_up_to_opset_6_a_batch_normalization_is_told_not_to_train(told: bool) -> None:
    """γ/√σ² = 2γ/√4σ² where the statistics are those that are stored, and the numbers show it."""
    form = f"BatchNormalization <epsilon=0.0, is_test={int(told)}>"
    text = pair(X, f"y = {form} (x, a, b, m, v)", f"z = {form} (x, n, b, m, w)")
    a, b, m, v = (part.reshape(-1) for part in (G, D, E, C))
    found = certificate(text, opset=6, a=a, b=b, m=m, v=v, n=2 * a, w=4 * v)
    assert ("same operators" in found) == told
