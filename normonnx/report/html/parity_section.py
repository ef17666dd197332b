"""What the judge says: the tiers, every output with its numbers, histograms of the differences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from normonnx.report.html.charts import histogram
from normonnx.report.html.markup import Content, Markup, element, joined, name, sentence, table
from normonnx.report.names import safe_name
from normonnx.report.parity_table import LEGEND, POOLED, distances, ratio_of
from normonnx.report.result import counted

if TYPE_CHECKING:
    from normonnx.judge.summary import Summary
    from normonnx.judge.verdict import Verdict

_COLOURS = {"pass": "good", "fail": "bad", "inconclusive": "warn"}
_OUTPUT_COLUMNS: list[Content] = [
    "output", "seen on", "ratio", "original, ulp", "optimised, ulp", "max abs", "max rel",
    "ulp", "SQNR",
]  # fmt: skip


def parity(verdict: Verdict, *, most_outputs: int) -> Markup:
    """The section.

    Args:
        verdict: the judge's.
        most_outputs: how many outputs are shown, those nearest to failing first.
    """
    from normonnx.judge.metrics import ULP_CLASSES
    from normonnx.judge.summary import rank

    headline = element("p", sentence(verdict.line()), class_=_COLOURS.get(verdict.status))
    warnings = [element("p", sentence(w), class_="warn") for w in verdict.warnings]
    tiers = table(
        ["tier", "", "what was found"],
        [
            [f"{tier.code} {tier.title}", _status(tier.status), sentence(tier.message)]
            for tier in verdict.tiers
        ],
    )
    told = sorted(verdict.summaries, key=lambda summary: rank(summary.decisive), reverse=True)
    shown = told[:most_outputs]
    rows = [_output_row(summary, has_truth=verdict.grade == "truth") for summary in shown]
    outputs = table(_OUTPUT_COLUMNS, rows, numeric=6) if rows else None
    legend = element("p", f"{LEGEND}; {POOLED}", class_="soft") if rows else None
    more = len(told) - len(shown)
    rest = element("p", f"and {more:,} outputs with less to tell", class_="soft") if more else None
    figures = [
        element(
            "figure",
            histogram(
                numbers.histogram, ULP_CLASSES, f"differences of {safe_name(summary.output)}"
            ),
            element("figcaption", name(summary.output), f", {numbers.elements:,} elements"),
        )
        for summary in shown
        if (numbers := summary.numbers) is not None and any(numbers.histogram)
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
        element("h3", "Parity"), headline, *warnings, tiers, outputs, legend, rest,
        pictures,
        _feeds(verdict), _notes(verdict),
    )  # fmt: skip


def _status(status: str) -> Markup:
    return element("span", status, class_=_COLOURS.get(status, "soft"))


def _output_row(told: Summary, *, has_truth: bool) -> list[Content]:
    numbers = told.numbers
    colour = "good" if told.passed else "bad"
    counts = f"{counted(told.feeds, 'feed')}, {counted(told.settings, 'setting')}"
    head: list[Content] = [name(told.output), counts]
    if numbers is None:
        what = sentence(told.decisive.message) or ("equal" if told.passed else "differs")
        return [*head, element("span", what, class_=colour), *[""] * 6]
    ratio = ratio_of(numbers) if has_truth else "no float64"
    sqnr = "∞" if math.isinf(numbers.sqnr_db) else f"{numbers.sqnr_db:.0f} dB"
    return [
        *head,
        element("span", ratio, class_=colour),
        *(distances(numbers) if has_truth else ("-", "-")),
        f"{numbers.max_abs:.3g}",
        f"{numbers.max_rel:.3g}",
        f"{numbers.ulps:.3g}",
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
