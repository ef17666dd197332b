"""Axes and the Transposes around an operator."""

from __future__ import annotations

import pytest

from normonnx.norm.match.arrangement import arrange, permutation
from normonnx.targets.placement import (
    Groups,
    Placement,
    Placer,
    consecutive,
    grouped,
    spatial,
    trailing,
)

NCHW: Groups = ((0,), (1,), (2,), (3,))
NHWC: Groups = ((0,), (2,), (3,), (1,))
CHANNELS = frozenset({1})


def placed(
    source: Groups, output: Groups, over: frozenset[int], placer: Placer = trailing
) -> tuple[Groups, int, object, object] | None:
    found = arrange(source, output, over, placer)
    return found and (found.groups, found.placement.first, found.before, found.after)


def test_the_last_axis_needs_nothing() -> None:
    assert placed(NHWC, NHWC, CHANNELS) == (NHWC, 3, None, None)


def test_channels_first_stands_between_transposes() -> None:
    assert placed(NCHW, NCHW, CHANNELS) == (NHWC, 3, (0, 2, 3, 1), (0, 3, 1, 2))


def test_one_transpose_where_one_side_lies_right() -> None:
    assert placed(NCHW, NHWC, CHANNELS) == (NHWC, 3, (0, 2, 3, 1), None)
    assert placed(NHWC, NCHW, CHANNELS) == (NHWC, 3, None, (0, 3, 1, 2))


def test_several_trailing_axes() -> None:
    assert placed(NCHW, NCHW, frozenset({2, 3})) == (NCHW, 2, None, None)
    assert placed(NHWC, NHWC, frozenset({1, 2, 3})) == (NHWC, 1, None, None)


def test_axes_of_size_one_are_free_to_lie_anywhere() -> None:
    groups: Groups = ((0,), (), (2,))
    assert placed(groups, groups, frozenset({2})) == (groups, 2, None, None)
    assert trailing(((0,), (2,), ()), frozenset({2})) == Placement(1, ((2,), ()))


def test_merged_axes_are_taken_whole() -> None:
    assert trailing(((0, 1), (2,)), frozenset({1, 2})) is None
    assert trailing(((0,), (1, 2)), frozenset({1, 2})) == Placement(1, ((1, 2),))


def test_axes_in_a_row_anywhere() -> None:
    assert placed(NCHW, NCHW, CHANNELS, consecutive) == (NCHW, 1, None, None)
    assert consecutive(NCHW, frozenset({1, 2})) == Placement(1, ((1,), (2,)))
    assert consecutive(NCHW, frozenset({1, 3})) is None
    assert consecutive(((0,), (1,), ()), CHANNELS) == Placement(1, ((1,), ()))


def test_an_image_has_its_axes_behind_the_channels() -> None:
    image = frozenset({2, 3})
    assert placed(NCHW, NCHW, image, spatial) == (NCHW, 1, None, None)
    assert placed(NHWC, NHWC, image, spatial) == (NCHW, 1, (0, 3, 1, 2), (0, 2, 3, 1))
    assert spatial(NCHW, frozenset({3})) is None
    assert spatial(((0,), (1,)), frozenset()) is None


def test_groups_are_the_first_part_of_the_channels() -> None:
    split: Groups = ((0,), (1, 4), (2,), (3,))
    over = frozenset({4, 2, 3})
    assert grouped(split, over) == Placement(1, ((1, 4),), (1,))
    assert grouped(split, frozenset({1, 2, 3})) is None  # every other channel
    last: Groups = ((0,), (2,), (3,), (1, 4))
    assert placed(last, last, over, grouped) == (split, 1, (0, 3, 1, 2), (0, 2, 3, 1))


@pytest.mark.parametrize("target", [((0,), (1,), (2,)), ((0,), (1,), (2, 3), ())])
def test_what_no_transpose_does(target: Groups) -> None:
    assert permutation(NCHW, target) is None
    assert placed(NCHW, target, CHANNELS) is None
