"""Each element is held to its own size; what is no number is to be so in both."""

from __future__ import annotations

import numpy as np
import pytest

from normonnx.proof.agreement import DifferentError, NothingShownError, furthest

NAN, INF = np.nan, np.inf


def differ(old: list[float], new: list[float], noise: float = 0.0) -> bool:
    olds, news = np.array(old), np.array(new)
    try:
        furthest([olds], [news], lambda: [np.full(olds.shape, noise)])
    except DifferentError:
        return True
    return False


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([1e9, 1.0], [1e9, 1.001]),
        ([1e9, 1.0], [1e9, 0.0]),
        ([1e9, 1e-7], [1e9, -1e-7]),
        ([1.0, 0.0], [1.0, 1e-12]),
        ([1.0, NAN], [1.0, 2.0]),
        ([1.0, 2.0], [1.0, NAN]),
        ([1.0, NAN], [1.0, INF]),
        ([1.0, INF], [1.0, -INF]),
        ([1.0, INF], [1.0, 1e300]),
        ([NAN, 1.0], [1.0, NAN]),
    ],
)
def test_no_element_hides_behind_another(old: list[float], new: list[float]) -> None:
    assert differ(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([1e9, 1.0], [1e9, 1.0 + 1e-12]),
        ([NAN, INF, -INF, 1.0], [NAN, INF, -INF, 1.0]),
        ([0.0, 1.0], [-0.0, 1.0]),
    ],
)
def test_the_same_numbers_agree(old: list[float], new: list[float]) -> None:
    assert not differ(old, new)


def test_what_cancels_is_held_to_the_noise_of_its_like() -> None:
    assert not differ([1.0, 1e-14], [1.0, 2e-14], noise=1e-15)
    assert differ([1.0, 1e-14], [1.0, 2e-14], noise=1e-17)
    assert differ([1.0, 1e-14], [1.0 + 1e-8, 1e-14], noise=1e-15)


def test_noise_is_that_of_like_elements() -> None:
    olds, news = np.array([1e9, 1e-3]), np.array([1e9, 2e-3])
    with pytest.raises(DifferentError):
        furthest([olds], [news], lambda: [np.array([1.0, 0.0])])


def test_whole_numbers_are_equal_or_not() -> None:
    with pytest.raises(DifferentError):
        furthest([np.array([1, 2])], [np.array([1, 3])], list)
    with pytest.raises(DifferentError):
        furthest([np.array([True])], [np.array([False])], list)
    assert furthest([np.array([1, 2])], [np.array([1, 2])], list) == 0.0


@pytest.mark.parametrize(
    "shown", [np.zeros(0), np.array([NAN, INF]), np.array(["a"], dtype=object)]
)
def test_nothing_proves_nothing(shown: np.ndarray) -> None:
    with pytest.raises(NothingShownError):
        furthest([shown], [shown], list)


def test_shapes_are_compared() -> None:
    with pytest.raises(DifferentError):
        furthest([np.ones((1, 3))], [np.ones(3)], list)
