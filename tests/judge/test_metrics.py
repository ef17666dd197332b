"""The numbers of the report, each checked by hand, and the rule that judges them."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest

from normonnx.judge.metrics import Metrics, measure, ulps_at
from normonnx.judge.tiers import rounding

F32 = np.float32


def test_ulp_is_the_spacing_of_the_type() -> None:
    values = np.array([1.0, 1.5, 2.0, 1e-30, 3e5, 1e-45], np.float32)
    expected = np.spacing(values).astype(np.float64)
    np.testing.assert_array_equal(ulps_at(values, np.dtype(np.float32)), expected)
    halves = np.array([1.0, 3.9, 1e-6], np.float16)
    np.testing.assert_array_equal(
        ulps_at(halves, np.dtype(np.float16)), np.spacing(halves).astype(np.float64)
    )
    assert ulps_at(np.array(1.0), np.dtype(ml_dtypes.bfloat16)) == 2.0**-7


def test_metrics_by_hand() -> None:
    truth = np.array([[1.0, 2.0], [3.0, 4.0]])
    original = np.array([[1.0, 2.0], [3.0, 4.5]], F32)
    optimized = np.array([[1.25, 2.0], [3.0, 4.0]], F32)
    found = measure(original, optimized, truth)
    assert found.max_abs == 0.5
    assert found.max_rel == 0.25
    assert found.rms_original == 0.25
    assert found.rms_optimized == 0.125
    assert (found.max_original, found.max_optimized) == (0.5, 0.25)
    assert found.ulp == np.spacing(F32(4))
    assert found.ulps == 0.5 / found.ulp
    assert found.sqnr_db == pytest.approx(20 * math.log10(math.sqrt(7.5) / 0.125))
    assert found.cosine == pytest.approx(
        float((optimized * truth).sum() / np.linalg.norm(optimized) / np.linalg.norm(truth))
    )
    assert found.agreement == 1.0
    assert found.worst is not None
    assert found.worst.index == (1, 1)
    assert (found.worst.original, found.worst.optimized, found.worst.truth) == (4.5, 4.0, 4.0)
    assert found.finite == 1.0


def test_histogram_counts_every_element_once() -> None:
    truth = np.ones(6)
    unit = np.spacing(F32(1))
    optimized = (1 + unit * np.array([0, 0, 1, 3, 100, 1e6])).astype(F32)
    found = measure(np.ones(6, F32), optimized, truth)
    # Classes: 0, 1, 2, 4, 8, 16, 32, 64, 128, …, above 4096.
    assert found.histogram == (2, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1)


def test_undefined_elements_are_left_out() -> None:
    truth = np.array([1.0, 2.0, 3.0, np.nan])
    original = np.array([np.inf, 2, 3, np.nan], F32)
    optimized = np.array([1, 2, 3, np.nan], F32)
    found = measure(original, optimized, truth)
    assert found.finite == 0.5
    assert found.repaired == 1
    assert found.max_abs == 0


def test_nothing_comparable_is_no_error() -> None:
    nan = np.full(3, np.nan, F32)
    found = measure(nan, nan, np.full(3, np.nan))
    assert found.finite == 0
    assert found.worst is None
    empty = measure(np.zeros((0, 2), F32), np.zeros((0, 2), F32), np.zeros((0, 2)))
    assert empty.finite == 1


def test_large_values_do_not_overflow_the_squares() -> None:
    truth = np.full(4, 1e200)
    found = measure(np.full(4, 1e200), np.full(4, 1.01e200), truth)
    assert found.rms_optimized == pytest.approx(1e198)
    assert found.cosine == pytest.approx(1)


def noisy(noise: float, other: float, count: int) -> Metrics:
    """Outputs of ones with noise of these sizes, in ulp, of the original and of the other model."""
    truth = np.ones(count)
    unit = float(np.spacing(F32(1)))
    signs = np.where(np.arange(count) % 2, 1, -1)
    o, y = (truth + signs * size * unit for size in (noise, other))
    return measure(o.astype(F32), y.astype(F32), truth)


def judged(
    original: float, optimized: float, count: int = 1000, elsewhere: float | None = None
) -> float:
    """The excess of noise of these sizes, in ulp; that of the original on a hundred other feeds."""
    found = noisy(original, optimized, count).levels
    feeds = [found]
    if elsewhere is not None:
        feeds += [noisy(elsewhere, elsewhere, count).levels] * 100
    return rounding.Rule(feeds, dtype=np.dtype(F32)).excess(found).worst


def test_the_rule_is_a_factor_of_two_on_the_root_mean_square() -> None:
    assert judged(8, 8) < 1
    assert judged(8, 16) < 1
    assert judged(8, 18) > 1
    assert judged(8, 4) < judged(8, 8)


def test_the_floor_spares_an_original_that_is_right_by_chance() -> None:
    assert judged(0, 0) == 0
    truth = np.ones(1000)
    y = truth.astype(F32)
    y[0] += np.spacing(F32(1))
    one = measure(truth.astype(F32), y, truth)
    assert rounding.alone(one.levels, np.dtype(F32)) < 1
    y[:] += np.spacing(F32(1))
    all_ = measure(truth.astype(F32), y, truth)
    assert rounding.alone(all_.levels, np.dtype(F32)) > 1


def test_one_bad_element_breaks_the_rule() -> None:
    random = np.random.default_rng(0)
    truth = random.standard_normal(10_000)
    original = truth.astype(F32)
    optimized = original.copy()
    place = int(np.abs(np.abs(truth) - 1.5).argmin())
    optimized[place] += F32(2e-6)
    found = measure(original, optimized, truth).levels
    excess = rounding.Rule([found], dtype=np.dtype(F32)).excess(found)
    assert excess.rms < 1 < excess.largest
    assert "worst element" in excess.sentence


def test_small_outputs_lean_on_the_other_feeds() -> None:
    # Right by chance on this feed, off by 4 ulp on the others: 6 ulp are no error.
    assert judged(0, 6, count=1, elsewhere=0.0) > 1
    assert judged(0, 6, count=1, elsewhere=4.0) < 1
    # A large output is judged by itself.
    assert judged(0, 6, count=10_000, elsewhere=4.0) > 1


def test_what_is_equal_to_the_original_is_never_too_far() -> None:
    # Off by 60 ulp on this feed and by next to nothing on the others, both models alike.
    assert judged(60, 60, count=2, elsewhere=0.1) <= 0.5


def test_the_ratio_is_over_all_elements() -> None:
    assert noisy(1, 3, 100).ratio == pytest.approx(3)
    assert noisy(0, 0, 100).ratio == 1
    assert noisy(0, 1, 100).ratio == math.inf


def test_double_outputs_have_room_for_the_rounding_of_the_truth() -> None:
    truth = np.ones(100)
    found = measure(truth, truth + 20 * np.spacing(1.0), truth).levels
    assert rounding.alone(found, np.dtype(np.float64)) < 1
    far = measure(truth, truth + 2000 * np.spacing(1.0), truth).levels
    assert rounding.alone(far, np.dtype(np.float64)) > 1


@pytest.mark.parametrize(
    ("original", "optimized", "truth", "bad"),
    [
        (1.0, np.nan, 1.0, True),
        (1.0, np.inf, 1.0, True),
        (np.nan, np.nan, np.nan, False),
        (np.inf, np.inf, np.inf, False),
        (np.inf, -np.inf, np.inf, True),
        (np.nan, 1.0, np.nan, True),
        (np.inf, 1.0, 1.0, False),  # the optimised model overflows less
        (np.nan, np.inf, 1.0, True),  # wrong in another way
        (-np.inf, -np.inf, -np.inf, False),
    ],
)
def test_undefined_values_must_be_undefined_alike(
    original: float, optimized: float, truth: float, bad: bool
) -> None:
    arrays = [np.array([[0.0, v]], F32) for v in (original, optimized, truth)]
    found = rounding.undefined_mismatch(*arrays)
    assert found == ((0, 1) if bad else None)


def test_ratio_of_two_exact_outputs_is_one() -> None:
    exact = np.ones(3, F32)
    assert measure(exact, exact, np.ones(3)).ratio == 1
    assert isinstance(measure(exact, exact, np.ones(3)), Metrics)
    assert measure(exact, exact + 1, np.ones(3)).ratio == math.inf


def test_a_ratio_is_told_by_what_matters_at_each_size() -> None:
    """Elements that are small by cancellation weigh no more than others; a fill hides none."""
    truth = np.concatenate([np.linspace(1e-3, 1.0, 200), np.full(10, -1e9)])
    unit = float(np.spacing(F32(1)))
    o, y = (truth.astype(F32), truth.astype(F32))
    o[:200] += F32(2 * unit)
    y[:200] += F32(2 * unit)
    y[0] += F32(2 * unit)
    assert 1 <= measure(o, y, truth).ratio < 1.02
    y[:200] += F32(4 * unit)
    assert measure(o, y, truth).ratio == pytest.approx(3, rel=0.1)
