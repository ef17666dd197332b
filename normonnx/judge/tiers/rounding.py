"""Tier 3: the optimised model may be little farther from the truth than the original is.

    rms(y − t) ≤ 2·(1 + 4/n)·rms(o − t) + ulp/4        max|y − t| ≤ 4·max|o − t| + 2·ulp

for each group of n elements of like size (`magnitudes`). Chance alone parts the root mean squares
of few elements: those of ten are a factor of 3 apart once in a thousand times. t is the float64
truth, o the original's output, y the optimised model's, ulp the distance between neighbouring
numbers at the largest |t| of the group. A group of few elements tells little about the original's
own distance, so that is raised towards what the same group shows on all feeds:

    rms² ← max(rms², (n·rms² + 8·pooled²) / (n + 8))

Before a breach counts, the original's own distance is raised to what else rounding may do to it:
to what its types promise (`roundoff`), as a runtime that computes float16 in float32, or is lucky
once, sets no standard; and to how far it moves itself when its inputs move by an ulp, which is
looked at first. So the
optimised model is never farther than 16 times (rms) what was seen, or an ulp of its narrowest type
at the largest element of an unbroken row of levels: what is small by cancellation is rounded with
those.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from normonnx.graph.ulps import ulps_at
from normonnx.judge.tiers.magnitudes import (
    NOWHERE,
    BySize,
    Distance,
    Level,
    Levels,
    groups,
    pooled,
    together,
    tops,
)
from normonnx.operators.kernels import Array

RMS_FACTOR = 2.0
MAX_FACTOR = 4.0
_RMS_FLOOR = 0.25
_MAX_FLOOR = 2.0
# The truth of a float64 output is itself rounded to float64, once per operation.
_DOUBLE_FLOOR = 256.0
_PRIOR_ELEMENTS = 8
# By how much more the distances of n elements may part, times n.
_BY_CHANCE = 4.0
# A breach below ten times the original's distance may be chance, and is drawn again.
CHANCE = 10.0 / RMS_FACTOR
# How much farther than what is seen the optimised model may be, whatever explains it.
MOST_PROMISED = 16.0


class Allowance(Struct, frozen=True):
    """What the original's own distance on one feed is raised to, by size of level.

    Attributes:
        promised: what its types promise, and how far it moves with its inputs; not more is made of
            it than lets the optimised model be 16 times as far as was seen.
        seen: how far the original is from itself in other runs, where there is no truth.
    """

    promised: BySize = {}
    seen: BySize = {}


NOTHING = Allowance()


class Excess(Struct, frozen=True):
    """The distance over what is allowed: above 1 the rule is broken.

    Attributes:
        rms: by the root mean square of a group.
        largest: by the largest element of a group.
        near: |t| of the largest element of the group that is worst, None where there is one only.
        limit: how many times as far as the original the root mean square may be.
    """

    rms: float
    largest: float
    near: float | None = None
    limit: float = RMS_FACTOR

    @property
    def worst(self) -> float:
        """The larger of the two."""
        return max(self.rms, self.largest)

    @property
    def sentence(self) -> str:
        """How many times farther than the original, and what is allowed."""
        where = "" if self.near is None else f" among its elements up to {self.near:.2g}"
        if self.rms >= self.largest:
            far = self.limit * self.rms
            return f"{far:.3g}× the original's own distance{where} (limit {self.limit:.2g}×)"
        far = MAX_FACTOR * self.largest
        return (
            f"its worst element at {far:.3g}× the original's worst{where} (limit {MAX_FACTOR:g}×)"
        )


class Rule:
    """The rule for one output in one setting, with what all feeds tell of it.

    Args:
        feeds: the levels of the output on each feed.
        allowances: what the original's own distances are raised to, one per feed, or nothing.
        dtype: the type of the output.
        coarse: the narrowest type in the model, of which a runtime that computes in a wider one
            shows nothing.
    """

    def __init__(
        self,
        feeds: Sequence[Levels],
        allowances: Sequence[Allowance] = (),
        *,
        dtype: np.dtype[Any],
        coarse: np.dtype[Any] | None = None,
    ) -> None:
        self._dtype = dtype
        self._coarse = dtype if coarse is None else coarse
        self._floor = _DOUBLE_FLOOR if dtype == np.float64 else 1.0
        known = allowances or [NOTHING] * len(feeds)
        self._groups = groups(
            [_with_seen(level, a) for level in one] for one, a in zip(feeds, known, strict=True)
        )
        self._tops = tops(feeds)
        self._seen: dict[int, float] = {}
        self._pooled: dict[int, Distance] = {}
        for group, same in self._by_group([level for one in feeds for level in one]).items():
            self._seen[group] = together(same).original.rms
        pairs = [(level, a) for one, a in zip(feeds, known, strict=True) for level in one]
        raised = [self._raised(level, a) for level, a in pairs]
        for group, same in self._by_group(raised).items():
            self._pooled[group] = together(same).original

    def excess(self, found: Levels, allowance: Allowance = NOTHING) -> Excess:
        """Apply the rule on one feed.

        Args:
            found: the levels of the output on it.
            allowance: what the original's own distance is raised to.
        """
        raised = [self._raised(level, allowance) for level in found]
        worst = Excess(0.0, 0.0)
        for group, same in self._by_group(raised).items():
            level = together(same)
            own = self._own(level, group)
            unit = self._unit(level)
            limit = _limit(level.count)
            excess = Excess(
                level.optimized.rms / (limit * own.rms + unit * _RMS_FLOOR),
                level.optimized.largest / (MAX_FACTOR * own.largest + unit * _MAX_FLOOR),
                level.magnitude if len(self._pooled) > 1 else None,
                limit,
            )
            worst = max(worst, excess, key=lambda e: e.worst)
        return worst

    def _by_group(self, found: Levels) -> dict[int, list[Level]]:
        result: dict[int, list[Level]] = {}
        for level in found:
            result.setdefault(self._groups.get(level.size, level.size), []).append(level)
        return result

    def _unit(self, level: Level) -> float:
        return self._floor * float(ulps_at(np.asarray(level.magnitude), self._dtype))

    def _raised(self, level: Level, allowance: Allowance) -> Level:
        """A level with the original's own distance raised."""
        seen = allowance.seen.get(level.size, NOWHERE)
        promised = allowance.promised.get(level.size, NOWHERE)
        group = self._groups.get(level.size, level.size)
        top = max(level.magnitude, self._tops.get(level.size, 0.0))
        coarse = float(ulps_at(np.asarray(top), self._coarse))
        own_rms = max(self._seen.get(group, 0.0), level.original.rms, seen.rms)
        most = MOST_PROMISED / _limit(level.count) * max(own_rms, self._unit(level), coarse)
        if promised.rms > most:
            promised = (
                promised.times(most / promised.rms)
                if math.isfinite(promised.rms)
                else (Distance(most, MAX_FACTOR * most))
            )
        own = Distance(
            max(level.original.rms, seen.rms, promised.rms),
            max(level.original.largest, seen.largest, promised.largest),
        )
        return Level(level.size, level.count, level.magnitude, own, level.optimized)

    def _own(self, level: Level, group: int) -> Distance:
        """The original's own distance in a group on one feed, with what all feeds tell."""
        prior = self._pooled.get(group, NOWHERE)
        both = pooled([level.count, _PRIOR_ELEMENTS], [level.original, prior])
        rms = max(level.original.rms, both.rms)
        return Distance(rms, max(level.original.largest, rms))


