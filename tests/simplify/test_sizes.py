"""NX202: what follows from sizes is written as numbers, for every size that is open."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from tests.simplify.comparing import initializers, operators, simplified, written

_I: dict[str, Any] = {
    "i0": np.int64(0), "i1": np.int64(1), "i2": np.int64(2), "i3": np.int64(3),
    "z": np.int64([0]), "one": np.int64([1]), "two": np.int64([2]), "three": np.int64([3]),
    "four": np.int64([4]), "minus": np.int64([-1]), "e2": np.int64([1 << 62]),
    "half": np.float32(0.5), "ones": np.int64([1, 1, 1]), "places": np.int64([2, 0]),
    "row": np.zeros((1, 4), np.float32), "fone": np.float32([1, 1, 1, 1]), "ii": np.int64([1, 0]),
    "m1": np.int64(-1),
}  # fmt: skip


def _model(body: str, sizes: str, rank: int, opset: int = 17) -> onnx.ModelProto:
    used = {
        name: array
        for name, array in _I.items()
        if any(f"{before}{name}{after}" in body for before in "( " for after in ",)")
    }
    dims = ",".join("abcdef"[:rank])
    text = f"g (float[{sizes}] x) => (float[{dims}] y) {{ {body} }}"
    return written(text, opset=opset, **used)


_KNOWN = {
    "Shape, Gather, Concat": (
        "h = Shape (x) a = Gather (h, i0) b = Unsqueeze (a, z) t = Concat <axis=0> (b, minus) "
        "y = Reshape (x, t)",
        "Reshape",
    ),
    "Shape of some axes": (
        "a = Shape <start=0, end=1> (x) t = Concat <axis=0> (a, minus) y = Reshape (x, t)",
        "Reshape",
    ),
    "Slice": (
        "h = Shape (x) a = Slice (h, z, one) t = Concat <axis=0> (a, minus) y = Reshape (x, t)",
        "Reshape",
    ),
    "Size": ("s = Size (x) t = Reshape (s, minus) u = Reshape (x, t) y = Unsqueeze (u, z)",
             "Reshape"),
    "arithmetic": (
        "h = Shape (x) a = Gather (h, z) b = Gather (h, one) p = Mul (a, b) "
        "t = Concat <axis=0> (p, minus) y = Reshape (x, t)",
        "Reshape",
    ),
    "half of an axis": (
        "h = Shape (x) a = Gather (h, z) c = Gather (h, two) d = Div (c, two) "
        "t = Concat <axis=0> (a, d) s = Concat <axis=0> (minus, d) y = Reshape (x, s)",
        "Reshape",
    ),
    "cast to 32 bits and back": (
        "h = Shape (x) g = Cast <to=6> (h) a = Gather (g, z) b = Cast <to=7> (a) "
        "t = Concat <axis=0> (b, minus) y = Reshape (x, t)",
        "Reshape",
    ),
    "a Where of what is never so": (
        "h = Shape (x) q = Equal (h, m1) w = Where (q, ones, h) y0 = Expand (x, w) "
        "y = Flatten (y0)",
        "Flatten",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "left"), _KNOWN.values(), ids=_KNOWN.keys())
@pytest.mark.parametrize("sizes", ["2,3,4", "n,3,4"])
def test_a_target_becomes_a_constant(body: str, left: str, sizes: str) -> None:
    numbers = (2,) if sizes[0] == "2" else (2, 1, 5)
    made = simplified(_model(body, sizes, 2), *([(n, 3, 4)] for n in numbers))
    assert operators(made) == left


def test_heads_of_an_attention() -> None:
    """(n, s, 8) as (n, s, 2, 4): two open sizes in front stay what they were."""
    body = """h = Shape (x) a = Gather (h, z) b = Gather (h, one)
        t = Concat <axis=0> (a, b, two, four) y = Reshape (x, t)"""
    made = simplified(_model(body, "n,s,8", 4), [(2, 3, 8)], [(1, 1, 8)], [(0, 3, 8)], [(3, 0, 8)])
    assert operators(made) == "Reshape"
    assert np.array_equal(*initializers(made).values(), [0, 0, 2, 4])


def test_two_open_sizes_in_other_places_stay_computed() -> None:
    """A −1 beside a 0 would have no value with an empty tensor, and two −1 none at all."""
    body = """h = Shape (x) a = Gather (h, z) b = Gather (h, one)
        t = Concat <axis=0> (b, a) y = Reshape (x, t)"""
    made = simplified(_model(body, "n,m", 2), [(2, 3)], [(3, 1)])
    assert operators(made).endswith("Concat Reshape")


def test_an_open_size_that_is_no_axis_of_what_is_reshaped() -> None:
    body = """h = Shape (x) a = Gather (h, z) t = Concat <axis=0> (one, a)
        f = Flatten <axis=0> (x) y = Reshape (f, t)"""
    made = simplified(_model(body, "n", 2), [(4,)], [(1,)], [(0,)])
    assert operators(made) in ("Reshape", "Unsqueeze", "Flatten")


def test_allowzero_keeps_an_empty_size() -> None:
    """With it a 0 is a size, without it the size that was there."""
    for attribute, sizes in (("allowzero=1", (0, 2)), ("allowzero=0", (1, 2))):
        body = f"h = Shape (x) a = Gather (h, ii) y = Reshape <{attribute}> (x, a)"
        simplified(_model(body, "n,3", 2), *([(n, 3)] for n in sizes))


def test_a_computed_zero_is_no_copy_of_an_axis() -> None:
    """A part of length 0 of a tensor is written by neither 0 nor −1."""
    body = """e = Slice (x, z, z, one) h = Shape (e) t = Gather (h, ii)
        y = Reshape <allowzero=1> (e, t)"""
    simplified(_model(body, "2,3", 2), [(2, 3)])


def test_divided_sizes_are_integers() -> None:
    body = """h = Shape (x) a = Gather (h, one) b = Div (a, two) c = Mul (b, two)
        s = Slice (x, z, c, one) y = Relu (s)"""
    made = simplified(_model(body, "n,m", 2), [(2, 4)], [(2, 5)], [(2, 1)])
    assert "Slice" in operators(made)
    made = simplified(_model(body, "n,5", 2), [(2, 5)])
    assert operators(made) == "Slice Relu"


def test_sizes_as_floats_divide_as_floats() -> None:
    """Ceil(5 / 2) is 3."""
    body = """h = Shape (x) a = Gather (h, one) f = Cast <to=1> (a) k = Cast <to=1> (two)
        d = Div (f, k) c = Ceil (d) i = Cast <to=7> (c) s = Slice (x, z, i, one) y = Relu (s)"""
    for sizes in ("n,5", "n,m"):
        made = simplified(_model(body, sizes, 2), [(2, 5)], [(1, 5)])
        assert "Slice" in operators(made)
    assert operators(simplified(_model(body, "n,5", 2), [(2, 5)])) == "Slice Relu"


def test_the_larger_of_an_open_size_and_one() -> None:
    """An empty tensor has a size that is smaller than 1: what is filled is larger than it."""
    body = """h = Shape (x) a = Gather (h, z) b = Max (a, one) c = ConstantOfShape (b)
        d = Expand (c, h) y = Neg (d)"""
    simplified(_model(body, "n", 1), [(3,)], [(1,)], [(0,)])
    assert operators(simplified(_model(body, "3", 1), [(3,)])) in ("Identity", "")


def test_range_and_tile_of_sizes() -> None:
    body = """h = Shape (x) a = Gather (h, i1) r = Range (i0, a, i1) f = Cast <to=1> (r)
        b = Gather (h, z) t = Concat <axis=0> (b, one) u = Unsqueeze (f, z) v = Tile (u, t)
        y = Add (x, v)"""
    made = simplified(_model(body, "2,3", 2), [(2, 3)])
    assert operators(made) == "Add"
    made = simplified(_model(body, "n,3", 2), [(2, 3)], [(1, 3)], [(0, 3)])
    assert "Range" not in operators(made)


def test_resize_to_computed_sizes() -> None:
    body = """h = Shape (x) a = Gather (h, two) b = Gather (h, three) c = Mul (a, two)
        d = Mul (b, two) f = Slice (h, z, two) s = Concat <axis=0> (f, c, d)
        y = Resize <mode="nearest"> (x, , , s)"""
    made = simplified(_model(body, "1,2,3,4", 4), [(1, 2, 3, 4)])
    assert operators(made) == "Resize"
    made = simplified(_model(body, "n,2,h,w", 4), [(1, 2, 3, 4)], [(2, 2, 1, 5)])
    assert operators(made).endswith("Resize")


def test_a_declared_shape_in_between_is_not_believed() -> None:
    model = _model("a = Neg (x) h = Shape (a) t = Gather (h, ii) y = Reshape (a, t)", "n,m", 2)
    model.graph.value_info.append(
        onnx.helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, [2, 3])
    )
    assert "Shape" in operators(simplified(model, [(4, 5)]))


@pytest.mark.parametrize("dim", [-1, None, "?"])
def test_unnamed_sizes_are_not_equal(dim: object) -> None:
    """−1, nothing and "?" say nothing, least of all that two of them are the same."""
    body = "h = Shape (x) t = Gather (h, ii) y = Reshape (x, t)"
    model = _model(body, "n,m", 2)
    for place in model.graph.input[0].type.tensor_type.shape.dim:
        place.Clear()
        if isinstance(dim, int):
            place.dim_value = dim
        elif dim:
            place.dim_param = str(dim)
    made = simplified(model, [(2, 3)], [(3, 2)])
    assert operators(made).endswith("Reshape")


def test_a_size_of_32_bits_may_wrap() -> None:
    """The product of two large numbers, as int32."""
    body = """c = Mul (e2, four) d = Add (c, three) t = Concat <axis=0> (minus, d)
        y = Reshape (x, t)"""
    made = simplified(_model(body, "n,3", 2), [(2, 3)])
    assert operators(made) == ""[:0] or operators(made) in ("Reshape", "Identity")


def test_gather_from_behind_and_a_vector_of_places() -> None:
    body = """h = Shape (x) a = Gather (h, places) b = Gather (h, minus)
        t = Concat <axis=0> (b, minus) y = Reshape (x, t)"""
    made = simplified(_model(body, "n,3,4", 2), [(2, 3, 4)], [(0, 3, 4)])
    assert operators(made) == "Reshape"


@pytest.mark.parametrize("sizes", ["2,3", "n,3"])
def test_expand_to_sizes_of_another(sizes: str) -> None:
    body = """r = Constant <value = float[1,3] {1.0, 2.0, 3.0}> () h = Shape (x)
        e = Expand (r, h) y = Mul (x, e)"""
    made = simplified(_model(body, sizes, 2), [(2, 3)])
    assert operators(made) in ("Mul", "Shape Expand Mul")


def test_where_on_a_size_that_may_be_minus_one() -> None:
    """A size is never −1; a number of the caller may be."""
    text = """g (float[n] x, int64[1] k) => (float[a] y) {
        q = Equal (k, minus) w = Where (q, one, k) e = Expand (x, w) y = Neg (e) }"""
    made = simplified(written(text, minus=np.int64([-1]), one=np.int64([1])))
    assert operators(made) == "Equal Where Expand Neg"


def test_inside_a_loop_that_grows_its_state() -> None:
    """The shape of the state is another in each turn."""
    text = """g (float[2] x) => (float[a] y, int64[3] z) {
        y, z = Loop (n, go, x) <body = b (int64 i, bool c, float[d] s)
                                       => (bool c2, float[e] t, int64 h) {
            c2 = Identity (c) t = Concat <axis=0> (s, x) k = Shape (s) h = Squeeze (k) }> }"""
    made = simplified(written(text, n=np.int64(3), go=np.bool_(True)), [(2,)])
    assert operators(made).count("Shape") == 1


def test_an_output_that_is_a_size_stays_an_output() -> None:
    model = written("g (float[2,3] x) => (float[2,3] y, int64[2] h) { y = Neg (x) h = Shape (x) }")
    assert [v.name for v in simplified(model, [(2, 3)]).graph.output] == ["y", "h"]
