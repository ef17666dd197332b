"""Medians, their spread, and how sure the ratio of two of them is.

The times of a machine that does other things too have a long tail; medians do not feel it. Rounds
are resampled as a whole, so that what slowed both models down in the same round cancels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

_RESAMPLES = 2000
_ALIKE = 0.05
_TAIL = 2.5
"""Percent left out at either end of a 95 % interval."""


class Spread(Struct, frozen=True):
    """The middle of a sample and how wide it is.

    Attributes:
        median: half of the sample is below.
        low: the first quartile.
        high: the third quartile.
    """

    median: float
    low: float
    high: float


class Interval(Struct, frozen=True):
    """An estimate and where its true value lies, 19 times out of 20."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.2f}× [{self.low:.2f}, {self.high:.2f}]"

    @property
    def word(self) -> str:
        """``faster`` or ``slower`` where the interval leaves no doubt, ``same`` where it is narrow.

        ``inconclusive`` where either may be so, by more than anybody would call the same.
        """
        if self.high < 1 or self.low > 1:
            return "faster" if self.high < 1 else "slower"
        is_wide = self.low < 1 - _ALIKE and self.high > 1 + _ALIKE
        return "inconclusive" if is_wide else "same"


def spread(sample: Sequence[float]) -> Spread:
    """Median and quartiles of a sample that is not empty."""
    low, median, high = np.percentile(sample, (25, 50, 75))
    return Spread(float(median), float(low), float(high))


def ratio(new: Sequence[float], old: Sequence[float], *, seed: int = 0) -> Interval:
    """The median of `new` over that of `old`, with its bootstrap interval.

    Args:
        new: one time per round.
        old: one time per round, of the same rounds.
        seed: of the resampling.
    """
    pairs = np.array([new, old], dtype=np.float64)
    rounds = pairs.shape[1]
    random = np.random.default_rng(seed)
    picked = random.integers(0, rounds, (_RESAMPLES, rounds))
    medians = np.median(pairs[:, picked], axis=2)
    low, high = np.percentile(medians[0] / medians[1], (_TAIL, 100 - _TAIL))
    middle = np.median(pairs, axis=1)
    return Interval(float(middle[0] / middle[1]), float(low), float(high))
