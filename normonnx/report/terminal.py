"""Results for a person at a terminal: about a dozen lines, one of them stable for scripts.

What is told here goes to standard output; `notices` has what goes to standard error.

Everything is built from `rich.text.Text`, never from markup: names in a model are foreign text.
Lines wrap on a terminal; where nobody's window limits them they stay whole, for grep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, TextIO

from rich.console import Console
from rich.text import Text

from normonnx.report.counts import difference, show_operators, sizes, versions_raised
from normonnx.report.group_lines import outcome_of, show_group, show_notes
from normonnx.report.grouping import grouped, site_of
from normonnx.report.layout import magnitude, print_columns, print_text
from normonnx.report.names import safe_name
from normonnx.report.result import (
    ModelFacts,
    ModelReport,
    Verification,
    counted,
)

if TYPE_CHECKING:
    from normonnx.journal import Rewrite
    from normonnx.report.result import RuleLine

_GROUPS_SHOWN = 5
_NAMES_SHOWN = 2

_COLOURS = {
    "FASTER": "bold green",
    "CHANGES": "bold yellow",
    "ERROR": "bold red",
    "PASS": "bold green",
    "CLEAN": "bold green",
    "FAIL": "bold red",
    "SLOWER": "bold red",
    "REFUSED": "bold red",
}


_SYSTEMS: Mapping[str, Literal["standard"] | None] = {"always": "standard", "never": None}
"""What --color makes of the terminal's own."""


def console_for(stream: TextIO, colour: str = "auto") -> Console:
    """A console on `stream`.

    Args:
        stream: where it prints.
        colour: "always", "never", or "auto": on a terminal, unless NO_COLOR is set.
    """
    return Console(
        file=stream,
        markup=False,
        emoji=False,
        highlight=False,
        no_color=False if colour == "always" else None,
        color_system=_SYSTEMS.get(colour, "auto"),
        force_terminal=None if colour != "always" else True,
    )


def show_line(line: str, console: Console) -> None:
    """The stable line, never wrapped."""
    text = Text(line)
    for word, colour in _COLOURS.items():
        text.highlight_words([f" {word} "], colour)
    console.print(text, soft_wrap=True)


def show_model(
    report: ModelReport, console: Console, *, verbosity: int = 0, with_nodes: bool = False
) -> None:
    """One model: what it is, what fired, what nearly did, what changed, whether it still holds.

    Args:
        report: of the model.
        console: where to print.
        verbosity: from 1 on every near miss, rewrite and operator.
        with_nodes: list the nodes that go and come.
    """
    print_text(heading(report.name, report.before), console, 0)
    _show_rules(report.rules(), console)
    _show_misses(report, console, verbosity)
    for item in report.reverted:
        what = f"{safe_name(item.rewrite.summary)} at '{safe_name(item.rewrite.site)}'"
        print_text(Text(f"taken back  {what}: {safe_name(item.reason)}", "yellow"), console)
    for miss in report.unfit:
        text = Text(f"no longer fits  {miss.rule} '{safe_name(miss.site)}': ", "red")
        print_text(text.append_text(outcome_of(miss.reason, miss.remedy)), console)
    if verbosity or with_nodes:
        _show_nodes(report.rewrites, console)
    _show_difference(report, console, verbosity=verbosity)
    if report.verdict is not None:
        from normonnx.report.verdict_table import show_verdict

        show_verdict(report.verdict, console, verbosity=verbosity)
    if report.bench is not None:
        from normonnx.report.bench_table import show_bench

        show_bench(report.bench, console)


def show_changes(report: ModelReport, console: Console) -> None:
    """What would change and nothing else."""
    print_text(heading(report.name, report.before), console, 0)
    _show_nodes(report.rewrites, console)
    _show_difference(report, console)


