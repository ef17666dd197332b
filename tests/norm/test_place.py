"""Axes and the Transposes around an operator."""

from __future__ import annotations

import pytest

from normonnx.norm.layout import Groups
from normonnx.norm.place import Plan, first_axis, permutation, plan

NCHW: Groups = ((0,), (1,), (2,), (3,))
NHWC: Groups = ((0,), (2,), (3,), (1,))
CHANNELS = frozenset({1})


def test_the_last_axis_needs_nothing() -> None:
    assert plan(NHWC, NHWC, CHANNELS) == Plan(NHWC, 3, None, None)


def test_channels_first_stands_between_transposes() -> None:
    assert plan(NCHW, NCHW, CHANNELS) == Plan(NHWC, 3, (0, 2, 3, 1), (0, 3, 1, 2))


def test_one_transpose_where_one_side_lies_right() -> None:
    assert plan(NCHW, NHWC, CHANNELS) == Plan(NHWC, 3, (0, 2, 3, 1), None)
    assert plan(NHWC, NCHW, CHANNELS) == Plan(NHWC, 3, None, (0, 3, 1, 2))


def test_several_trailing_axes() -> None:
    assert plan(NCHW, NCHW, frozenset({2, 3})) == Plan(NCHW, 2, None, None)
    assert plan(NHWC, NHWC, frozenset({1, 2, 3})) == Plan(NHWC, 1, None, None)


def test_axes_of_size_one_are_free_to_lie_anywhere() -> None:
    groups: Groups = ((0,), (), (2,))
    assert plan(groups, groups, frozenset({2})) == Plan(groups, 2, None, None)
    assert first_axis(((0,), (2,), ()), frozenset({2})) == 1


def test_merged_axes_are_taken_whole() -> None:
    assert first_axis(((0, 1), (2,)), frozenset({1, 2})) is None
    assert first_axis(((0,), (1, 2)), frozenset({1, 2})) == 1


@pytest.mark.parametrize("target", [((0,), (1,), (2,)), ((0,), (1,), (2, 3), ())])
def test_what_no_transpose_does(target: Groups) -> None:
    assert permutation(NCHW, target) is None
    assert plan(NCHW, target, CHANNELS) is None
