"""A benchmark for a person at a terminal: a bar per model, and where the time went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from normonnx.report.layout import duration, magnitude_of_bytes, print_columns, print_text
from normonnx.report.names import safe_name

if TYPE_CHECKING:
    from normonnx.benching.result import BenchReport, Comparison, OperatorTime

_BAR = 24
_EIGHTHS = "▏▎▍▌▋▊▉█"
_OPERATORS_SHOWN = 8
_COLOURS = {"faster": "green", "slower": "red", "same": "yellow", "inconclusive": "yellow"}


def show_bench(report: BenchReport, console: Console) -> None:
    """Every setting, and the last line."""
    shapes = ", ".join(
        f"{safe_name(name)} {'×'.join(map(str, shape)) or 'scalar'}"
        for name, shape in report.shapes.items()
    )
    for comparison in report.comparisons:
        rounds = len(comparison.models[0].samples)
        title = Text(comparison.setting.label, "bold")
        print_text(title.append(f"  {shapes}  {rounds:,} rounds", "not bold"), console, 0)
        _show_models(comparison, console)
        for profile in comparison.profiles:
            _show_profile(profile, console)
    for note in report.notes:
        print_text(Text(safe_name(note), "dim"), console)


def _show_models(comparison: Comparison, console: Console) -> None:
    longest = max(model.seconds.median for model in comparison.models)
    rows = [
        [
            Text(title, "cyan")
            for title in ("model", "median", "quartiles", "runs/s", "", "against the first")
        ]
    ]
    for index, model in enumerate(comparison.models):
        interval = comparison.ratios[index - 1] if index else None
        seconds = model.seconds
        rows.append(
            [
                Text(safe_name(model.name, longest=48), "bold"),
                Text(duration(seconds.median)),
                Text(f"{duration(seconds.low)} – {duration(seconds.high)}", "dim"),
                Text(f"{model.throughput:,.0f}" if model.throughput >= 10 else
                     f"{model.throughput:.2g}"),
                Text(bar(seconds.median / longest), "cyan"),
                Text("") if interval is None else Text(
                    f"{interval} {interval.word}", _COLOURS[interval.word]
                ),
            ]
        )  # fmt: skip
    print_columns(rows, console)
    starts = [
        [
            Text(safe_name(model.name, longest=48), "bold"),
            Text(duration(model.session)),
            Text(duration(model.first_run)),
            Text(magnitude_of_bytes(model.peak_bytes)),
        ]
        for model in comparison.models
        if model.session is not None
        and model.first_run is not None
        and model.peak_bytes is not None
    ]
    if starts:
        titles = ("in a fresh process", "session", "first run", "peak memory")
        print_columns([[Text(title, "cyan") for title in titles], *starts], console)


def _show_profile(profile: tuple[OperatorTime, ...], console: Console) -> None:
    rows = [[Text(title, "cyan") for title in ("operator", "before", "after", "change")]]
    for time in profile[:_OPERATORS_SHOWN]:
        colour = "green" if time.change < 0 else "red" if time.change > 0 else ""
        sign = "−" if time.change < 0 else "+"
        rows.append(
            [
                Text(safe_name(time.operator)),
                Text(f"{time.before[1]} × {duration(time.before[0])}" if time.before[1] else "-"),
                Text(f"{time.after[1]} × {duration(time.after[0])}" if time.after[1] else "-"),
                Text(f"{sign}{duration(abs(time.change))}", colour),
            ]
        )
    print_columns(rows, console)
    if len(profile) > _OPERATORS_SHOWN:
        rest = len(profile) - _OPERATORS_SHOWN
        print_text(Text(f"and {rest} operators that changed less", "dim"), console)


def bar(share: float) -> str:
    """A bar of that share of the full width, in eighths of a character."""
    eighths = max(1, round(share * _BAR * 8))
    whole, part = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[part - 1] if part else "")
