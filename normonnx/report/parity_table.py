"""The numbers of a verdict as rows: one per output, or one per comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from normonnx.judge.compared import OutputResult
from normonnx.judge.metrics import ULP_CLASSES
from normonnx.judge.summary import Numbers, Summary
from normonnx.report.names import safe_name

COLUMNS = (
    "output",
    "",
    "original",
    "optimised",
    "ratio",
    "max abs",
    "max rel",
    "ulp",
    "SQNR dB",
    "cosine",
)
PLACE = ("feed", "setting")
LEGEND = (
    "original, optimised: root mean square distance to float64 in ulp of the output's largest "
    "element, and their ratio; max abs, max rel, ulp: the greatest differences between the models; "
    "SQNR, cosine: the least of the optimised model to float64"
)
POOLED = "over all feeds that decide and all settings"
ALONE = "of each feed and setting alone"


def rows(told: Iterable[Summary], *, has_truth: bool = True) -> list[Sequence[str]]:
    """The cells of `COLUMNS` for each output.

    Args:
        told: what is told of the outputs.
        has_truth: whether there was a float64 truth to be at a distance from.
    """
    return [_row(summary, has_truth=has_truth) for summary in told]


def rows_alone(results: Iterable[OutputResult], *, has_truth: bool = True) -> list[Sequence[str]]:
    """The cells of `COLUMNS` and `PLACE` for each comparison."""
    return [(*_row(Summary.of([r]), has_truth=has_truth), str(r.draw), r.setting) for r in results]


def worst_element(result: OutputResult) -> str:
    """Such as ``[0, 3] was 1.22, is 1.23, float64 1.22 (feed 1, CPU, optimisations off)``."""
    metrics = result.metrics
    if metrics is None or metrics.worst is None:
        return ""
    worst = metrics.worst
    values = f"was {worst.original:.8g}, is {worst.optimized:.8g}, float64 {worst.truth:.8g}"
    return f"{list(worst.index)} {values} (feed {result.draw}, {result.setting})"


def ulp_histogram(counts: Sequence[int]) -> str:
    """Such as ``0 ulp 82 %, ≤ 1 ulp 17 %, ≤ 2 ulp 1 %``."""
    total = sum(counts)
    parts = []
    for number, count in enumerate(counts):
        if not count:
            continue
        if number < len(ULP_CLASSES):
            bound = "0 ulp" if number == 0 else f"≤ {ULP_CLASSES[number]} ulp"
        else:
            bound = f"> {ULP_CLASSES[-1]} ulp"
        parts.append(f"{bound} {_share(count / total)}")
    return ", ".join(parts)


def ratio_of(numbers: Numbers) -> str:
    """The ratio as every report writes it."""
    return f"{numbers.ratio:.2f}×" if math.isfinite(numbers.ratio) else "inf"


def distances(numbers: Numbers) -> tuple[str, str]:
    """The original's and the optimised model's distance to float64, as every report writes them."""
    return f"{numbers.original:.3g}", f"{numbers.optimized:.3g}"


def _row(told: Summary, *, has_truth: bool) -> Sequence[str]:
    name, mark = safe_name(told.output), "ok" if told.passed else "FAIL"
    numbers = told.numbers
    if numbers is None:
        message = told.decisive.message
        what = "equal" if told.passed and not message else safe_name(message)
        return (name, mark, "-", "-", "-", what, *[""] * 4)
    away = (*distances(numbers), ratio_of(numbers)) if has_truth else ("-", "-", "-")
    return (
        name,
        mark,
        *away,
        f"{numbers.max_abs:.3g}",
        f"{numbers.max_rel:.3g}",
        f"{numbers.ulps:.3g}",
        f"{numbers.sqnr_db:.1f}",
        f"{numbers.cosine:.6f}",
    )


def _share(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "< 1 %"
