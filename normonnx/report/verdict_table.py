"""What the judge found, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from normonnx.report.layout import LONG, print_columns, print_text
from normonnx.report.names import safe_name
from normonnx.report.parity_table import COLUMNS, rows, ulp_histogram, worst_element, worst_of_each

if TYPE_CHECKING:
    from normonnx.judge import Verdict

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
    _show_rows(verdict, console, verbosity)
    for result in worst_of_each(verdict)[:_OUTPUTS_SHOWN]:
        if result.metrics is not None and result.metrics.worst is not None:
            text = f"{safe_name(result.output)}: worst at {worst_element(result)}"
            print_text(Text(f"{text}; {ulp_histogram(result.metrics)}", "dim"), console)
    if verdict.own_difference is not None:
        own = f"{verdict.own_difference:.3g}" if verdict.own_difference else "nothing"
        print_text(Text(f"from run to run the original differs by {own}", "dim"), console)
    if verdict.divergence is not None:
        sentence = safe_name(verdict.divergence.sentence(), longest=LONG)
        print_text(Text(sentence, "yellow"), console)


def _show_rows(verdict: Verdict, console: Console, verbosity: int) -> None:
    """A row for the worst comparison of each output, or for all of them."""
    chosen = list(verdict.outputs) if verbosity else worst_of_each(verdict)
    shown = chosen if verbosity else chosen[:_ROWS_SHOWN]
    columns = len(COLUMNS) if verbosity else len(COLUMNS) - 2
    cells = [[Text(cell) for cell in row[:columns]] for row in rows(verdict, shown)]
    for row, result in zip(cells, shown, strict=True):
        row[1].stylize("green" if result.passed else "bold red")
    if cells:
        print_columns([[Text(title, "cyan") for title in COLUMNS[:columns]], *cells], console)
    if rest := len(chosen) - len(shown):
        print_text(Text(f"and {rest:,} more, -v lists all", "dim"), console)
