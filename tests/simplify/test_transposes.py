"""NX209: Transposes move past what lies between them where some of them meet and vanish."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import normonnx
from tests.simplify.comparing import operators, simplified, written

_LAST, _FIRST = "Transpose <perm=[0,2,3,1]>", "Transpose <perm=[0,3,1,2]>"
"""Channels to the end, and to the front again."""


def _between(body: str, *, opset: int = 17, inputs: str = "float[2,3,4,5] x",
             **weights: Any) -> onnx.ModelProto:  # fmt: skip
    """What reads channels last as `a`, between two Transposes and operators that know them first.

    Args:
        body: makes `b`.
        opset: of the model.
        inputs: of the model; the first one is called x.
        weights: of the body.
    """
    text = f"""g ({inputs}) => (float[p,q,r,s] y) {{
        w = GlobalMaxPool (x) u = Sub (x, w) a = {_LAST} (u) {body}
        c = {_FIRST} (b) v = GlobalMaxPool (c) y = Sub (c, v) }}"""
    return written(text, opset=opset, **weights)


_K = np.arange(3, dtype=np.float32)
_I = {name: np.int64([n]) for name, n in {"z": 0, "one": 1, "two": 2, "three": 3, "m1": -1}.items()}

_MOVES: dict[str, tuple[str, dict[str, Any], int]] = {
    "one operand": ("b = Exp (a)", {}, 17),
    "several": ("d = Exp (a) e = Sin (a) b = Mul (d, e)", {}, 17),
    "a vector": ("b = Pow (a, k)", {"k": _K}, 17),
    "a vector in front": ("b = Sub (k, a)", {"k": _K}, 17),
    "a scalar": ("b = Pow (a, k)", {"k": np.float32(2)}, 17),
    "one element": ("b = Pow (a, k)", {"k": np.float32([[3]])}, 17),
    "a whole constant": (
        "b = Pow (a, k)", {"k": np.arange(120, dtype=np.float32).reshape(2, 4, 5, 3)}, 17),
    "a constant along two axes": ("b = Pow (a, k)", {"k": np.float32([[[1]], [[2]], [[3]], [[2]]])},
                                  17),
    "limits": ("b = Clip (a, z, o)", {"z": np.float32(-1), "o": np.float32(1)}, 17),
    "a slope": ("b = PRelu (a, k)", {"k": _K}, 17),
    "a choice": ("d = Greater (a, k) b = Where (d, a, k)", {"k": _K}, 17),
    "a type": ("d = Cast <to=11> (a) e = Exp (d) b = Cast <to=1> (e)", {}, 17),
    "joined along the channels": ("d = Exp (a) b = Concat <axis=3> (a, d)", {}, 17),
    "joined along another": ("d = Exp (a) b = Concat <axis=-3> (a, d)", {}, 17),
    "joined with a constant": (
        "b = Concat <axis=1> (a, k)", {"k": np.ones((2, 1, 5, 3), np.float32)}, 17),
    "split": ("d, e = Split <axis=2> (a, s) f = ReduceMax <axes=[2]> (e) b = Mul (d, f)",
              {"s": np.int64([2, 3])}, 17),
    "cut": ("b = Slice (a, one, three, m1)", _I, 17),
    "cut along two": ("b = Slice (a, n, m)", {"n": np.int64([0, 1]), "m": np.int64([2, 3])}, 17),
    "cut backwards": ("b = Slice (a, m1, n, one, m1)", {**_I, "n": np.int64([-9])}, 17),
    "cut in 32 bits": ("b = Slice (a, n, m)", {"n": np.int32([0, 1]), "m": np.int32([2, 3])}, 17),
    "cut in opset 9": ("b = Slice <axes=[1,-1], starts=[1,0], ends=[3,2]> (a)", {}, 9),
    "padded": ("b = Pad (a, p)", {"p": np.int64([0, 1, 2, 3, 0, 0, 1, -1])}, 17),
    "padded along some axes": (
        "b = Pad (a, p, , x2)", {"p": np.int64([1, 2]), "x2": np.int64([-1])}, 18),
    "padded by reflection": (
        "b = Pad <mode=\"reflect\"> (a, p)", {"p": np.int64([0, 1, 2, 0, 0, 0, 1, 0])}, 17),
    "padded in opset 10": ("b = Pad <pads=[0,1,2,3,0,0,1,0], value=2.0> (a)", {}, 10),
    "reduced": ("b = ReduceMax <axes=[1,-1]> (a)", {}, 17),
    "reduced in opset 18": ("b = ReduceMax (a, n)", {"n": np.int64([1, 2])}, 18),
    "reduced to one": ("d = ReduceSum (a) b = Mul (a, d)", {}, 17),
    "reduced to none": ("d = ReduceSum <keepdims=0> (a) b = Mul (a, d)", {}, 17),
    "not reduced": ("b = ReduceSumSquare <noop_with_empty_axes=1> (a)", {}, 18),
    "the best": ("d = ArgMax <axis=3> (a) e = Cast <to=1> (d) b = Mul (a, e)", {}, 17),
    "gathered": ("b = Gather <axis=-2> (a, i)", {"i": np.int64([3, 0, -1])}, 17),
    "repeated": ("b = Tile (a, n)", {"n": np.int64([1, 2, 1, 3])}, 17),
    "expanded": ("d = ReduceMax <axes=[1]> (a) b = Expand (d, n)",
                 {"n": np.int64([1, 4, 1, 1])}, 17),
    "summed up": ("b = CumSum (a, n)", {"n": np.int64(3)}, 17),
    "summed up, from behind": ("b = CumSum <reverse=1> (a, n)", {"n": np.int32(-3)}, 17),
    "of length 1": ("b = LpNormalization <axis=-1, p=2> (a)", {}, 17),
    "quantised": ("d = QuantizeLinear (a, s) b = DequantizeLinear (d, s)",
                  {"s": np.float32(0.1)}, 17),
    "quantised by channel": (
        "d = QuantizeLinear <axis=-1> (a, s) b = DequantizeLinear <axis=3> (d, s)",
        {"s": np.float32([0.1, 0.2, 0.3])}, 17),
}  # fmt: skip


@pytest.mark.parametrize(("body", "weights", "opset"), _MOVES.values(), ids=_MOVES.keys())
def test_a_transpose_moves_past(body: str, weights: dict[str, Any], opset: int) -> None:
    used = {n: a for n, a in weights.items() if f"{n})" in body or f"{n}," in body}
    made = simplified(_between(body, opset=opset, **used), [(2, 3, 4, 5)], part=1e-6)
    assert "Transpose" not in operators(made)


_STAYS: dict[str, tuple[str, dict[str, Any], int]] = {
    "Softmax over the channels": ("b = Softmax <axis=-1> (a)", {}, 17),
    "Softmax of old, over all behind": ("b = Softmax <axis=2> (a)", {}, 11),
    "a broadcast of old": ("b = Add <axis=3, broadcast=1> (a, k)", {"k": _K}, 6),
    "a size": ("h = Reshape (a, n) b = Reshape (h, m)",
               {"n": np.int64([40, 3]), "m": np.int64([2, 5, 4, 3])}, 17),
    "rows of a table": ("d = Gather <axis=1> (a, i) b = ReduceMax <axes=[2], keepdims=0> (d)",
                        {"i": np.int64([[3, 0], [1, 1]])}, 17),
    "a product": ("b = MatMul (a, m)", {"m": np.ones((3, 3), np.float32)}, 17),
}  # fmt: skip


@pytest.mark.parametrize(("body", "weights", "opset"), _STAYS.values(), ids=_STAYS.keys())
def test_a_transpose_does_not_move_past(body: str, weights: dict[str, Any], opset: int) -> None:
    if opset == 6:
        made = onnx.ModelProto.FromString(_optimized(_between(body, opset=opset, **weights)))
    else:
        made = simplified(_between(body, opset=opset, **weights), [(2, 3, 4, 5)])
    assert operators(made).count("Transpose") == 2


def _optimized(model: onnx.ModelProto) -> bytes:
    return normonnx.optimize(model, verify=False).to_bytes(unverified=True)


def test_a_softmax_over_the_last_axis_in_both_orders() -> None:
    text = """g (float[2,3,4,5] x) => (float[2,3,4,5] y) {
        a = Transpose <perm=[0,2,1,3]> (x) b = Softmax <axis=3> (a)
        y = Transpose <perm=[0,2,1,3]> (b) }"""
    assert operators(simplified(written(text), [(2, 3, 4, 5)])) == "Softmax"


_ROWS, _TURNED = (2, 4, 3, 5), (2, 5, 5, 5)


@pytest.mark.parametrize(
    ("body", "perm", "shape", "is_moved"),
    [
        ("b = MatMul (a, w)", "0,2,1,3", _ROWS, True),
        ("b = MatMul (a, w)", "0,3,2,1", _TURNED, False),
        ("d = Exp (a) b = MatMul (d, a)", "2,1,0,3", (5, 5, 5, 5), False),
        ("d = Exp (a) b = MatMul (d, a)", "1,0,2,3", _TURNED, True),
        ("b = LayerNormalization <axis=-1> (a, k, k)", "0,2,1,3", _ROWS, True),
        ("b = LayerNormalization <axis=-1> (a, k, k)", "0,3,2,1", _TURNED, False),
        ("b = LayerNormalization <axis=2> (a, m)", "0,2,1,3", _TURNED, False),
        ("b = LayerNormalization <axis=2> (a, m)", "1,0,2,3", _TURNED, True),
    ],
)
def test_axes_that_are_taken_together_stay_the_last(
    body: str, perm: str, shape: tuple[int, ...], is_moved: bool
) -> None:
    weights = {
        "w": np.linspace(-1, 1, 25, dtype=np.float32).reshape(5, 5),
        "k": np.float32([1, 2, 3, 4, 5]),
        "m": np.linspace(1, 2, 25, dtype=np.float32).reshape(5, 5),
    }
    used = {n: a for n, a in weights.items() if f", {n})" in body or f", {n}," in body}
    sizes = ",".join(map(str, shape))
    text = f"""g (float[{sizes}] x) => (float[p,q,r,s] y) {{
        u = Cos (x) a = Transpose <perm=[{perm}]> (u) {body}
        c = Transpose <perm=[{perm}]> (b) y = Sin (c) }}"""
    made = simplified(written(text, **used), [shape], part=1e-5)
    assert ("Transpose" not in operators(made)) is is_moved


def test_another_order_behind_is_one_transpose() -> None:
    text = f"""g (float[2,3,4,5] x) => (float[4,2,5,3] y) {{
        a = {_LAST} (x) b = Exp (a) y = Transpose <perm=[1,0,2,3]> (b) }}"""
    assert operators(simplified(written(text), [(2, 3, 4, 5)])).split().count("Transpose") == 1


@pytest.mark.parametrize(
    ("body", "left"),
    [
        # One of the two operands is in the other order: one Transpose comes, and two go.
        ("d = Add (a, o) b = Exp (d)", 1),
        ("d = Add (a, o) e = Exp (o) b = Mul (d, e)", 1),
        # Two are: nothing is gained.
        ("d = Add (a, o) e = Mul (d, p) b = Exp (e)", 2),
        # An operand of lower rank would have to be reshaped.
        ("b = Add (a, t)", 2),
        ("b = Add (a, l)", 0),
    ],
)
def test_other_operands(body: str, left: int) -> None:
    inputs = "float[2,3,4,5] x, float[2,4,5,3] o, float[2,4,5,3] p, float[5,3] t, float[1] l"
    shapes = [(2, 3, 4, 5), (2, 4, 5, 3), (2, 4, 5, 3), (5, 3), (1,)]
    model = _between(body, inputs=inputs)
    made = simplified(model, shapes)
    assert operators(made).split().count("Transpose") == left


def test_what_lies_between_and_is_an_output() -> None:
    """It is given in its own order, by one Transpose in the place of two."""
    text = f"""g (float[2,3,4,5] x) => (float[2,4,5,3] b, float[2,3,4,5] y) {{
        a = {_LAST} (x) b = Exp (a) c = {_FIRST} (b) y = Neg (c) }}"""
    assert operators(simplified(written(text), [(2, 3, 4, 5)])).split().count("Transpose") == 1


def test_two_outputs_between_gain_nothing() -> None:
    text = f"""g (float[2,3,4,5] x) => (float[2,4,5,3] b, float[2,4,5,3] d, float[2,3,4,5] y) {{
        a = {_LAST} (x) b = Exp (a) d = Sin (b) c = {_FIRST} (d) y = Neg (c) }}"""
    made = simplified(written(text), [(2, 3, 4, 5)])
    assert operators(made).split().count("Transpose") == 2


def test_the_other_side_of_a_value_that_two_read() -> None:
    """A residual: the sum is read by what knows the channels first, and by the next sum."""
    block = "{0}1 = {1} ({0}) {0}2 = GlobalMaxPool ({0}1) {0}3 = Sub ({0}1, {0}2) {0}4 = {2} ({0}3)"
    blocks = f"""{block.format("a", _FIRST, _LAST)} b = Add (a, a4)
        {block.format("b", _FIRST, _LAST)} c = Add (b, b4)
        {block.format("c", _FIRST, _LAST)} y = Add (c, c4)"""
    text = f"g (float[2,4,5,3] x) => (float[2,4,5,3] y) {{ a = Exp (x) {blocks} }}"
    made = simplified(written(text), [(2, 4, 5, 3)])
    assert operators(made).split().count("Transpose") == 2


def test_constants_that_a_caller_may_override_are_operands() -> None:
    text = f"""g (float[2,3,4,5] x, float[3] k) => (float[2,3,4,5] y) {{
        a = {_LAST} (x) b = Add (a, k) c = {_FIRST} (b) y = Neg (c) }}"""
    made = simplified(written(text, k=_K), [(2, 3, 4, 5)])
    assert operators(made).split().count("Transpose") == 2
    [stored] = [numpy_helper.to_array(w) for w in made.graph.initializer if w.name == "k"]
    assert np.array_equal(stored, _K)


@pytest.mark.parametrize("sizes", [(2, 3, 4, 5), (1, 3, 1, 1), (0, 3, 4, 5), (2, 3, 0, 5)])
def test_open_and_empty_dimensions(sizes: tuple[int, ...]) -> None:
    text = f"""g (float[n,3,h,w] x) => (float[n,6,h,w] y) {{
        a = {_LAST} (x) b = Add (a, k) d = Concat <axis=-1> (a, b)
        c = {_FIRST} (d) y = Neg (c) }}"""
    made = simplified(written(text, k=_K), [sizes])
    assert "Transpose" not in operators(made)


def test_a_rank_that_is_not_known() -> None:
    text = """g (float[2,3] x, int64[k] s) => (float[2,3] y) {
        r = Reshape (x, s) a = Transpose (r) b = Exp (a) c = Transpose (b) y = Reshape (c, t) }"""
    model = written(text, t=np.int64([2, 3]))
    made = onnx.ModelProto.FromString(_optimized(model))
    assert operators(made).split().count("Transpose") == 2


def test_within_a_branch() -> None:
    """A Transpose outside of it stays there; two within it go."""
    text = f"""g (float[2,3,4,5] x, bool c) => (float[2,3,4,5] y) {{
        a = {_LAST} (x)
        y = If (c) <
            then_branch = t () => (float[2,3,4,5] u) {{
                d = Exp (a) e = Pow (d, k) u = {_FIRST} (e) }},
            else_branch = f () => (float[2,3,4,5] v) {{
                g = {_LAST} (x) h = Sin (g) i = Pow (h, k) v = {_FIRST} (i) }}> }}"""
    made = simplified(written(text, k=_K), [(2, 3, 4, 5), ()])
    assert operators(made).split().count("Transpose") <= 2


def test_products_take_their_transposes_first() -> None:
    text = """g (float[4,6] x) => (float[4,5] y, float[4,5] z) {
        a = Transpose (x) b = MatMul (w, a) c = Exp (b) d = Transpose (c) y = Neg (d)
        e = MatMul (w, a) z = Transpose (e) }"""
    made = simplified(written(text, w=np.ones((5, 6), np.float32)), [(4, 6)], part=1e-6)
    assert operators(made) == "MatMul Exp Neg"
