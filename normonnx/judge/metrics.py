"""How far two outputs are from each other and from the truth.

All metrics are over the elements that are finite in the original's output, in the optimised model's
and in the truth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
from msgspec import Struct

from normonnx.graph.ulps import ulps_at
from normonnx.judge.tiers.magnitudes import Level, levels, tops
from normonnx.operators.kernels import Array

# Upper ends of the classes of the ulp histogram: 0, 1, 2, 4, …, and all above.
ULP_CLASSES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096)


class Worst(Struct, frozen=True):
    """The element where the optimised output is farthest from the original's.

    Attributes:
        index: where it is.
        original: the original's value there.
        optimized: the optimised model's.
        truth: the float64 value.
    """

    index: tuple[int, ...]
    original: float
    optimized: float
    truth: float


class Metrics(Struct, frozen=True):
    """The metrics of one output on one feed.

    Attributes:
        elements: number of elements.
        finite: share of them that is finite in both outputs and in the truth.
        repaired: elements that the original has not finite and the optimised model has.
        ulp: distance between neighbouring numbers at the size of the output's largest element.
        max_abs: greatest |y − o|.
        max_rel: greatest |y − o| / |o| where |o| is above the smallest normal number.
        rms_original: root mean square of o − t, the original's own distance to the truth.
        rms_optimized: root mean square of y − t.
        max_original: greatest |o − t|.
        max_optimized: greatest |y − t|.
        sqnr_db: power of the truth over the power of y − t, in decibels; inf if y = t.
        cosine: cosine of the angle between y and t; nan if either is zero.
        ulps: greatest |y − o| in units of ``ulp``.
        histogram: how many elements differ from the original's by how many units of ``ulp``.
        agreement: share of rows (last axis) whose largest element is the same as the original's.
        worst: the worst element, None if nothing could be compared.
        noise_original: root mean square of o − t in ulp, for elements that are apart in size, such
            as a mask's fill and scores, each at the largest of their kind.
        noise_optimized: root mean square of y − t, likewise.
        levels: how far the elements of like size are from the truth.
    """

    elements: int
    finite: float
    repaired: int
    ulp: float
    max_abs: float
    max_rel: float
    rms_original: float
    rms_optimized: float
    max_original: float
    max_optimized: float
    sqnr_db: float
    cosine: float
    ulps: float
    histogram: tuple[int, ...]
    agreement: float | None
    worst: Worst | None
    noise_original: float = 0.0
    noise_optimized: float = 0.0
    levels: tuple[Level, ...] = ()

    @property
    def ratio(self) -> float:
        """The optimised model's distance to the truth over the original's own; 1 if both are 0."""
        return over(self.noise_optimized, self.noise_original)


def over(distance: float, own: float) -> float:
    """The one over the other; 1 if both are 0."""
    return distance / own if own else 1.0 if distance == 0 else math.inf


def measure(original: Array, optimized: Array, truth: Array) -> Metrics:
    """Compare one float output of both models with the truth.

    Args:
        original: the original's output, in its own type.
        optimized: the optimised model's output, of the same shape and type.
        truth: the float64 value, of the same shape.
    """
    o, y = original.astype(np.float64), optimized.astype(np.float64)
    t = np.asarray(truth, dtype=np.float64)
    ok = np.isfinite(o) & np.isfinite(y) & np.isfinite(t)
    repaired = int((~np.isfinite(o) & np.isfinite(y) & np.isfinite(t)).sum())
    share = float(ok.mean()) if ok.size else 1.0
    oc, yc, tc = o[ok], y[ok], t[ok]
    if not tc.size:
        nothing = (0.0,) * 7
        return Metrics(ok.size, share, repaired, *nothing, math.inf, math.nan, 0.0, (), None, None)
    unit = float(ulps_at(np.abs(tc).max(), original.dtype))
    difference = np.abs(yc - oc)
    tiny = float(ml_dtypes.finfo(original.dtype).tiny)
    large = np.abs(oc) > tiny
    relative = difference[large] / np.abs(oc[large])
    noise = _rms(yc - tc)
    found = levels(tc, np.abs(oc - tc), np.abs(yc - tc))
    return Metrics(
        elements=ok.size,
        finite=share,
        repaired=repaired,
        ulp=unit,
        max_abs=float(difference.max()),
        max_rel=float(relative.max()) if relative.size else 0.0,
        rms_original=_rms(oc - tc),
        rms_optimized=noise,
        max_original=float(np.abs(oc - tc).max()),
        max_optimized=float(np.abs(yc - tc).max()),
        sqnr_db=_decibels(_rms(tc), noise),
        cosine=_cosine(yc, tc),
        ulps=float(difference.max() / unit),
        histogram=_histogram(difference / unit),
        agreement=_agreement(o, y) if ok.all() else None,
        worst=_worst(o, y, t, ok),
        noise_original=_in_ulps([(v, v.original.rms) for v in found], original.dtype),
        noise_optimized=_in_ulps([(v, v.optimized.rms) for v in found], original.dtype),
        levels=found,
    )


def _rms(values: Array) -> float:
    # Scaled first, so that neither large nor small values leave the range of the squares.
    largest = float(np.abs(values).max())
    if largest == 0:
        return 0.0
    return largest * float(np.sqrt(np.mean(np.square(values / largest))))


def _in_ulps(found: Sequence[tuple[Level, float]], dtype: np.dtype[Any]) -> float:
    """Distances of levels in ulp at the largest element of the row of levels that each is of."""
    top = tops([[level for level, _ in found]])
    total = math.hypot(
        *(
            math.sqrt(v.count) * rms / float(ulps_at(np.asarray(top[v.size]), dtype))
            for v, rms in found
        )
    )
    return total / math.sqrt(sum(v.count for v, _ in found))


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 20 * math.log10(signal / noise) if signal > 0 else -math.inf


def _cosine(a: Array, b: Array) -> float:
    a, b = (v / (np.abs(v).max() or 1.0) for v in (a, b))
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.dot(a, b)) / length if length else math.nan


def _histogram(ulps: Array) -> tuple[int, ...]:
    edges = np.searchsorted(ULP_CLASSES, np.round(ulps, 6), side="left")
    return tuple(int(n) for n in np.bincount(edges, minlength=len(ULP_CLASSES) + 1))


def _agreement(o: Array, y: Array) -> float | None:
    if o.ndim < 1 or o.shape[-1] < 2 or not o.size:
        return None
    return float((o.argmax(axis=-1) == y.argmax(axis=-1)).mean())


def _worst(o: Array, y: Array, t: Array, ok: Array) -> Worst:
    with np.errstate(invalid="ignore"):
        distance = np.where(ok, np.abs(y - o), -1)
    flat = int(distance.argmax())
    index = tuple(int(i) for i in np.unravel_index(flat, o.shape))
    return Worst(index, *(float(a.reshape(-1)[flat]) for a in (o, y, t)))