def show_check(report: ModelReport, console: Console) -> None:
    """One line: is there anything to do?"""
    text = heading(report.name, None)
    text.append(f"  {counted(len(report.rewrites), 'rewrite')} to make", "not bold")
    print_text(text, console, 0)


def show_verification(result: Verification, console: Console, *, verbosity: int = 0) -> None:
    """The verdict on two models."""
    title = f"{safe_name(result.original)} → {safe_name(result.optimized)}"
    from normonnx.report.verdict_table import show_metrics, show_verdict

    print_text(Text(title, "bold"), console, 0)
    show_verdict(result.verdict, console, verbosity=verbosity)
    show_metrics(result.verdict, console, verbosity=verbosity)
    show_line(result.line(), console)


def heading(name: str, facts: ModelFacts | None) -> Text:
    """The name of a model, its versions and its sizes."""
    text = Text(safe_name(name), "bold")
    if facts is not None:
        parts = (
            f"opset {facts.opset}",
            f"IR {facts.ir_version}",
            f"{magnitude(facts.parameters)} params",
            *sizes(facts),
        )
        text.append(f"  {' · '.join(parts)}", "not bold")
    return text


def _show_rules(lines: list[RuleLine], console: Console) -> None:
    if not any(line.fired for line in lines):
        print_text(Text("nothing to rewrite"), console)
    rows = []
    counts = [f"{len(line.fired)} of {line.sites}" for line in lines]
    for line, count in zip(lines, counts, strict=True):
        forms = Counter(rewrite.summary for rewrite in line.fired).most_common()
        shown = "".join(safe_name(form) for form, _ in forms[:1])
        if len(forms) > 1:
            shown += f"   and {counted(len(forms) - 1, 'other form')}"
        aligned = count.rjust(max(map(len, counts)))
        rows.append([Text(f"{line.code} {line.name}"), Text(aligned), Text(shown, "green")])
    if rows:
        print_columns(rows, console)


def _show_misses(report: ModelReport, console: Console, verbosity: int) -> None:
    groups = grouped(map(site_of, report.near_misses))
    if verbosity:
        for group in groups:
            show_group(group, console, verbosity=verbosity)
        return
    groups.sort(key=lambda group: -len(group.sites))
    for group in groups[:_GROUPS_SHOWN]:
        names = ", ".join(f"'{safe_name(site.name)}'" for site in group.sites[:_NAMES_SHOWN])
        more = len(group.sites) - _NAMES_SHOWN
        if more > 0:
            names += f" and {more:,} more"
        text = Text.assemble(("near miss  ", "yellow"))
        text.append(f"{group.rule} {safe_name(group.kind)} {names}: ")
        print_text(text.append_text(outcome_of(group.outcome, group.remedy)), console)
    hidden = sum(len(group.sites) for group in groups[_GROUPS_SHOWN:])
    if hidden:
        print_text(Text(f"near misses: {hidden:,} more, -v lists all", "dim"), console)


def _show_nodes(rewrites: Iterable[Rewrite], console: Console) -> None:
    for rewrite in rewrites:
        title = Text(f"{rewrite.rule} {safe_name(rewrite.summary)}", "cyan")
        title.append(f"   {safe_name(rewrite.certificate)}", "dim")
        print_text(title, console)
        for sign, colour, nodes in (("-", "red", rewrite.removed), ("+", "green", rewrite.added)):
            for operator, name in nodes:
                line = f"{sign} {safe_name(operator)} {safe_name(name)}"
                print_text(Text(line, colour), console, 4)


def _show_difference(report: ModelReport, console: Console, *, verbosity: int = 0) -> None:
    before, after = report.before, report.after
    notes = report.notes
    if before is not None and after is not None:
        print_text(Text(difference(before, after)), console)
        if verbosity:
            show_operators(before, after, console)
        if raised := versions_raised(before, after):
            print_text(Text(raised), console)
            notes = tuple(n for n in notes if n != f"opset {before.opset} → {after.opset}")
    show_notes(notes, console)
