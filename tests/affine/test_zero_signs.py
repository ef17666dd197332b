"""x + 0 makes 0 of −0: it stays where something tells the two apart, and goes elsewhere."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import normonnx
from tests.graphs import proto
from tests.networks.execution import opened

ZEROS = np.array([[[[0.0, -0.0, 2.0, -3.0]] * 2]], np.float32)
IN = "(float[1,1,2,4] x)"
OUT = f"{IN} => (float[] y)"
NUMBERS = {
    "zero": np.float32(0), "minus": np.float32(-0.0), "one": np.float32(1), "two": np.float32(2),
    "less": np.float32(-1), "square": np.float32(2), "some": np.float32([[0, 0, 0, 1]]),
    "none": np.float32([[-0.0, -0.0, -0.0, 1]]), "w": np.ones((1, 1, 1, 1), np.float32),
    "nil": np.float32([0]), "v": np.float32([3]), "gamma": np.float32([2]),
}  # fmt: skip

TOLD = {
    "by what takes the reciprocal": "a = Add (x, zero) y = Reciprocal (a)",
    "by what divides": "a = Add (zero, x) y = Div (one, a)",
    "by a negative power": "a = Add (x, zero) y = Pow (a, less)",
    "by a power that is not known": "a = Add (x, zero) p = Neg (a) y = Pow (a, p)",
    "less −0": "a = Sub (x, minus) y = Reciprocal (a)",
    "behind a scale": "a = Add (x, zero) b = Mul (a, two) y = Reciprocal (b)",
    "in front of a scale": "b = Mul (x, two) a = Add (b, zero) y = Reciprocal (a)",
    "0 less a value": "b = Mul (x, two) a = Sub (zero, b) y = Reciprocal (a)",
    "behind a Transpose": "a = Add (x, zero) t = Transpose (a) y = Reciprocal (t)",
    "behind a root and a product":
        "a = Add (x, zero) r = Tanh (a) m = Mul (r, two) y = Reciprocal (m)",
    "behind a pool":
        "a = Add (x, zero) p = MaxPool <kernel_shape=[1,1]> (a) y = Reciprocal (p)",
    "behind a sum with −0": "a = Add (x, zero) b = Add (a, minus) y = Reciprocal (b)",
    "behind a cast": "a = Add (x, zero) c = Cast <to=11> (a) r = Reciprocal (c) "
                     "y = Cast <to=1> (r)",
    "at some places": "b = Mul (x, two) a = Add (b, some) y = Reciprocal (a)",
    "by another reader": "a = Add (x, zero) r = Reciprocal (a) e = Exp (a) y = Add (r, e)",
    "of a BatchNormalization": "b = Mul (x, two) a = BatchNormalization (b, gamma, nil, nil, v) "
                               "y = Reciprocal (a)",
}  # fmt: skip

UNTOLD = {
    "by an exponential": ("a = Add (x, zero) y = Exp (a)", "Exp"),
    "by what is divided": ("a = Add (x, zero) e = Exp (x) y = Div (a, e)", "Exp Div"),
    "by a square": ("a = Add (x, zero) y = Pow (a, square)", "Pow"),
    "behind a magnitude": ("a = Add (x, zero) b = Abs (a) y = Reciprocal (b)", "Abs Reciprocal"),
    "behind a number that is added": (
        "a = Add (x, zero) b = Add (a, one) y = Reciprocal (b)", "Add Reciprocal"),
    "behind another of its kind": (
        "a = Add (x, zero) b = Add (a, zero) y = Reciprocal (b)", "Add Reciprocal"),
    "−0": ("a = Add (x, minus) y = Reciprocal (a)", "Reciprocal"),
    "less 0": ("a = Sub (x, zero) y = Reciprocal (a)", "Reciprocal"),
    "−0 and others": (
        "b = Mul (x, two) a = Add (b, none) y = Reciprocal (a)", "Mul Add Reciprocal"),
    "by a layer": ("a = Add (x, zero) b = Conv (a, w) y = Reciprocal (b)", "Conv Reciprocal"),
    "by a condition": (
        "a = Add (x, zero) c = Cast <to=9> (a) b = Where (c, x, one) y = Reciprocal (b)",
        "Cast Where Reciprocal"),
}  # fmt: skip


def check(text: str) -> list[str]:
    """What is left of a model that is run on zeros of both signs, and gives what it gave."""
    model = proto(f"{OUT} {{ {text} }}")
    read = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(
        numpy_helper.from_array(array, name) for name, array in NUMBERS.items() if name in read
    )
    data = normonnx.optimize(model, verify=False).to_bytes(unverified=True)
    made = onnx.ModelProto.FromString(data)
    [right], [found] = (opened(m).run(None, {"x": ZEROS}) for m in (model, made))
    np.testing.assert_array_equal(found, right)
    return [node.op_type for node in made.graph.node]


@pytest.mark.parametrize("text", TOLD.values(), ids=list(TOLD))
def test_it_stays_where_the_zeros_are_told_apart(text: str) -> None:
    assert {"Add", "Sub", "BatchNormalization"} & set(check(text))


@pytest.mark.parametrize(("text", "left"), UNTOLD.values(), ids=list(UNTOLD))
def test_it_goes_where_they_are_not(text: str, left: str) -> None:
    assert check(text) == left.split()


def test_as_text_they_are_told_apart() -> None:
    model = proto("(float[2] x) => (string[2] y) { a = Add (x, zero) y = Cast <to=8> (a) }",
                  zero=np.float32(0))  # fmt: skip
    made = normonnx.optimize(model, verify=False).model
    assert [node.op_type for node in made.graph] == ["Add", "Cast"]
