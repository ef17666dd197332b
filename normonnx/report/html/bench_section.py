"""Latency: a bar per model with its quartiles, start-up, memory, and where the time went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normonnx.report.html.charts import bars
from normonnx.report.html.markup import Content, Markup, element, joined, name, sentence, table
from normonnx.report.layout import duration, magnitude_of_bytes

if TYPE_CHECKING:
    from normonnx.benching.result import BenchReport, Comparison, Measured, OperatorTime

_MOST_OPERATORS = 20
_COLOURS = {"faster": "good", "slower": "bad", "same": "soft", "inconclusive": "soft"}


def latency(report: BenchReport) -> Markup:
    """All settings of a benchmark."""
    shapes = ", ".join(
        f"{key} {'×'.join(map(str, shape)) or 'scalar'}" for key, shape in report.shapes.items()
    )
    return joined(
        element("h3", "Latency"),
        element("p", sentence(f"{report.machine}; inputs: {shapes}"), class_="soft"),
        *(_setting(comparison) for comparison in report.comparisons),
        *(element("p", sentence(note), class_="soft") for note in report.notes),
    )


def _setting(comparison: Comparison) -> Markup:
    models = comparison.models
    rows = [(m.name, m.seconds.median, duration(m.seconds.median)) for m in models]
    whiskers = [(m.seconds.low, m.seconds.high) for m in models]
    chart = bars(rows, f"median seconds per run, {comparison.setting.label}", whiskers=whiskers)
    ratios = [
        element(
            "p",
            element("span", interval.word, class_=_COLOURS[interval.word]),
            f": {interval} of the time of ", name(models[0].name), ", with 95 % confidence",
        )
        for interval in comparison.ratios
    ]  # fmt: skip
    rounds = len(models[0].samples)
    return element(
        "div",
        element("h3", f"{comparison.setting.label}, {rounds:,} rounds"),
        element("div", chart, class_="scroll"),
        *ratios,
        table(
            ["model", "median", "quartiles", "runs/s", "session", "first run", "peak memory"],
            [_numbers(model) for model in models],
            numeric=6,
        ),
        *(_operators(profile) for profile in comparison.profiles),
        class_="card",
    )


def _numbers(model: Measured) -> list[Content]:
    def shown(seconds: float | None) -> str:
        return "–" if seconds is None else duration(seconds)

    return [
        name(model.name),
        duration(model.seconds.median),
        f"{duration(model.seconds.low)} – {duration(model.seconds.high)}",
        f"{model.throughput:,.1f}",
        shown(model.session),
        shown(model.first_run),
        "–" if model.peak_bytes is None else magnitude_of_bytes(model.peak_bytes),
    ]


def _operators(profile: tuple[OperatorTime, ...]) -> Markup:
    rows: list[list[Content]] = []
    for time in profile[:_MOST_OPERATORS]:
        sign, colour = ("−", "good") if time.change < 0 else ("+", "bad")
        rows.append(
            [
                name(time.operator),
                f"{time.before[1]} × {duration(time.before[0])}" if time.before[1] else "–",
                f"{time.after[1]} × {duration(time.after[0])}" if time.after[1] else "–",
                element("span", f"{sign}{duration(abs(time.change))}", class_=colour),
            ]
        )
    return element(
        "details",
        element("summary", "where the time goes"),
        table(["operator", "before", "after", "change"], rows, numeric=3),
    )
