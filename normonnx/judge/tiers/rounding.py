"""Tier 3: the optimised model may be little farther from the truth than the original is.

    rms(y − t) ≤ 2·rms(o − t) + ulp/4        max|y − t| ≤ 4·max|o − t| + 2·ulp

t is the float64 truth, o the original's output, y the optimised model's, ulp the distance between
neighbouring numbers at max|t|. An output of few elements tells little about the original's own
distance, so that is raised towards what the same output shows on all feeds:

    rms² ← max(rms², (n·rms² + 8·pooled²) / (n + 8)),    both in ulp

Before a breach counts, the original's own distance is raised to what its types promise as well, see
`roundoff`: a runtime that computes float16 in float32, or is lucky once, sets no standard.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from normonnx.judge.metrics import Metrics
from normonnx.operators.kernels import Array

RMS_FACTOR = 2.0
MAX_FACTOR = 4.0
_RMS_FLOOR = 0.25
_MAX_FLOOR = 2.0
# The truth of a float64 output is itself rounded to float64, once per operation.
_DOUBLE_FLOOR = 256.0
_PRIOR_ELEMENTS = 8
# A breach below ten times the original's distance may be chance, and is drawn again.
CHANCE = 10.0 / RMS_FACTOR
LEAST_COMPARABLE = 0.95


class Excess(Struct, frozen=True):
    """The distance over what is allowed: above 1 the rule is broken.

    Attributes:
        rms: by the root mean square.
        largest: by the largest element.
    """

    rms: float
    largest: float

    @property
    def worst(self) -> float:
        """The larger of the two."""
        return max(self.rms, self.largest)

    @property
    def sentence(self) -> str:
        """How many times farther than the original, and what is allowed."""
        if self.rms >= self.largest:
            return (
                f"{RMS_FACTOR * self.rms:.3g}× the original's own distance (limit {RMS_FACTOR:g}×)"
            )
        return (
            f"its worst element at {MAX_FACTOR * self.largest:.3g}× the original's worst "
            f"(limit {MAX_FACTOR:g}×)"
        )


class Promised(Struct, frozen=True):
    """The distance to the truth that the types of a model promise for one output on one feed.

    Attributes:
        rms: root mean square.
        largest: the largest element's.
    """

    rms: float = 0.0
    largest: float = 0.0


NOTHING = Promised()


def pooled_distance(metrics: Sequence[Metrics], promised: Sequence[Promised] = ()) -> float:
    """The original's own distance to the truth in ulp, over all feeds of one output.

    Args:
        metrics: one per feed.
        promised: what it is raised to, one per feed, or nothing.
    """
    least = promised or [NOTHING] * len(metrics)
    pairs = zip(metrics, least, strict=True)
    return _pooled([(m, max(m.rms_original, p.rms)) for m, p in pairs])


def pooled_ratio(metrics: Sequence[Metrics], promised: Sequence[float] = ()) -> float:
    """The optimised model's distance to the truth over the original's, over all feeds.

    Args:
        metrics: one per feed.
        promised: what the original's distance is raised to, one per feed, or nothing.
    """
    least = promised or [0.0] * len(metrics)
    own = _pooled([(m, max(m.rms_original, p)) for m, p in zip(metrics, least, strict=True)])
    made = _pooled([(m, m.rms_optimized) for m in metrics])
    if own == 0:
        return 1.0 if made == 0 else math.inf
    return made / own


def _pooled(distances: Sequence[tuple[Metrics, float]]) -> float:
    weighted = [(m.elements * m.comparable, d / m.ulp) for m, d in distances if m.ulp]
    count = sum(weight for weight, _ in weighted)
    # hypot squares nothing that could overflow.
    total = math.hypot(*(math.sqrt(w) * d for w, d in weighted))
    return total / math.sqrt(count) if count else 0.0


def excess(
    metrics: Metrics, pooled: float, *, double: bool, promised: Promised = NOTHING
) -> Excess:
    """Apply the rule to one output on one feed.

    Args:
        metrics: its metrics.
        pooled: see `pooled_distance`.
        double: whether the output is float64.
        promised: what the original's own distance is raised to.
    """
    if not metrics.ulp:
        return Excess(0.0, 0.0)
    count = metrics.elements * metrics.comparable
    own = max(metrics.rms_original, promised.rms) / metrics.ulp
    prior = math.hypot(math.sqrt(count) * own, math.sqrt(_PRIOR_ELEMENTS) * pooled)
    own = max(own, prior / math.sqrt(count + _PRIOR_ELEMENTS))
    largest = max(max(metrics.max_original, promised.largest) / metrics.ulp, own)
    floor = _DOUBLE_FLOOR if double else 1.0
    return Excess(
        (metrics.rms_optimized / metrics.ulp) / (RMS_FACTOR * own + floor * _RMS_FLOOR),
        (metrics.max_optimized / metrics.ulp) / (MAX_FACTOR * largest + floor * _MAX_FLOOR),
    )


def undefined_mismatch(original: Array, optimized: Array, truth: Array) -> tuple[int, ...] | None:
    """The first element that is not finite where it should be, or otherwise than it should be.

    An element may become finite that the original had not: the optimised model overflows less.
    """
    o, y, t = (a.astype(np.float64) for a in (original, optimized, np.asarray(truth)))
    lost = np.isfinite(o) & ~np.isfinite(y)
    meant = ~np.isfinite(o) & _same(o, t)
    wrong = lost | (meant & ~_same(o, y))
    if not wrong.any():
        return None
    return tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))


def _same(a: Array, b: Array) -> Array:
    same: Array = (a == b) | (np.isnan(a) & np.isnan(b))
    return same
