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


def off(old: list[float], new: list[float], noise: float = 0.0) -> float:
    olds, news = np.array(old), np.array(new)
    return furthest([olds], [news], lambda: [np.full(olds.shape, noise)])


def test_the_largest_difference_is_told() -> None:
    assert off([2.0, 4.0], [2.0, 4.0 + 4e-10]) == pytest.approx(1e-10, rel=1e-5)
    assert off([-2.0, 4.0], [-2.0 - 4e-10, 4.0]) == pytest.approx(2e-10, rel=1e-5)
    assert off([0.0, NAN, 1.0], [0.0, NAN, 1.0]) == 0.0
    assert off([1.0, 1e-14], [1.0, 2e-14], noise=1e-15) == 0.0  # what noise explains is no part
    two = [np.array([1.0]), np.array([1.0])]
    for news in ([1.0 + 3e-10, 1.0], [1.0, 1.0 + 3e-10]):
        told = furthest(two, [np.array([n]) for n in news], lambda: [np.zeros(1)] * 2)
        assert told == pytest.approx(3e-10, rel=1e-5)


def test_the_noise_is_that_of_the_output() -> None:
    olds = [np.array([1.0, 1e-14]), np.array([1.0, 1e-14])]
    news = [np.array([1.0, 2e-14]), np.array([1.0, 2e-14])]
    quiet, loud = np.zeros(2), np.full(2, 1e-15)
    furthest(olds, news, lambda: [loud, loud])
    for noises in ([quiet, loud], [loud, quiet]):
        with pytest.raises(DifferentError):
            furthest(olds, news, lambda n=noises: n)


def test_the_element_that_is_furthest_off_for_its_size_is_named() -> None:
    with pytest.raises(DifferentError, match=r"differ by 0\.5 in an element of size 2"):
        off([2.0, 100.0], [2.5, 101.0])
    with pytest.raises(DifferentError, match=r"differ by 0\.25 in an element of size 0"):
        off([2.0, 0.0, 3.0], [2.5, 0.25, 3.0])


def test_a_decade_shares_its_noise() -> None:
    """2 and 8 do, 0.2 and 20 are of others; zeros are of their own."""
    for like, agrees in ((8.0, True), (20.0, False), (0.2, False), (0.0, False)):
        olds, news = np.array([2.0, like]), np.array([2.0 + 1e-6, like])
        noise = np.array([0.0, 1e-6])
        if agrees:
            furthest([olds], [news], lambda n=noise: [n])
        else:
            with pytest.raises(DifferentError):
                furthest([olds], [news], lambda n=noise: [n])


def test_noise_that_is_no_number_allows_nothing() -> None:
    with pytest.raises(DifferentError):
        off([1.0, 1e-14], [1.0, 2e-14], noise=INF)


def test_whole_numbers_and_floats_are_not_compared_as_floats() -> None:
    with pytest.raises(DifferentError):
        furthest([np.array([1])], [np.array([1.0 + 1e-12])], list)
    with pytest.raises(DifferentError):
        furthest([np.array([1.0 + 1e-12])], [np.array([1])], list)
