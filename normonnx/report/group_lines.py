"""Sites that fare alike, in a line and their names; an outcome with its remedy; notes."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from normonnx.report.grouping import Group
from normonnx.report.layout import LONG, print_text
from normonnx.report.names import safe_name

_SITES_SHOWN = 8


def show_group(group: Group, console: Console, *, verbosity: int = 0) -> None:
    """What happens to the sites of a group, then their names."""
    word, colour = ("→ ", "green") if group.rewritten else ("stays: ", "yellow")
    count = f"{len(group.sites):,} × " if len(group.sites) > 1 else ""
    title = Text(f"{group.rule} {count}{safe_name(group.kind)}  ")
    title.append(word, colour).append_text(outcome_of(group.outcome, group.remedy))
    print_text(title, console)
    shown = group.sites if verbosity else group.sites[:_SITES_SHOWN]
    for site in shown:
        text = Text(safe_name(site.name), "bold")
        if site.outcome != group.outcome and verbosity:
            text.append(f"  {safe_name(site.outcome, longest=LONG)}", "not bold dim")
        print_text(text, console, 6)
    if len(shown) < len(group.sites):
        rest = len(group.sites) - len(shown)
        print_text(Text(f"and {rest:,} more, -v lists all", "dim"), console, 6)


def outcome_of(outcome: str, remedy: str) -> Text:
    """What happens or why nothing does, and what could be done about it."""
    text = Text(safe_name(outcome, longest=LONG))
    if remedy:
        text.append(f" ({safe_name(remedy, longest=LONG)})", "cyan")
    return text


def show_notes(notes: Iterable[str], console: Console) -> None:
    """What was done besides, a line each."""
    for note in notes:
        print_text(Text(safe_name(note, longest=LONG), "dim"), console)
