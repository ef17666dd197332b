"""The numbers of a verdict as rows: one per output, or one per comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from normonnx.judge import Verdict
from normonnx.judge.metrics import ULP_CLASSES, Metrics
from normonnx.judge.verdict import OutputResult
from normonnx.report.names import safe_name

COLUMNS = (
    "output",
    "",
    "ratio",
    "max abs",
    "max rel",
    "rms",
    "SQNR dB",
    "cosine",
    "ulp",
    "feed",
    "setting",
)


def worst_of_each(verdict: Verdict) -> list[OutputResult]:
    """One comparison per output: a broken one before a sound one, then the farthest."""
    chosen: dict[str, OutputResult] = {}
    for result in verdict.outputs:
        if result.inner and result.passed:
            continue
        best = chosen.get(result.output)
        if best is None or rank(result) > rank(best):
            chosen[result.output] = result
    return list(chosen.values())


def rows(verdict: Verdict, results: Iterable[OutputResult]) -> list[Sequence[str]]:
    """The cells of `COLUMNS` for each comparison.

    The ratio is over all feeds where the row stands for its output, as in the verdict.
    """
    return [_row(verdict, result) for result in results]


def worst_element(result: OutputResult) -> str:
    """Such as ``[0, 3] was 1.22, is 1.23, float64 1.22 (feed 1, CPU, optimisations off)``."""
    metrics = result.metrics
    if metrics is None or metrics.worst is None:
        return ""
    worst = metrics.worst
    values = f"was {worst.original:.8g}, is {worst.optimized:.8g}, float64 {worst.truth:.8g}"
    return f"{list(worst.index)} {values} (feed {result.draw}, {result.setting})"


def ulp_histogram(metrics: Metrics) -> str:
    """Such as ``0 ulp 82 %, ≤ 1 ulp 17 %, ≤ 2 ulp 1 %``."""
    total = sum(metrics.histogram)
    parts = []
    for number, count in enumerate(metrics.histogram):
        if not count:
            continue
        if number < len(ULP_CLASSES):
            bound = "0 ulp" if number == 0 else f"≤ {ULP_CLASSES[number]} ulp"
        else:
            bound = f"> {ULP_CLASSES[-1]} ulp"
        parts.append(f"{bound} {_share(count / total)}")
    return ", ".join(parts)


def rank(result: OutputResult) -> tuple[bool, bool, float]:
    """How near to failing a comparison is; what is not finite is farther than any number."""
    excess = result.excess if math.isfinite(result.excess) else math.inf
    return not result.passed, result.decisive, excess


def _row(verdict: Verdict, result: OutputResult) -> Sequence[str]:
    name, mark = safe_name(result.output), "ok" if result.passed else "FAIL"
    place = (str(result.draw), result.setting)
    metrics = result.metrics
    if metrics is None:
        what = "equal" if result.passed and not result.message else safe_name(result.message)
        return (name, mark, "-", what, *[""] * 5, *place)
    ratio = verdict.ratio(result.output) if result.decisive else metrics.ratio
    return (
        name,
        mark,
        f"{ratio:.2f}×" if math.isfinite(ratio) else "inf",
        f"{metrics.max_abs:.3g}",
        f"{metrics.max_rel:.3g}",
        f"{metrics.rms_optimized:.3g}",
        f"{metrics.sqnr_db:.1f}",
        f"{metrics.cosine:.6f}",
        f"{metrics.ulps:.3g}",
        *place,
    )


def _share(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "< 1 %"
