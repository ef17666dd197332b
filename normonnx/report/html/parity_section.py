"""What the judge says: the tiers, every output with its numbers, histograms of the differences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from normonnx.report.html.charts import histogram
from normonnx.report.html.markup import Content, Markup, element, joined, name, sentence, table
from normonnx.report.names import safe_name
from normonnx.report.parity_table import rank, worst_of_each

if TYPE_CHECKING:
    from normonnx.judge.verdict import OutputResult, Verdict

_COLOURS = {"pass": "good", "fail": "bad", "inconclusive": "warn"}
_OUTPUT_COLUMNS: list[Content] = [
    "output", "run", "distance to float64", "original", "optimised", "largest |Δ|", "ulp", "SQNR",
]  # fmt: skip


def parity(verdict: Verdict, *, most_outputs: int) -> Markup:
    """The section.

    Args:
        verdict: the judge's.
        most_outputs: how many outputs are shown, those nearest to failing first.
    """
    from normonnx.judge.metrics import ULP_CLASSES

    headline = element("p", sentence(verdict.line()), class_=_COLOURS.get(verdict.status))
    warnings = [element("p", sentence(w), class_="warn") for w in verdict.warnings]
    tiers = table(
        ["tier", "", "what was found"],
        [
            [f"{tier.code} {tier.title}", _status(tier.status), sentence(tier.message)]
            for tier in verdict.tiers
        ],
    )
    worst = sorted(worst_of_each(verdict), key=rank, reverse=True)
    shown = worst[:most_outputs]
    rows = [_output_row(verdict, result) for result in shown]
    outputs = table(_OUTPUT_COLUMNS, rows, numeric=6) if rows else None
    more = len(worst) - len(shown)
    rest = element("p", f"and {more:,} outputs with less to tell", class_="soft") if more else None
    figures = [
        element(
            "figure",
            histogram(metrics.histogram, ULP_CLASSES, f"differences of {safe_name(result.output)}"),
            element("figcaption", name(result.output), f", {metrics.elements:,} elements"),
        )
        for result in shown
        if (metrics := result.metrics) is not None and any(metrics.histogram)
    ]
    pictures = None
    if figures:
        pictures = joined(
            element("h3", "How far the outputs are from the original's"),
            element(
                "p",
                "In units of the last place at the size of the output's largest element; heights "
                "are square roots, so that few elements show too.",
                class_="soft",
            ),
            element("div", *figures, class_="pair"),
        )
    return joined(
        element("h3", "Parity"), headline, *warnings, tiers, outputs, rest, pictures,
        _feeds(verdict), _notes(verdict),
    )  # fmt: skip


def _status(status: str) -> Markup:
    return element("span", status, class_=_COLOURS.get(status, "soft"))


def _output_row(verdict: Verdict, result: OutputResult) -> list[Content]:
    metrics = result.metrics
    colour = "good" if result.passed else "bad"
    head: list[Content] = [name(result.output), f"{result.setting}, feed {result.draw}"]
    if metrics is None:
        told = sentence(result.message) or ("equal" if result.passed else "differs")
        return [*head, element("span", told, class_=colour), "", "", "", "", ""]
    distance = verdict.ratio(result.output) if result.decisive else metrics.ratio
    ratio = "equal" if metrics.max_abs == 0 else f"{distance:.2f}×"
    if not math.isfinite(distance):
        ratio = "the original is exact"
    sqnr = "∞" if math.isinf(metrics.sqnr_db) else f"{metrics.sqnr_db:.0f} dB"
    return [
        *head,
        element("span", ratio, class_=colour),
        f"{metrics.rms_original:.2g}",
        f"{metrics.rms_optimized:.2g}",
        f"{metrics.max_abs:.2g}",
        f"{metrics.ulps:.3g}",
        sqnr,
    ]


def _feeds(verdict: Verdict) -> Markup | None:
    if not verdict.feeds:
        return None
    rows: list[list[Content]] = [
        [
            feed.draw,
            sentence(feed.title),
            sentence(", ".join(f"{key} = {size}" for key, size in feed.binding.items())) or "fixed",
            "decides" if feed.decisive else "stress",
        ]
        for feed in verdict.feeds[:20]
    ]
    return element(
        "details",
        element("summary", f"the feeds, seed {verdict.seed}"),
        table(["feed", "values", "open dimensions", ""], rows),
    )


def _notes(verdict: Verdict) -> Markup | None:
    if not verdict.notes:
        return None
    items = [element("li", sentence(note)) for note in verdict.notes[:20]]
    return element("details", element("summary", "notes of the judge"), element("ul", *items))
