"""An inspection for a person at a terminal: what a model is made of, and a row for each norm."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from normonnx.report.counts import by_count
from normonnx.report.group_lines import show_group, show_notes
from normonnx.report.grouping import grouped
from normonnx.report.inspected import FUSED, Inspection, Site
from normonnx.report.layout import print_columns, print_text
from normonnx.report.names import safe_name
from normonnx.report.terminal import heading, show_line

_ROWS_SHOWN = 60
_ITEMS_SHOWN = 12
_PATH_SHOWN = 48
_COLUMNS = ("rule", "kind", "where", "axes", "channels", "eps", "type", "verdict")


def show_inspection(result: Inspection, console: Console, *, verbosity: int = 0) -> None:
    """A table of every site; then, for those that stay, why and what to do.

    Args:
        result: of an inspection.
        console: where to print.
        verbosity: from 1 on every row and the names of all nodes.
    """
    print_text(heading(result.name, result.facts), console, 0)
    show_make_up(result, console, verbosity=verbosity)
    shown = result.sites if verbosity else result.sites[:_ROWS_SHOWN]
    if shown:
        rows = [[Text(title, "cyan") for title in _COLUMNS]]
        print_columns([*rows, *(_site_row(site) for site in shown)], console)
    if len(shown) < len(result.sites):
        rest = len(result.sites) - len(shown)
        print_text(Text(f"and {rest:,} more, -v lists all", "dim"), console)
    staying = grouped(site for site in result.sites if site.verdict == "stays")
    for group in staying:
        show_group(group, console, verbosity=verbosity)
    show_notes(result.notes, console)
    show_line(result.line(), console)


def show_make_up(result: Inspection, console: Console, *, verbosity: int = 0) -> None:
    """Inputs, outputs, opsets of other domains, and operators with their counts."""
    operators = [f"{name} {count:,}" for name, count in by_count(result.facts.operators)]
    others = [f"{domain} {version}" for domain, version in result.opsets.items() if domain]
    for title, items in (
        ("inputs", list(map(str, result.inputs))),
        ("outputs", list(map(str, result.outputs))),
        ("opsets", others),
        ("operators", operators),
    ):
        shown = items if verbosity else items[:_ITEMS_SHOWN]
        text = " · ".join(safe_name(item) for item in shown)
        if len(shown) < len(items):
            text += f" · and {len(items) - len(shown):,} more, -v lists all"
        if items:
            print_text(Text.assemble((f"{title:<11}", "cyan"), text), console)


def _site_row(site: Site) -> list[Text]:
    axes = "" if site.axes is None else ", ".join(map(str, site.axes)) or "scalar"
    colour = "green" if site.rewritten else "dim" if site.verdict == FUSED else "yellow"
    return [
        Text(site.rule or "-"),
        Text(safe_name(site.kind)),
        Text(safe_name(site.path or site.name, longest=_PATH_SHOWN), "bold"),
        Text(axes or "-"),
        Text("-" if site.channels is None else f"{site.channels}"),
        Text("-" if site.epsilon is None else f"{site.epsilon:g}"),
        Text(site.dtype or "-"),
        Text(safe_name(site.verdict, longest=_PATH_SHOWN + 16), colour),
    ]
