"""Windows are evaluated at true sizes, at several magnitudes, and where constants put the data."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from normonnx.proof.certificate import Flaw, certify
from normonnx.proof.free_axes import FreeAxes
from tests.proof.windows import certificate, pair, window

X = "float[2,3] x"


@pytest.mark.parametrize(
    ("old", "new", "weights"),
    [
        ("y = Clip (x, l, h)", "z = Identity (x)", {"l": -15.0, "h": 15.0}),
        ("s = Mul (x, x) y = Max (s, l)", "z = Mul (x, x)", {"l": 1e-6}),
        (
            "s = Abs (x) a = Less (s, h) b = Greater (s, l) c = And (a, b) t = Neg (x) "
            "y = Where (c, t, x)",
            "z = Identity (x)",
            {"l": 0.5, "h": 1.5},
        ),
        ("d = Sub (x, m) y = Relu (d)", "z = Mul (x, o)", {"m": 1e6, "o": 0.0}),
        ("d = Add (m, x) y = Relu (d)", "z = Mul (x, o)", {"m": -1e6, "o": 0.0}),
    ],
    ids=["large", "small", "in between", "a mean", "a mean that is added"],
)
def test_what_shows_in_one_place_alone_is_seen(
    old: str, new: str, weights: dict[str, float]
) -> None:
    numbers = {name: np.float32(number) for name, number in weights.items()}
    assert not certificate(pair(X, old, new), **numbers)


def test_the_mean_of_a_batch_normalization_is_where_its_data_lie() -> None:
    text = pair(
        "float[2,3,4] x",
        "b = BatchNormalization (x, one, zero, m, v) y = Relu (b)",
        "z = Mul (x, nil)",
    )
    numbers = {
        "one": np.ones(3, np.float32), "zero": np.zeros(3, np.float32), "nil": np.float32(0),
        "m": np.full(3, 1e5, np.float32), "v": np.ones(3, np.float32),
    }  # fmt: skip
    assert not certificate(text, **numbers)


def test_a_mean_that_is_taken_off_leaves_a_right_rewrite_right() -> None:
    text = pair(
        "float[2,3] x", "d = Sub (x, m) e = Sigmoid (d) y = Mul (e, k)",
        "n1 = Sub (x, m) n2 = Neg (n1) n3 = Exp (n2) n4 = Add (n3, one) z = Div (k, n4)",
    )  # fmt: skip
    numbers = {"m": 1e7, "k": 2.0, "one": 1.0}
    assert certificate(text, **{name: np.float32(number) for name, number in numbers.items()})


def test_sizes_are_those_of_the_model() -> None:
    """A mean over 8, where the model has 8: at sizes of its own it would not be one."""
    text = pair("float[2,{}] x", "s = ReduceSum (x, a) y = Mul (s, k)", "z = ReduceMean (x, a)")
    numbers = {"a": np.array([1]), "k": np.float32(1 / 8)}
    assert certificate(text.replace("{}", "8"), **numbers)
    assert not certificate(text.replace("{}", "9"), **numbers)
    assert not certificate(text.replace("{}", "n"), **numbers)


def test_one_size_of_two_is_enough_to_refuse() -> None:
    """Right where both sizes are the same; the walks are not at such sizes alone."""
    text = pair(
        "float[n,n2] x", "s = Shape <start=0, end=1> (x) y = Expand (one, s)",
        "n1 = Shape <start=1, end=2> (x) z = Expand (one, n1)",
    )  # fmt: skip
    assert not certificate(text, one=np.ones(1, np.float32))


def test_a_size_that_is_not_known_is_no_proof() -> None:
    found = window(
        "(seq(float[2,3]) s) => (float[] y, float[] z) {"
        " i = SequenceAt (s, zero) y = Exp (i) z = Relu (i) }",
        zero=np.array(0),
    )
    flaw = certify(found)
    assert isinstance(flaw, Flaw)
    assert "'i' is not known" in flaw.reason


def test_inputs_that_depend_on_each_other_are_taken_so() -> None:
    """y = −(c·k + c) with c = w·x; the new nodes read both c and x."""
    text = pair(
        "float[2,3] x",
        "c = MatMul (x, w) a = Mul (c, k) s = Add (a, c) y = Neg (s)",
        "n1 = MatMul (x, v) n2 = Mul (c, l) z = Add (n1, n2)",
    )
    w, k = np.float32(np.random.default_rng(0).standard_normal((3, 3))), np.float32(2)
    assert certificate(text, w=w, v=-w, k=k, l=-k)
    assert not certificate(text, w=w, v=-w * np.float32(1.01), k=k, l=-k)


def test_a_size_that_was_misread_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = FreeAxes.shape

    def misread(axes: FreeAxes, value: ir.Value) -> tuple[int, ...] | None:
        return (3, 2) if value.name == "y" else whole(axes, value)

    text = pair("double[2,3] x", "y = Exp (x)", "n1 = Neg (x) n2 = Exp (n1) z = Reciprocal (n2)")
    assert certificate(text)
    monkeypatch.setattr(FreeAxes, "shape", misread)
    flaw = certify(window(text))
    assert isinstance(flaw, Flaw)
    assert "'y' has the shape (2, 3) where the model gives (3, 2)" in flaw.reason


def test_what_cancels_is_held_to_what_rounding_makes_of_it() -> None:
    """eˣ + k − k, where k is large against eˣ: what is left has fewer digits than its size."""
    text = pair("double[2,3] x", "e = Exp (x) a = Sum (e, k) y = Sub (a, k)", "z = Exp (x)")
    assert certificate(text, k=np.array(1234.5678901))
    text = text.replace("z = Exp (x)", "n = Exp (x) z = Mul (n, o)")
    assert not certificate(text, k=np.array(1234.5678901), o=np.array(1 + 1e-8))
