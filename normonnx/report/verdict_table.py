"""What the judge found, on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from normonnx.report.layout import LONG, print_columns, print_text
from normonnx.report.names import safe_name
from normonnx.report.parity_table import (
    ALONE,
    COLUMNS,
    LEGEND,
    PLACE,
    POOLED,
    rows,
    rows_alone,
    ulp_histogram,
    worst_element,
)

if TYPE_CHECKING:
    from normonnx.judge import Verdict
    from normonnx.judge.summary import Summary

_OUTPUTS_SHOWN = 5
_ROWS_SHOWN = 60


def show_verdict(verdict: Verdict, console: Console, *, verbosity: int = 0) -> None:
    """The verdict in a line; what warned of something; from verbosity 1 on, every tier."""
    print_text(Text(safe_name(verdict.line(), longest=LONG)), console)
    for warning in verdict.warnings:
        print_text(Text(safe_name(warning, longest=LONG), "yellow"), console)
    if verbosity:
        for tier in verdict.tiers:
            message = safe_name(tier.message, longest=LONG)
            print_text(Text(f"{tier.code} {tier.title}: {tier.status}  {message}"), console, 4)
        for note in verdict.notes:
            print_text(Text(safe_name(note, longest=LONG), "dim"), console, 4)


def show_metrics(verdict: Verdict, console: Console, *, verbosity: int = 0) -> None:
    """How far the outputs are, where they part, and how far the original is from itself."""
    summaries = verdict.summaries
    if verbosity:
        _show_comparisons(verdict, console)
    else:
        _show_outputs(summaries, console, has_truth=verdict.grade == "truth")
    for summary in summaries[:_OUTPUTS_SHOWN]:
        numbers = summary.numbers
        if numbers is not None and (where := worst_element(numbers.farthest)):
            text = f"{safe_name(summary.output)}: worst at {where}"
            print_text(Text(f"{text}; {ulp_histogram(numbers.histogram)}", "dim"), console)
    if verdict.own_difference is not None:
        own = verdict.own_difference
        told = f"differ by up to {own:.3g}" if own else "give the same numbers"
        print_text(Text(f"two runs of the original {told}", "dim"), console)
    if verdict.divergence is not None:
        sentence = safe_name(verdict.divergence.sentence(), longest=LONG)
        print_text(Text(sentence, "yellow"), console)


def _show_outputs(told: list[Summary], console: Console, *, has_truth: bool) -> None:
    """A row for each output."""
    shown = told[:_ROWS_SHOWN]
    _show_rows(COLUMNS, rows(shown, has_truth=has_truth), [s.passed for s in shown], console)
    if rest := len(told) - len(shown):
        print_text(Text(f"and {rest:,} more, -v lists all", "dim"), console)
    if shown:
        print_text(Text(f"{LEGEND}; {POOLED}", "dim"), console)


def _show_comparisons(verdict: Verdict, console: Console) -> None:
    """A row for each output on each feed in each setting."""
    cells = rows_alone(verdict.outputs, has_truth=verdict.grade == "truth")
    _show_rows((*COLUMNS, *PLACE), cells, [r.passed for r in verdict.outputs], console)
    if cells:
        print_text(Text(f"{LEGEND}; {ALONE}", "dim"), console)


def _show_rows(
    titles: Sequence[str], cells: list[Sequence[str]], passed: list[bool], console: Console
) -> None:
    texts = [[Text(cell) for cell in row] for row in cells]
    for row, is_fine in zip(texts, passed, strict=True):
        row[1].stylize("green" if is_fine else "bold red")
    if texts:
        print_columns([[Text(title, "cyan") for title in titles], *texts], console)
