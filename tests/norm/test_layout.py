"""Which axes of the subject the axes of other values are."""

from __future__ import annotations

import pytest

from normonnx.norm.algebra.layout import Labels
from normonnx.targets.placement import Groups
from normonnx.values.shapes import Product

N, S = Product(1, ("n",)), Product(1, ("s",))
NS = Product(1, ("n", "s"))


def test_axes_of_size_one_have_no_label() -> None:
    assert Labels([N, 1, 8]).subject == ((0,), (), (2,))


def test_broadcasting_a_row_statistic() -> None:
    labels = Labels([N, S, 8])
    assert labels.broadcast(((0,), (1,), ()), labels.subject) == (labels.subject, {})


def test_a_mean_without_keepdims_on_a_square_meets_the_wrong_axis() -> None:
    labels = Labels([8, 8])
    assert labels.broadcast(labels.subject, ((0,),)) is None


def test_a_constant_is_bound_to_the_axis_it_meets() -> None:
    labels = Labels([N, S, 8])
    scale = labels.free([8])
    result = labels.broadcast(labels.subject, scale)
    assert result == (labels.subject, {scale[0][0]: (2,)})


def test_a_constant_of_another_length_does_not_fit() -> None:
    labels = Labels([N, S, 8])
    assert labels.broadcast(labels.subject, labels.free([4])) is None


def test_a_symbol_is_not_a_number() -> None:
    labels = Labels([N, S])
    assert labels.broadcast(labels.subject, labels.free([8])) is None


def test_two_free_axes_and_then_the_subject() -> None:
    labels = Labels([N, S, 8])
    one, other = labels.free([8]), labels.free([1, 1, 8])
    groups, bound = labels.broadcast(one, other) or ((), {})
    assert groups[-1] == other[-1]
    assert bound == {one[0][0]: other[-1]}
    assert labels.broadcast(groups, labels.subject) is not None


def test_one_axis_cannot_lie_along_two() -> None:
    labels = Labels([8, 8])
    free = labels.free([8])[0]
    assert labels.broadcast((free, free), labels.subject) is None


@pytest.mark.parametrize(
    ("dims", "groups"),
    [
        ((NS, 8), ((0, 1), (2,))),
        ((NS, 8, 1, 1), ((0, 1), (2,), (), ())),
        ((1, N, S, 8), ((), (0,), (1,), (2,))),
        ((N, S, 4, 2), None),
        ((NS, 4, 2), None),
        ((N, Product(8, ("s",))), ((0,), (1, 2))),
    ],
)
def test_reshapes(dims: tuple[int | Product, ...], groups: Groups | None) -> None:
    labels = Labels([N, S, 8])
    assert labels.regroup(labels.subject, dims) == groups


def test_the_way_back_from_merged_axes() -> None:
    labels = Labels([N, S, 8])
    assert labels.regroup(((0, 1), (2,)), (N, S, 8)) == labels.subject


def test_expand_gives_a_free_axis() -> None:
    labels = Labels([N, 8])
    groups = labels.expand(((0,), ()), (N, 8))
    assert groups is not None
    assert labels.is_free(groups[1][0])
    result = labels.broadcast(groups, labels.subject)
    assert result is not None
    assert result[0] == labels.subject


def test_expand_does_not_change_an_axis() -> None:
    labels = Labels([4, 8])
    assert labels.expand(labels.subject, (4, 16)) is None
    assert labels.expand(labels.subject, (3, 4, 8)) is not None


def test_an_axis_that_is_taken_apart_gets_a_label_for_each_part() -> None:
    labels = Labels([N, 32, 8])
    assert labels.regroup(labels.subject, (N, 4, 64)) is None
    assert labels.wanted == {1: (4, 8)}
    finer = Labels([N, 32, 8], labels.wanted)
    assert finer.subject == ((0,), (1, 3), (2,))
    groups = finer.regroup(finer.subject, (N, 4, 64))
    assert groups == ((0,), (1,), (3, 2))
    assert finer.regroup(groups, (N, 32, 8)) == finer.subject


def test_a_part_is_cut_again() -> None:
    labels = Labels([N, 32], {1: (4, 8)})
    assert labels.regroup(labels.subject, (N, 4, 2, 4)) is None
    assert labels.wanted == {1: (4, 2, 4)}


def test_what_does_not_divide_is_not_cut() -> None:
    labels = Labels([N, 32, 8])
    assert labels.regroup(labels.subject, (N, 5, 64)) is None
    assert labels.wanted is None