def _limit(count: int) -> float:
    """How many times as far as the original so many elements may be."""
    return RMS_FACTOR * (1 + _BY_CHANCE / max(1, count))


def _with_seen(level: Level, allowance: Allowance) -> Level:
    """A level with the original as far as it was seen to be from itself."""
    seen = allowance.seen.get(level.size, NOWHERE)
    own = Distance(max(level.original.rms, seen.rms), max(level.original.largest, seen.largest))
    return Level(level.size, level.count, level.magnitude, own, level.optimized)


def alone(found: Levels, dtype: np.dtype[Any]) -> float:
    """The excess of one output of which there is one feed only."""
    return Rule([found], dtype=dtype).excess(found).worst


def undefined_mismatch(original: Array, optimized: Array, truth: Array) -> tuple[int, ...] | None:
    """The first element that is not finite where it should be, or otherwise than it should be.

    An element may become finite that the original had not: the optimised model overflows less.
    """
    o, y, t = (a.astype(np.float64) for a in (original, optimized, np.asarray(truth)))
    lost = np.isfinite(o) & ~np.isfinite(y)
    meant = ~np.isfinite(o) & same(o, t)
    other = ~np.isfinite(o) & ~np.isfinite(y)
    wrong = lost | ((meant | other) & ~same(o, y))
    if not wrong.any():
        return None
    return tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))


def same(a: Array, b: Array) -> Array:
    """Which elements are equal; no number equals no number."""
    found: Array = (a == b) | (np.isnan(a) & np.isnan(b))
    return found
