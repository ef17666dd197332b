"""One output over all feeds and settings: the numbers that every report tells of it.

Its distances to float64 are pooled over the feeds that decide, in ulp: the distance between
neighbouring numbers at the largest element, or at the largest of its kind where elements are apart
in size. How far the models are from each other is told of the feed and setting where that is most.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec import Struct

from normonnx.judge.compared import OutputResult
from normonnx.judge.metrics import Metrics, over


class Numbers(Struct, frozen=True):
    """How far one output is, over any number of comparisons.

    Attributes:
        original: root mean square of the original's own distance to float64 in ulp.
        optimized: the same of the optimised model.
        ratio: the one over the other; 1 if both are 0.
        elements: how many were compared.
        max_abs: greatest difference between the models.
        max_rel: greatest relative one.
        ulps: greatest one in ulp.
        sqnr_db: least ratio of signal to the optimised model's noise, in decibels.
        cosine: least cosine of the angle to float64.
        histogram: how many elements differ by how many ulp, see `metrics.ULP_CLASSES`.
        farthest: the comparison where the models differ most.
    """

    original: float
    optimized: float
    ratio: float
    elements: int
    max_abs: float
    max_rel: float
    ulps: float
    sqnr_db: float
    cosine: float
    histogram: tuple[int, ...]
    farthest: OutputResult


class Summary(Struct, frozen=True):
    """What is told of one output.

    Attributes:
        output: its name.
        decisive: the comparison that is nearest to failing, or fails most.
        feeds: how many it was compared on.
        settings: in how many.
        numbers: None for discrete outputs, and for what could not be compared.
    """

    output: str
    decisive: OutputResult
    feeds: int
    settings: int
    numbers: Numbers | None

    @property
    def passed(self) -> bool:
        """Whether every comparison is within what is allowed."""
        return self.decisive.passed

    @classmethod
    def of(cls, results: Sequence[OutputResult]) -> Summary:
        """The summary of comparisons of one output, of at least one."""
        return cls(
            results[0].output,
            max(results, key=rank),
            len({r.draw for r in results}),
            len({r.setting for r in results}),
            _numbers(results),
        )


def summaries(results: Iterable[OutputResult]) -> list[Summary]:
    """One per output, in the order of the outputs; of those within only the broken ones."""
    found: dict[str, list[OutputResult]] = {}
    for result in results:
        found.setdefault(result.output, []).append(result)
    told = [Summary.of(rows) for rows in found.values()]
    return [s for s in told if not (s.decisive.inner and s.passed)]


def rank(result: OutputResult) -> tuple[bool, bool, float]:
    """How near to failing a comparison is; what is not finite is farther than any number."""
    excess = result.excess if math.isfinite(result.excess) else math.inf
    return not result.passed, result.decisive, excess


def _numbers(results: Sequence[OutputResult]) -> Numbers | None:
    found = _measured(results)
    if not found:
        return None
    metrics = list(found.values())
    own = _pooled([(m, m.noise_original) for m in metrics])
    made = _pooled([(m, m.noise_optimized) for m in metrics])
    return Numbers(
        original=own,
        optimized=made,
        ratio=over(made, own),
        elements=sum(m.elements for m in metrics),
        max_abs=max(m.max_abs for m in metrics),
        max_rel=max(m.max_rel for m in metrics),
        ulps=max(m.ulps for m in metrics),
        sqnr_db=min(m.sqnr_db for m in metrics),
        cosine=_least([m.cosine for m in metrics]),
        histogram=_together([m.histogram for m in metrics if m.histogram]),
        farthest=results[max(found, key=lambda n: found[n].ulps)],
    )


def _measured(results: Sequence[OutputResult]) -> dict[int, Metrics]:
    """The metrics of the comparisons that decide, by their place; of all where none does."""
    found = {n: r.metrics for n, r in enumerate(results) if r.metrics is not None}
    return {n: m for n, m in found.items() if results[n].decisive} or found


def _together(histograms: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*histograms, strict=True)))


def _least(numbers: Sequence[float]) -> float:
    return min((n for n in numbers if not math.isnan(n)), default=math.nan)


def _pooled(distances: Sequence[tuple[Metrics, float]]) -> float:
    """Root mean square over the elements of all feeds."""
    counts = [m.elements * m.finite for m, _ in distances]
    total = math.hypot(*(math.sqrt(n) * d for n, (_, d) in zip(counts, distances, strict=True)))
    return total / math.sqrt(sum(counts)) if sum(counts) else 0.0
