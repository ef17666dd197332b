"""Sizes for open dimensions: names, formulas, roles, and the order of what is tried."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import onnx_ir as ir

from normonnx.sizes.dimensions import open_shapes


def value(
    name: str, shape: Sequence[int | str | None], dtype: ir.DataType = ir.DataType.FLOAT
) -> ir.Value:
    return ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(dtype))


def test_a_name_is_one_size_everywhere() -> None:
    shapes = open_shapes(
        [
            value("ids", ["batch", "seq"], ir.DataType.INT64),
            value("mask", ["batch", "seq"], ir.DataType.INT64),
        ]
    )
    assert shapes.symbols == ("batch", "seq")
    for binding in islice(shapes.candidates(), 3):
        assert shapes.shape("ids", binding) == shapes.shape("mask", binding)


def test_unknown_dimensions_are_on_their_own() -> None:
    shapes = open_shapes([value("x", ["-1", 3, "?", "?"]), value("z", [None, 3])])
    assert set(shapes.symbols) == {"x[0]", "x[2]", "x[3]", "z[0]"}
    assert set(shapes.batches) == {"x[0]", "z[0]"}
    assert set(shapes.images) == {"x[2]", "x[3]"}


def test_channels_may_come_last() -> None:
    shapes = open_shapes([value("x", ["N", "H", "W", 3])])
    assert (shapes.batches, shapes.images) == (("N",), ("H", "W"))


def test_first_candidates_are_varied() -> None:
    shapes = open_shapes([value("x", ["batch", "seq", "other"])])
    first, second, third = islice(shapes.candidates(), 3)
    assert first == {"batch": 2, "seq": 17, "other": 11}
    assert {first["seq"], second["seq"], third["seq"]} == {17, 8, 1}
    assert {first["batch"], second["batch"], third["batch"]} == {2, 3, 1}


def test_a_formula_follows_its_symbols() -> None:
    shapes = open_shapes(
        [
            value("past", ["batch", "past_len", 4]),
            value("mask", ["batch", "past_len + seq"], ir.DataType.INT64),
        ]
    )
    assert set(shapes.symbols) == {"batch", "past_len", "seq"}
    binding = {"batch": 2, "past_len": 3, "seq": 5}
    assert shapes.shape("mask", binding) == (2, 8)


def test_fixed_shapes_have_one_candidate() -> None:
    shapes = open_shapes([value("x", [1, 3])])
    assert list(shapes.candidates()) == [{}]


def test_what_would_not_fit_is_not_tried() -> None:
    shapes = open_shapes([value("x", ["batch", "a", "b", "c"])])
    assert not shapes.admissible({"batch": 2, "a": 1024, "b": 1024, "c": 1024})
    assert shapes.admissible({"batch": 2, "a": 17, "b": 11, "c": 7})


def test_a_formula_that_cannot_be_is_not_tried() -> None:
    shapes = open_shapes([value("x", ["a", "a // b"]), value("z", ["b"])])
    assert shapes.admissible({"a": 4, "b": 2})
    assert not shapes.admissible({"a": 4, "b": 0})


def test_names_that_are_no_formula_are_names_of_their_own() -> None:
    for text in ("a ** b", "f(a)", "a +", "1.5 * a", "a + " * 100 + "a"):
        shapes = open_shapes([value("x", [text, 3])])
        assert shapes.symbols == ("x[0]",), text
