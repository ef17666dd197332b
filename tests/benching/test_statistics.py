"""The ratio of two medians is what it is, and its interval covers it as often as it says."""

from __future__ import annotations

import numpy as np
import pytest

from normonnx.benching.statistics import Interval, ratio, spread


def times(random: np.random.Generator, scale: float, rounds: int) -> np.ndarray:
    """Like those of a busy machine: most near one value, a long tail above."""
    return scale * (
        1 + 0.05 * random.standard_normal(rounds) ** 2 + random.exponential(0.02, rounds)
    )


def test_median_and_quartiles() -> None:
    found = spread([4.0, 1.0, 2.0, 3.0, 100.0])
    assert (found.low, found.median, found.high) == (2.0, 3.0, 4.0)


@pytest.mark.parametrize("truth", [0.5, 1.0, 1.02, 3.0])
def test_interval_covers_the_truth_as_often_as_it_says(truth: float) -> None:
    random = np.random.default_rng(7)
    trials = 100
    covered = 0
    for _ in range(trials):
        old, new = times(random, 1e-3, 60), times(random, truth * 1e-3, 60)
        found = ratio(list(new), list(old))
        assert found.low <= found.estimate <= found.high
        covered += found.low <= truth <= found.high
    assert covered >= 88, "19 of 20, less what chance allows of 100 trials"


def test_what_slows_both_down_in_a_round_cancels() -> None:
    random = np.random.default_rng(3)
    load = random.choice([1.0, 10.0], 201, p=[0.6, 0.4])
    old, new = load * times(random, 1e-3, 201), 0.8 * load * times(random, 1e-3, 201)
    found = ratio(list(new), list(old))
    assert found.estimate == pytest.approx(0.8, rel=0.05)
    assert found.word == "faster"


def test_words() -> None:
    assert Interval(0.9, 0.85, 0.95).word == "faster"
    assert Interval(0.9, 0.85, 1.01).word == "same"
    assert Interval(1.2, 1.1, 1.3).word == "slower"
    assert Interval(1.0, 0.7, 1.4).word == "inconclusive"
    assert Interval(1.0, 0.97, 1.04).word == "same"
    assert str(Interval(0.734, 0.712, 0.751)) == "0.73× [0.71, 0.75]"


def test_same_seed_same_interval() -> None:
    random = np.random.default_rng(1)
    old, new = list(times(random, 1.0, 30)), list(times(random, 1.0, 30))
    assert ratio(new, old, seed=5) == ratio(new, old, seed=5)
