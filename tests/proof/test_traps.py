"""Pairs that only look the same: each was certified by a proof that took something for granted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from normonnx.proof.certificate import Flaw, certify
from tests.proof.windows import certificate, pair, window

RNG = np.random.default_rng(5)
F = np.float32


def f(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(F)


WIDE = "float[1,2,30,100] x"
ROWS, DILATED = "Conv <pads=[0,1,0,1]>", "Conv <pads=[1,0,1,0], dilations=[2,1]>"
LONG = "float[1,2,240] x"
STRIDE = np.round(4 * f(2, 2, 3))

WRONG: dict[str, tuple[str, dict[str, Any], int]] = {
    "a border behind the border of another axis": (
        pair(WIDE, f"a = Add (x, c) b = {ROWS} (a, v) y = {DILATED} (b, w)",
             f"n = {ROWS} (x, v) z = {DILATED} (n, w)"),
        {"c": F(1.5), "v": f(3, 2, 1, 3), "w": f(3, 3, 2, 1)}, 18,
    ),
    "a stride that leaves nothing but the border": (
        pair(LONG, "a = Add (x, c) y = Conv <pads=[1,1], strides=[24]> (a, w)",
             "z = Conv <pads=[1,1], strides=[24]> (x, w, b)"),
        {"c": F(1.5), "w": STRIDE, "b": (1.5 * STRIDE[:, :, 1:].sum((1, 2))).astype(F)}, 18,
    ),
    "another row of a table": (
        pair("int64[6] i", "g = Gather (w, i) y = Mul (g, k)", "z = Gather (n, i)"),
        {"w": np.arange(20, dtype=F).reshape(10, 2), "k": F(2), "n": np.concatenate(
            [np.arange(14, dtype=F).reshape(7, 2) * 2, f(1, 2), 2 * np.arange(16, 20).reshape(2, 2)
             .astype(F)])}, 18,
    ),
    "numbers above ten": (
        pair("uint8[4,4] i", "g = Cast <to=1> (i) y = Min (g, k)", "z = Cast <to=1> (i)"),
        {"k": F(10)}, 18,
    ),
    "numbers below zero": (
        pair("int8[4,4] i", "g = Cast <to=1> (i) y = Relu (g)", "z = Cast <to=1> (i)"), {}, 18,
    ),
    "a channel that is read from another": (
        pair("float[1,4,5,5] x", 'a = Mul (x, k) y = Resize <mode="nearest"> (a, , s)',
             'n = Resize <mode="nearest"> (x, , s) z = Mul (n, k)'),
        {"k": f(1, 4, 1, 1), "s": np.array([1, 1.2, 2, 2], F)}, 18,
    ),
    "the same in opset 9": (
        pair("float[1,4,5,5] x", 'a = Mul (x, k) y = Upsample <mode="nearest"> (a, s)',
             'n = Upsample <mode="nearest"> (x, s) z = Mul (n, k)'),
        {"k": f(1, 4, 1, 1), "s": np.array([1, 1.2, 2, 2], F)}, 9,
    ),
    "terms that the new side brings along": (
        pair("double[3] x", "y = Add (x, o)", "n1 = Add (x, h) n2 = Sub (n1, h) z = Add (n2, t)"),
        {"o": np.array(1.0), "h": np.array(1e13), "t": np.array(2.0)}, 18,
    ),
    "an axis that opset 6 aligns": (
        pair("float[4,4] x", "y = Mul <broadcast=1, axis=0> (x, k)",
             "z = Mul <broadcast=1> (x, k)"),
        {"k": f(4)}, 6,
    ),
    "training of opset 6": (
        pair("float[2,3,4,4] x", "y = BatchNormalization (x, s, b, m, v)",
             "z = BatchNormalization <is_test=1> (x, s, b, m, v)"),
        {"s": f(3), "b": f(3), "m": f(3), "v": np.ones(3, F)}, 6,
    ),
    "large numbers": (
        pair("float[5,5] x", "y = Clip (x, l, h)", "z = Identity (x)"),
        {"l": F(-1000), "h": F(1000)}, 18,
    ),
    "a row of zeros": (
        pair("double[4,6] x", "s = Mul (x, x) m = ReduceMean <axes=[1]> (s) r = Sqrt (m) "
             "e = Add (r, t) y = Div (x, e)",
             "n1 = Mul (x, x) n2 = ReduceMean <axes=[1]> (n1) n3 = Sqrt (n2) z = Div (x, n3)"),
        {"t": np.array(1e-13)}, 17,
    ),
    "chance": (
        pair("float[50] x", "y, m = Dropout (x, r, t)", "z, n = Dropout (x, r, t)"),
        {"r": F(0.5), "t": np.array(True)}, 18,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_only_looks_the_same_is_refused(name: str) -> None:
    text, weights, opset = WRONG[name]
    assert not certificate(text, opset=opset, **weights)


@pytest.mark.parametrize(
    ("inputs", "old", "new"),
    [
        ("float16[3] x", "y = Identity (x)", "z = Cast <to=1> (x)"),
        ("float[3] x", "r = Floor (x) y = Cast <to=7> (r)", "z = Floor (x)"),
    ],
)
def test_another_type_is_refused(inputs: str, old: str, new: str) -> None:
    found = certify(window(pair(inputs, old, new)))
    assert isinstance(found, Flaw)
    assert "is to stand for it" in found.reason


RIGHT = {
    "a Pad that crops": (
        pair("float[1,2,8,8] x", "p = Pad (x, p0) s = Mul (p, p) y = Add (s, k)",
             "n = Pad (x, p0) n2 = Pow (n, two) z = Add (n2, k)"),
        {"p0": np.array([0, 0, -1, 2, 0, 0, -2, 0]), "k": F(2), "two": F(2)},
    ),
    "the mean of a LayerNormalization beside an input": (
        pair("float[6,9,5] x, float[6,9,1] u",
             "l, m = LayerNormalization (x, s) a = Add (m, u) b = Mul (a, a) y = Add (b, l)",
             "n, n1 = LayerNormalization (x, s) n2 = Add (n1, u) n3 = Pow (n2, two) "
             "z = Add (n3, n)"),
        {"s": f(5), "two": F(2)},
    ),
    "a Resize that leaves the channels": (
        pair("float[1,4,5,5] x", 'a = Mul (x, k) y = Resize <mode="nearest"> (a, , , s)',
             'n = Resize <mode="nearest"> (x, , , s) z = Mul (n, k)'),
        {"k": f(1, 4, 1, 1), "s": np.array([1, 4, 10, 7])},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_the_same_is_certified(name: str) -> None:
    text, weights = RIGHT[name]
    assert certificate(text, **weights)
