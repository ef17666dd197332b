"""Results for a person at a terminal: about a dozen lines, one of them stable for scripts.

Everything is built from `rich.text.Text`, never from markup: names in a model are foreign text.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from normonnx.report.grouping import MissGroup, group_misses
from normonnx.report.names import safe_name
from normonnx.report.result import (
    Inspection,
    ModelFacts,
    ModelReport,
    Verification,
    counted,
)

if TYPE_CHECKING:
    from normonnx.doctor import Diagnosis
    from normonnx.errors import NormonnxError
    from normonnx.journal import Rewrite
    from normonnx.parity import Verdict
    from normonnx.report.result import RuleLine
    from normonnx.rules import Rule

_PLAIN_WIDTH = 160
_GROUPS_SHOWN = 5
_SITES_SHOWN = 2
_OPERATORS_SHOWN = 4
_LONG = 400

_COLOURS = {
    "PASS": "bold green",
    "CLEAN": "bold green",
    "FAIL": "bold red",
    "REFUSED": "bold red",
}


def console_for(stream: TextIO) -> Console:
    """A console on `stream`: colour on a terminal only, wide where nobody's window limits it."""
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PLAIN_WIDTH
    return Console(
        file=stream, width=width, markup=False, emoji=False, highlight=False, soft_wrap=False
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
        verbosity: from 1 on every near miss and rewrite, from 2 on tracebacks.
        with_nodes: list the nodes that go and come.
    """
    console.print(_heading(report.name, report.before))
    if report.error:
        _show_failure(report, console, verbosity)
        return
    _show_rules(report.rules(), console)
    _show_misses(report, console, verbosity)
    for item in report.reverted:
        what = f"{item.rewrite.summary} at '{safe_name(item.rewrite.site)}'"
        console.print(_indented(Text(f"taken back   {what}: {safe_name(item.reason)}", "yellow")))
    if verbosity or with_nodes:
        _show_nodes(report.rewrites, console)
    if report.before is not None and report.after is not None:
        console.print(_indented(Text(_difference(report.before, report.after))))
    for note in report.notes:
        console.print(_indented(Text(safe_name(note, longest=_LONG), "dim")))
    if report.verdict is not None:
        _show_verdict(report.verdict, console)
    console.print(_ending(report))


def show_changes(report: ModelReport, console: Console) -> None:
    """What would change and nothing else."""
    console.print(_heading(report.name, report.before))
    if report.error:
        _show_failure(report, console, verbosity=0)
        return
    _show_nodes(report.rewrites, console)
    if report.before is not None and report.after is not None:
        console.print(_indented(Text(_difference(report.before, report.after))))
    for note in report.notes:
        console.print(_indented(Text(safe_name(note, longest=_LONG), "dim")))


def show_check(report: ModelReport, console: Console) -> None:
    """One line: is there anything to do?"""
    if report.error:
        console.print(_heading(report.name, None))
        _show_failure(report, console, verbosity=0)
        return
    text = Text(safe_name(report.name), "bold")
    text.append(f"  {counted(len(report.rewrites), 'rewrite')} to make", "not bold")
    console.print(text)


def show_verification(result: Verification, console: Console, *, verbosity: int = 0) -> None:
    """The verdict on two models."""
    console.print(Text(f"{safe_name(result.original)} → {safe_name(result.optimized)}", "bold"))
    _show_verdict(result.verdict, console)
    if verbosity:
        for note in result.verdict.notes:
            console.print(_indented(Text(safe_name(note, longest=_LONG), "dim")))
    show_line(result.line(), console)


def show_inspection(result: Inspection, console: Console, *, verbosity: int = 0) -> None:
    """Every site: what it is, what would happen, or why not and what to do."""
    console.print(_heading(result.name, result.facts))
    table = Table.grid(padding=(0, 2))
    for overflow in ("fold", "fold", "fold", "fold"):
        table.add_column(overflow=overflow)
    told: Counter[tuple[str, ...]] = Counter()
    for site in result.sites:
        told[(site.rule, site.kind, site.outcome)] += 1
        if told[(site.rule, site.kind, site.outcome)] > _GROUPS_SHOWN and not verbosity:
            continue
        outcome = Text(safe_name(site.outcome, longest=_LONG))
        if site.remedy:
            outcome.append(f" ({safe_name(site.remedy, longest=_LONG)})", "cyan")
        table.add_row(
            Text(f"  {site.rule}", "dim"),
            Text(safe_name(site.kind)),
            Text(safe_name(site.name), "bold"),
            Text("→ " if site.rewritten else "stays: ", "green" if site.rewritten else "yellow")
            + outcome,
        )
    console.print(table)
    hidden = sum(count - _GROUPS_SHOWN for count in told.values() if count > _GROUPS_SHOWN)
    if hidden and not verbosity:
        console.print(_indented(Text(f"and {hidden:,} more like these: -v lists all", "dim")))
    for operator, count in result.operators.items():
        console.print(_indented(Text(f"{count} × {safe_name(operator)}: one operator already")))
    for note in result.notes:
        console.print(_indented(Text(safe_name(note, longest=_LONG), "dim")))
    fire = sum(site.rewritten for site in result.sites)
    stay = len(result.sites) - fire
    show_line(f"normonnx: {counted(fire, 'rewrite')} to make, {stay} left alone", console)


def show_rule(rule: Rule, console: Console) -> None:
    """A rule's page."""
    console.print(Text(f"{rule.code} {rule.name}", "bold"))
    console.print(Text(rule.title))
    for title, body in (
        ("before", rule.before),
        ("after", rule.after),
        ("because", "\n".join(rule.equation)),
        ("if", "\n".join(f"· {condition}" for condition in rule.conditions)),
        ("numbers", _EXACTNESS[rule.exactness]),
        ("why", rule.why),
    ):
        console.print()
        console.print(Text(title, "cyan"))
        console.print(Padding(Text(body), (0, 0, 0, 2)))


_EXACTNESS = {
    "exact": "exact: the same numbers, bit for bit",
    "rounding": "rounding: the same real numbers; each new weight is computed in float64 and "
    "rounded once",
}


def show_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Versions, providers, the custom operators, and what is wrong."""
    table = Table.grid(padding=(0, 2))
    for package, version in diagnosis.versions.items():
        table.add_row(Text(package), Text(version or "missing", "" if version else "bold red"))
    table.add_row(Text("providers"), Text(", ".join(diagnosis.providers) or "none"))
    table.add_row(Text("custom operators"), Text(diagnosis.custom_operators))
    console.print(table)
    for remark in diagnosis.remarks:
        console.print(Text(remark, "dim"))
    for problem in diagnosis.problems:
        console.print(Text(f"problem: {safe_name(problem, longest=_LONG)}", "red"))
    show_line(f"normonnx: {'PASS' if diagnosis.healthy else 'FAIL'} doctor", console)


def show_error(error: NormonnxError, console: Console) -> None:
    """An error in its three lines, with nothing foreign left in them."""
    text = _error_text(error.message, error.where, error.hint)
    console.print(Text.assemble((f"error[{error.code}]: ", "bold red"), text), soft_wrap=True)


def _error_text(message: str, where: str, hint: str) -> Text:
    lines = [safe_name(message, longest=_LONG)]
    if where:
        lines.append(f"  {safe_name(where, longest=_LONG)}")
    if hint:
        lines.append(f"  hint: {safe_name(hint, longest=_LONG)}")
    return Text("\n".join(lines))


def _heading(name: str, facts: ModelFacts | None) -> Text:
    text = Text(safe_name(name), "bold")
    if facts is not None:
        parts = (
            f"opset {facts.opset}",
            f"IR {facts.ir_version}",
            f"{_magnitude(facts.parameters)} params",
            _size(facts.nbytes),
        )
        text.append(f"  {' · '.join(parts)}", "not bold")
    return text


def _show_failure(report: ModelReport, console: Console, verbosity: int) -> None:
    text = _error_text(report.error, report.error_where, report.error_hint)
    console.print(_indented(Text.assemble(("error", "bold red"), text)))
    if verbosity > 1:
        for line in report.traceback.splitlines():
            console.print(_indented(Text(safe_name(line, longest=_LONG), "dim")))


def _show_rules(lines: list[RuleLine], console: Console) -> None:
    if not any(line.fired for line in lines):
        console.print(_indented(Text("nothing to rewrite")))
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(overflow="fold")
    for line in lines:
        forms = Counter(rewrite.summary for rewrite in line.fired).most_common()
        shown = "".join(form for form, _ in forms[:1])
        if len(forms) > 1:
            shown += f"   and {counted(len(forms) - 1, 'other form')}"
        table.add_row(
            Text(f"  {line.code} {line.name}"),
            Text(f"{len(line.fired)} of {line.sites}"),
            Text(shown, "green"),
        )
    console.print(table)


def _show_misses(report: ModelReport, console: Console, verbosity: int) -> None:
    groups = group_misses(report.near_misses)
    shown = groups if verbosity else groups[:_GROUPS_SHOWN]
    for group in shown:
        console.print(_indented(_miss_text(group, _LONG if verbosity else _SITES_SHOWN)))
    hidden = sum(len(group.sites) for group in groups[len(shown) :])
    if hidden:
        console.print(_indented(Text(f"near misses: {hidden} more, -v lists all", "dim")))


def _miss_text(group: MissGroup, sites_shown: int) -> Text:
    sites = ", ".join(f"'{safe_name(site)}'" for site in group.sites[:sites_shown])
    more = len(group.sites) - sites_shown
    if more > 0:
        sites += f" and {more} more"
    text = Text("near miss  ", "yellow")
    reason = safe_name(group.reason, longest=_LONG)
    text.append(f"{group.rule} {safe_name(group.kind)} {sites}: {reason}", "not bold default")
    if group.remedy:
        text.append(f" ({safe_name(group.remedy, longest=_LONG)})", "cyan")
    return text


def _show_nodes(rewrites: Iterable[Rewrite], console: Console) -> None:
    for rewrite in rewrites:
        title = Text(f"{rewrite.rule} {safe_name(rewrite.summary)}", "cyan")
        title.append(f"   {safe_name(rewrite.certificate)}", "dim")
        console.print(_indented(title))
        for sign, colour, nodes in (("-", "red", rewrite.removed), ("+", "green", rewrite.added)):
            for operator, name in nodes:
                line = f"{sign} {safe_name(operator)} {safe_name(name)}"
                console.print(Padding(Text(line, colour), (0, 0, 0, 4)))


def _show_verdict(verdict: Verdict, console: Console) -> None:
    console.print(_indented(Text(safe_name(verdict.line(), longest=_LONG))))
    for warning in verdict.warnings:
        console.print(_indented(Text(safe_name(warning, longest=_LONG), "yellow")))


def _difference(before: ModelFacts, after: ModelFacts) -> str:
    parts = [f"nodes {before.nodes:,} → {after.nodes:,}"]
    names = sorted({*before.operators, *after.operators})
    changes = [
        (before.operators.get(name, 0), after.operators.get(name, 0), name) for name in names
    ]
    changes = [change for change in changes if change[0] != change[1]]
    changes.sort(key=lambda change: -abs(change[1] - change[0]))
    parts += [f"{safe_name(name)} {old} → {new}" for old, new, name in changes[:_OPERATORS_SHOWN]]
    if before.opset != after.opset:
        parts.append(f"opset {before.opset} → {after.opset}")
    if _size(before.nbytes) != _size(after.nbytes):
        parts.append(f"{_size(before.nbytes)} → {_size(after.nbytes)}")
    return " · ".join(parts)


def _ending(report: ModelReport) -> Text:
    seconds = f"{report.seconds:.1f} s"
    if report.written is None:
        return Text(f"nothing written  {seconds}", "dim")
    text = Text(safe_name(Path(report.written.path).name), "bold")
    text.append(f"  sha256 {report.written.sha256[:12]}", "not bold")
    return text.append(f"  {_size(report.written.nbytes)}  {seconds}", "not bold")


def _indented(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 2))


def _magnitude(count: int) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= limit:
            return f"{count / limit:.1f} {unit}"
    return str(count)


def _size(nbytes: int) -> str:
    for limit, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if nbytes >= limit:
            return f"{nbytes / limit:.1f} {unit}"
    return f"{nbytes} B"
