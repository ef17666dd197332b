"""Windows of the same operators are compared by their numbers; whatever differs is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from normonnx import pipeline
from normonnx.proof import certificate as certificates
from normonnx.proof.agreement import DifferentError
from normonnx.proof.linear import same_numbers
from normonnx.proof.replay import replayed
from normonnx.proof.window import Side, Window
from tests.affine.test_property import options_for
from tests.networks import draw
from tests.proof.windows import certificate, in_numbers, pair

RNG = np.random.default_rng(0)


def drawn(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


X = "double[2,4,9,9] x"
K, K1 = drawn(6, 4, 3, 3), drawn(6, 4, 1, 1)
A, B = RNG.uniform(0.5, 2, (6, 1, 1)), drawn(6, 1, 1)
T = drawn(4, 3, 3, 3)
C, D = RNG.uniform(0.5, 2, (4, 1, 1)), drawn(4, 1, 1)
CONV = "Conv <pads=[1,1,1,1]>"

SAME = {
    "a scale and a shift behind": (
        pair(X, f"c = {CONV} (x, k) m = Mul (c, a) y = Add (m, b)", f"z = {CONV} (x, n, o)"),
        {"k": K, "a": A, "b": B, "n": K * A[..., None], "o": B.reshape(-1)},
    ),
    "a scale in front": (
        pair(X, f"m = Mul (x, c) y = {CONV} (m, k)", f"z = {CONV} (x, n)"),
        {"k": K, "c": C, "n": K * C[None]},
    ),
    "a shift in front, without padding": (
        pair(X, "m = Add (x, d) y = Conv (m, k)", "z = Conv (x, k, n)"),
        {"k": K, "d": D, "n": (K * D[None]).sum(axis=(1, 2, 3))},
    ),
    "a shift in front, and the border it needs": (
        pair(
            X,
            f"m = Add (x, d) y = {CONV} (m, k)",
            "n1 = Pad (x, p, v) n2 = Conv (n1, k, n) z = Sub (n2, e)",
        ),
        {
            "k": K, "d": np.full((4, 1, 1), 0.5), "p": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
            "v": np.array(-0.5), "n": 0.5 * K.sum(axis=(1, 2, 3)), "e": np.zeros(()),
        },
    ),
    "groups": (
        pair(
            X,
            "m = Mul (x, c) q = Conv <group=2> (m, k) y = Mul (q, a)",
            "z = Conv <group=2> (x, n)",
        ),
        {
            "k": K[:, :2], "c": C, "a": A,
            "n": K[:, :2] * A[..., None] * C.reshape(2, 2).repeat(3, 0).reshape(6, 2, 1, 1),
        },
    ),
    "a transposed convolution": (
        pair(
            X,
            "m = Mul (x, c) t = ConvTranspose (m, k) y = Add (t, b)",
            "z = ConvTranspose (x, n, o)",
        ),
        {
            "k": K.swapaxes(0, 1), "c": C, "b": B,
            "n": K.swapaxes(0, 1) * C.reshape(4, 1, 1, 1), "o": B.reshape(-1),
        },
    ),
    "a transposed convolution in groups": (
        pair(
            X,
            "m = Mul (x, c) t = ConvTranspose <group=2> (m, k) y = Mul (t, a)",
            "z = ConvTranspose <group=2> (x, n)",
        ),
        {"k": T, "c": C, "a": A, "n": T * C.reshape(4, 1, 1, 1) * A.reshape(2, 1, 3, 1, 1)
         .repeat(2, 1).reshape(4, 3, 1, 1)},
    ),
    "behind a Gather": (
        pair(
            X,
            "m = Mul (x, c) y = Gather <axis=1> (m, i)",
            "n1 = Gather <axis=1> (x, i) z = Mul (n1, n)",
        ),
        {"c": C, "i": np.array([3, 0, 0, 2]), "n": C[[3, 0, 0, 2]]},
    ),
    "behind a Relu, whose scale is positive": (
        pair(
            X,
            "c = Conv (x, k, o) r = Relu (c) y = Mul (r, a)",
            "n1 = Conv (x, n, p) z = Relu (n1)",
        ),
        {"k": K, "o": B.reshape(-1), "a": A, "n": K * A[..., None], "p": (A * B).reshape(-1)},
    ),
    "behind a Concat": (
        pair(
            f"{X}, double[2,2,9,9] u",
            "t = Concat <axis=1> (x, u) m = Mul (t, a) y = Conv (m, k)",
            "n1 = Concat <axis=1> (x, u) z = Conv (n1, n)",
        ),
        {"k": drawn(3, 6, 1, 1), "a": A, "n": 0.0},
    ),
    "behind a Resize and a pool": (
        pair(
            X,
            'm = Mul (x, c) s = Add (m, d) r = Resize <mode="linear"> (s, , f) '
            "q = MaxPool <kernel_shape=[2,2], pads=[0,0,1,1]> (r) y = Conv (q, k)",
            'n1 = Resize <mode="linear"> (x, , f) '
            "n2 = MaxPool <kernel_shape=[2,2], pads=[0,0,1,1]> (n1) z = Conv (n2, n, o)",
        ),
        {
            "k": K1, "c": C, "d": D, "f": np.array([1, 1, 2, 2], np.float32), "n": K1 * C[None],
            "o": (K1 * D[None]).sum(axis=(1, 2, 3)),
        },
    ),
    "a matrix": (
        pair(
            "double[5,4] x",
            "m = Mul (x, c) s = Add (m, d) t = MatMul (s, k) y = Mul (t, a)",
            "n1 = MatMul (x, n) z = Add (n1, o)",
        ),
        {
            "k": K1[..., 0, 0].T, "c": C[:, 0, 0], "d": D[:, 0, 0], "a": A[:, 0, 0],
            "n": K1[..., 0, 0].T * C[:, :, 0] * A[:, 0, 0],
            "o": D[:, 0, 0] @ K1[..., 0, 0].T * A[:, 0, 0],
        },
    ),
    "behind a Flatten": (
        pair(
            X,
            "m = Mul (x, c) f = Flatten (m) y = Gemm <transB=1> (f, k)",
            "n1 = Flatten (x) z = Gemm <transB=1> (n1, n)",
        ),
        {"k": drawn(3, 324), "c": C, "n": 0.0},
    ),
    "channels to which nothing comes": (
        pair(X, "c = Conv (x, k) y = Mul (c, a)", "z = Conv (x, n)"),
        {"k": K, "a": A * (np.arange(6).reshape(6, 1, 1) % 2), "n": 0.0},
    ),
}  # fmt: skip
SAME["behind a Concat"][1]["n"] = SAME["behind a Concat"][1]["k"] * A[None, ..., 0][..., None]
_flat = SAME["behind a Flatten"][1]
_flat["n"] = _flat["k"] * np.broadcast_to(C, (4, 9, 9)).reshape(-1)
_dead = SAME["channels to which nothing comes"][1]
_dead["n"] = K * _dead["a"][..., None]


@pytest.mark.parametrize("name", SAME)
def test_the_same_numbers_are_seen(name: str) -> None:
    text, weights = SAME[name]
    assert in_numbers(text, **weights)


@pytest.mark.parametrize("name", SAME)
def test_each_number_counts(name: str) -> None:
    text, weights = SAME[name]
    for number in [n for n in weights if n in ("n", "o", "v")]:
        array = np.asarray(weights[number])
        for place in {0, array.size // 2, array.size - 1}:
            changed = array.copy()
            changed.reshape(-1)[place] += 1e-5
            assert not certificate(text, **{**weights, number: changed}), (number, place)


OTHER: dict[str, tuple[str, dict[str, Any]]] = {
    "a shift in front of a padded kernel": (
        pair(X, f"m = Add (x, d) y = {CONV} (m, k)", f"z = {CONV} (x, k, n)"),
        {"k": K, "d": D, "n": (K * D[None]).sum(axis=(1, 2, 3))},
    ),
    "a negative scale and a Relu": (
        pair(X, "r = Relu (x) y = Mul (r, c)", "n1 = Mul (x, c) z = Relu (n1)"),
        {"c": -C},
    ),
    "a negative scale and a maximum": (
        pair(
            X,
            "r = MaxPool <kernel_shape=[2,2]> (x) y = Mul (r, c)",
            "n1 = Mul (x, c) z = MaxPool <kernel_shape=[2,2]> (n1)",
        ),
        {"c": -C},
    ),
    "a shift in front of an average that counts its padding": (
        pair(
            X,
            "m = Add (x, d) y = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1], "
            "count_include_pad=1> (m)",
            "n1 = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1> (x) "
            "z = Add (n1, d)",
        ),
        {"d": D},
    ),
    "a shift where zeros are filled in": (
        pair("double[5,5] x", "m = Add (x, d) y = Trilu (m)", "n1 = Trilu (x) z = Add (n1, d)"),
        {"d": np.array(0.5)},
    ),
    "a shift in front of a Pad": (
        pair(X, "m = Add (x, d) y = Pad (m, p)", "n1 = Pad (x, p) z = Add (n1, d)"),
        {"d": np.array(0.5), "p": np.array([0, 0, 1, 1, 0, 0, 1, 1])},
    ),
    "a scale that differs within a mean": (
        pair(
            "double[1,4,2,2] x",
            "m = Mul (x, c) y = GlobalAveragePool (m)",
            "n1 = GlobalAveragePool (x) z = Mul (n1, e)",
        ),
        {"c": np.array([[1.0, 2.0], [3.0, 4.0]]), "e": np.full((1, 1), 2.5)},
    ),
    "another row": (
        pair(X, "y = Gather <axis=1> (x, i)", "z = Gather <axis=1> (x, j)"),
        {"i": np.array([0, 1, 2, 3]), "j": np.array([0, 1, 3, 2])},
    ),
    "another stride": (
        pair(X, "y = Conv <strides=[2,2]> (x, k)", "z = Conv <strides=[2,1]> (x, k)"),
        {"k": K},
    ),
    "groups that are exchanged": (
        pair(
            X,
            "y = Conv <group=2> (x, k)",
            "n1 = Gather <axis=1> (x, i) z = Conv <group=2> (n1, k)",
        ),
        {"k": K[:, :2], "i": np.array([2, 3, 0, 1])},
    ),
    "channels that a Reshape mixes": (
        pair(X, "m = Mul (x, c) y = Reshape (m, r)", "n1 = Reshape (x, r) z = Mul (n1, e)"),
        {"c": C, "r": np.array([2, 9, 4, 9]), "e": C.reshape(4, 1)},
    ),
    "another source": (
        pair(X, "m = Mul (x, c) y = Sigmoid (m)", "n1 = Mul (x, e) z = Sigmoid (n1)"),
        {"c": C, "e": C * (1 + 1e-7)},
    ),
    "a value beyond the border of a crop": (
        pair(
            "double[1,1,8,8] x",
            'm = Add (x, d) y = Resize <mode="nearest", extrapolation_value=0.0, '
            'coordinate_transformation_mode="tf_crop_and_resize"> (m, b, f)',
            'n1 = Resize <mode="nearest", extrapolation_value=0.0, '
            'coordinate_transformation_mode="tf_crop_and_resize"> (x, b, f) z = Add (n1, d)',
        ),
        {
            "d": np.array(0.5), "f": np.array([1, 1, 2, 2], np.float32),
            "b": np.array([0, 0, 0, 0, 1, 1, 2, 2.0]),
        },
    ),
    "a shape that grows": (
        pair("double[4,1] x", "y = Mul (x, c)", "z = Mul (x, e)"),
        {"c": np.ones((1, 3)), "e": np.ones((1, 1))},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER)
def test_what_differs_is_refused(name: str) -> None:
    text, weights = OTHER[name]
    assert not certificate(text, **weights)


def test_a_large_window_is_not_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> float:
        raise AssertionError("evaluated")

    monkeypatch.setattr(certificates, "replayed", refuse)
    text, weights = SAME["a scale and a shift behind"]
    assert in_numbers(text.replace("9,9", "800,608"), **weights)


@pytest.mark.parametrize("start", range(0, 150, 30))
def test_numbers_never_agree_where_values_differ(
    start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the windows of random networks, right and wrong."""
    proved = 0

    def both(window: Window, old: Side, new: Side) -> float | None:
        nonlocal proved
        off = same_numbers(window, old, new)
        for at in window.recorded.walks if off is not None else ():
            try:
                replayed(window, old, new, at)
            except DifferentError as error:
                raise AssertionError(f"the numbers agree to {off}, but {error}") from error
        proved += off is not None
        return off

    monkeypatch.setattr(certificates, "same_numbers", both)
    for seed in range(start, start + 30):
        pipeline.run(ir.from_proto(draw(seed).model), options_for(seed))
    assert proved > 10
