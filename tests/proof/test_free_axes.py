"""An axis is cut where every place of it is treated alike, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from normonnx.proof.free_axes import FreeAxes
from normonnx.proof.window import sides
from tests.proof.windows import certificate, pair, window

X = "double[5,70,40] x"


def shape(
    old: str, new: str = "z = Neg (x)", *, inputs: str = X, **weights: Any
) -> tuple[int, ...]:
    """The shape at which `x` is evaluated."""
    found = window(pair(inputs, old, new), **weights)
    at = found.recorded.walks[0]
    old_side, new_side = sides(found)
    at.go_on(new_side.nodes, found.opsets)
    axes = FreeAxes((old_side, new_side), at)
    x = next(value for value in old_side.inputs if value.name == "x")
    cut = axes.shape(x)
    assert cut is not None
    return cut


NORM = "m = ReduceMean (x, a) d = Sub (x, m) s = Mul (d, d) v = ReduceMean (s, a) y = Div (d, v)"


@pytest.mark.parametrize(
    ("text", "weights", "found"),
    [
        (NORM, {"a": np.array([-1])}, (4, 4, 40)),
        (NORM, {"a": np.array([1])}, (4, 70, 4)),
        (NORM, {"a": np.array([0])}, (5, 4, 4)),
        (NORM, {"a": np.array([1, 2])}, (4, 70, 40)),
        ("y = Mul (x, c)", {"c": np.ones((70, 1))}, (4, 70, 4)),
        ("y = Mul (x, c)", {"c": np.ones((1, 1, 1))}, (4, 4, 4)),
        ("t = Transpose <perm=[2,0,1]> (x) y = ReduceSum (t, a)", {"a": np.array([1])}, (5, 4, 4)),
        ("y = MatMul (x, w)", {"w": np.ones((40, 3))}, (4, 4, 40)),
        ("y = MatMul (w, x)", {"w": np.ones((3, 70))}, (5, 70, 40)),
        ("y = Softmax <axis=1> (x)", {}, (5, 70, 40)),
        ("y = LayerNormalization <axis=1> (x, w)", {"w": np.ones((70, 40))}, (4, 70, 40)),
        ("y = LayerNormalization (x, w)", {"w": np.ones(40)}, (4, 4, 40)),
        ("f = Flatten (x) y = Neg (f)", {}, (5, 70, 40)),
        ("t = Transpose <perm=[0,2,1]> (x) s = Slice (t, zero, three, one) y = Neg (s)",
         {"zero": np.array([0]), "three": np.array([3]), "one": np.array([1])}, (4, 4, 40)),
        ("y = Slice (x, one, two)", {"one": np.array([1]), "two": np.array([2])}, (5, 4, 4)),
        ("y = Slice (x, zero, three, k)",
         {"zero": np.array([0]), "three": np.array([3]), "k": np.array([-2])}, (4, 70, 4)),
        ("y = Concat <axis=-1> (x, x)", {}, (4, 4, 40)),
        ("y = Concat <axis=0> (x, c)", {"c": np.ones((1, 70, 40))}, (5, 70, 40)),
        ("y, o = Split <axis=1> (x, s)", {"s": np.array([30, 40])}, (4, 70, 4)),
        ("y = Pad (x, p)", {"p": np.array([0, 1, 0, 0, 0, 0])}, (4, 70, 4)),
        ("y = Pad (x, p)", {"p": np.array([0, 0, 0, 0, 0, -3])}, (4, 4, 40)),
    ],
)  # fmt: skip
def test_an_axis_is_whole_where_places_meet(
    text: str, weights: dict[str, Any], found: tuple[int, ...]
) -> None:
    assert shape(text, **weights) == found


def test_the_other_side_counts_too() -> None:
    assert shape("y = Neg (x)", "z = ReduceMean (x, a)", a=np.array([0])) == (5, 4, 4)
    assert shape("y = Neg (x)", "z = Mul (x, c)", c=np.ones((70, 1))) == (4, 70, 4)


def test_another_input_makes_whole_what_it_meets() -> None:
    inputs = f"{X}, double[5,70,40] u"
    text = "s = ReduceMax (u, a) y = Add (x, s)"
    assert shape(text, inputs=inputs, a=np.array([1])) == (4, 4, 4)
    text = "s = ReduceMax (u, a) t = Add (x, u) y = Add (t, s)"
    assert shape(text, inputs=inputs, a=np.array([1])) == (4, 70, 4)


def test_what_is_small_is_not_made_smaller() -> None:
    assert np.prod(shape("y = Neg (x)", inputs="double[7,100] x")) >= 64
    assert shape("y = Neg (x)", inputs="double[3,5] x") == (3, 5)


@pytest.mark.parametrize("place", [0, 33, 69])
def test_a_constant_that_differs_at_one_place_is_seen(place: int) -> None:
    """The sides are no numbers of the same operators, so they are evaluated."""
    text = pair(X, "s = Mul (x, x) y = Add (s, c)", "n1 = Pow (x, two) z = Add (n1, e)")
    c = np.random.default_rng(0).standard_normal((70, 1))
    other = c.copy()
    other[place] += 1e-6
    two = np.array(2.0)
    assert "windows" in certificate(text, c=c, e=c, two=two)
    assert not certificate(text, c=c, e=other, two=two)


SUM = "y = ReduceSum <keepdims=0> (x, a)"


@pytest.mark.parametrize(
    ("old", "new", "weights", "found"),
    [
        (SUM, "z = ReduceSum <keepdims=0> (x, a)", {"a": np.array([1])}, (4, 70, 4)),
        ("t = ReduceSum <keepdims=0> (x, a) y = Mul (t, c)", "z = Neg (x)",
         {"a": np.array([0]), "c": np.ones((70, 1))}, (5, 70, 4)),
        ("t = ReduceSum (x, a) y = Mul (t, c)", "z = Neg (x)",
         {"a": np.array([0]), "c": np.ones((70, 1))}, (5, 70, 4)),
        ("t = ReduceSum <keepdims=0> (x, a) y = Mul (t, c)", "z = Neg (x)",
         {"a": np.array([-2]), "c": np.ones(40)}, (4, 70, 40)),
        ("y = ReduceSum (x)", "z = Neg (x)", {}, (5, 70, 40)),
        ("y = ReduceSum <noop_with_empty_axes=1> (x)", "z = Neg (x)", {}, (5, 70, 40)),
        ("y = ReduceSum <noop_with_empty_axes=1> (x, a)", "z = Neg (x)", {"a": np.array([1])},
         (4, 70, 4)),
        ("y = ReduceMax <axes=[1]> (x)", "z = Neg (x)", {"opset": 17}, (4, 70, 4)),
        ("y = ReduceMax (x)", "z = Neg (x)", {"opset": 17}, (5, 70, 40)),
        ("t = Transpose (x) y = Mul (t, c)", "z = Neg (x)", {"c": np.ones((70, 1))}, (4, 70, 4)),
        ("y = Mul (x, c)", "z = Neg (x)", {"c": np.ones(40)}, (4, 4, 40)),
        ("y = Mul (c, x)", "z = Neg (x)", {"c": np.ones((5, 1, 40))}, (5, 4, 40)),
        ("y = MatMul (x, w)", "z = Neg (x)", {"w": np.ones((5, 40, 3))}, (5, 70, 40)),
        ("m = MatMul (x, w) y = Mul (m, c)", "z = Neg (x)",
         {"w": np.ones((40, 3)), "c": np.ones((70, 1))}, (4, 70, 40)),
        ("y = normonnx.FusedLayerNormalization <axis=1> (x, w)", "z = Neg (x)",
         {"w": np.ones(70)}, (4, 70, 4)),
        ("y = normonnx.FusedLayerNormalization <axis=1> (x, w)", "z = Neg (x)",
         {"w": np.ones((70, 40))}, (4, 70, 40)),
        ("y = LayerNormalization <axis=-2> (x, w)", "z = Neg (x)", {"w": np.ones((70, 40))},
         (4, 70, 40)),
        ("y = Add <axis=0, broadcast=1> (x, c)", "z = Neg (x)", {"c": np.ones(5), "opset": 6},
         (5, 70, 40)),
    ],
)  # fmt: skip
def test_how_an_axis_is_followed(
    old: str, new: str, weights: dict[str, Any], found: tuple[int, ...]
) -> None:
    assert shape(old, new, **weights) == found


def test_sizes_that_are_read_are_as_many_as_there_are() -> None:
    text = "s = Shape (x) c = Cast <to=11> (s) y = Mul (x, c)"
    new = "n1 = Cast <to=11> (s) z = Mul (n1, x)"
    assert shape(text, new, inputs="double[n,2,2,70,5] x")[-2:] == (4, 5)


@pytest.mark.parametrize(
    ("x", "found"),
    [
        ("double[5,70,40] x", (4, 4, 4)),
        ("double[7,100] x", (7, 16)),
        ("double[100,7] x", (16, 4)),
        ("double[5,9] x", (5, 9)),
        ("double[1000] x", (64,)),
        ("double[4,1000] x", (4, 16)),
    ],
)
def test_how_many_places_are_enough(x: str, found: tuple[int, ...]) -> None:
    assert shape("y = Neg (x)", inputs=x) == found
