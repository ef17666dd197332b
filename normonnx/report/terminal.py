"""Results for a person at a terminal: about a dozen lines, one of them stable for scripts.

Everything is built from `rich.text.Text`, never from markup: names in a model are foreign text.
Lines wrap on a terminal; where nobody's window limits them they stay whole, for grep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.text import Text

from normonnx.report.grouping import Group, grouped, site_of
from normonnx.report.inspected import FUSED, Inspection, Site
from normonnx.report.layout import LONG, magnitude, magnitude_of_bytes, print_columns, print_text
from normonnx.report.names import safe_name
from normonnx.report.result import (
    ModelFacts,
    ModelReport,
    Verification,
    counted,
)
from normonnx.rules import EXACTNESS

if TYPE_CHECKING:
    from normonnx.doctor import Diagnosis
    from normonnx.errors import NormonnxError
    from normonnx.journal import Rewrite
    from normonnx.report.result import RuleLine
    from normonnx.rules import Rule

_GROUPS_SHOWN = 5
_NAMES_SHOWN = 2
_SITES_SHOWN = 8
_OPERATORS_SHOWN = 4
_ROWS_SHOWN = 60
_PATH_SHOWN = 48

_COLUMNS = ("rule", "kind", "where", "axes", "channels", "eps", "type", "verdict")
_COLOURS = {
    "FASTER": "bold green",
    "PASS": "bold green",
    "CLEAN": "bold green",
    "FAIL": "bold red",
    "SLOWER": "bold red",
    "REFUSED": "bold red",
}


def console_for(stream: TextIO) -> Console:
    """A console on `stream`; colour on a terminal only, and not where NO_COLOR is set."""
    return Console(file=stream, markup=False, emoji=False, highlight=False)


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
    print_text(_heading(report.name, report.before), console, 0)
    if report.error:
        _show_failure(report, console, verbosity)
        return
    _show_rules(report.rules(), console)
    _show_misses(report, console, verbosity)
    for item in report.reverted:
        what = f"{safe_name(item.rewrite.summary)} at '{safe_name(item.rewrite.site)}'"
        print_text(Text(f"taken back  {what}: {safe_name(item.reason)}", "yellow"), console)
    for miss in report.unfit:
        text = Text(f"no longer fits  {miss.rule} '{safe_name(miss.site)}': ", "red")
        print_text(text.append_text(_outcome(miss.reason, miss.remedy)), console)
    if verbosity or with_nodes:
        _show_nodes(report.rewrites, console)
    _show_difference(report, console)
    if report.verdict is not None:
        from normonnx.report.verdict_table import show_verdict

        show_verdict(report.verdict, console, verbosity=verbosity)
    if report.bench is not None:
        from normonnx.report.bench_table import show_bench

        show_bench(report.bench, console)
    print_text(_ending(report), console, 0)


def show_changes(report: ModelReport, console: Console) -> None:
    """What would change and nothing else."""
    print_text(_heading(report.name, report.before), console, 0)
    if report.error:
        _show_failure(report, console, verbosity=0)
        return
    _show_nodes(report.rewrites, console)
    _show_difference(report, console)


def show_check(report: ModelReport, console: Console) -> None:
    """One line: is there anything to do?"""
    text = _heading(report.name, None)
    if not report.error:
        text.append(f"  {counted(len(report.rewrites), 'rewrite')} to make", "not bold")
    print_text(text, console, 0)
    if report.error:
        _show_failure(report, console, verbosity=0)


def show_verification(result: Verification, console: Console, *, verbosity: int = 0) -> None:
    """The verdict on two models."""
    title = f"{safe_name(result.original)} → {safe_name(result.optimized)}"
    from normonnx.report.verdict_table import show_metrics, show_verdict

    print_text(Text(title, "bold"), console, 0)
    show_verdict(result.verdict, console, verbosity=verbosity)
    show_metrics(result.verdict, console, verbosity=verbosity)
    show_line(result.line(), console)


def show_inspection(result: Inspection, console: Console, *, verbosity: int = 0) -> None:
    """A table of every site; then, for those that stay, why and what to do.

    Args:
        result: of an inspection.
        console: where to print.
        verbosity: from 1 on every row and the names of all nodes.
    """
    print_text(_heading(result.name, result.facts), console, 0)
    shown = result.sites if verbosity else result.sites[:_ROWS_SHOWN]
    if shown:
        rows = [[Text(title, "cyan") for title in _COLUMNS]]
        print_columns([*rows, *(_site_row(site) for site in shown)], console)
    if len(shown) < len(result.sites):
        rest = len(result.sites) - len(shown)
        print_text(Text(f"and {rest:,} more, -v lists all", "dim"), console)
    staying = grouped(site for site in result.sites if site.verdict == "stays")
    for group in staying:
        _show_group(group, console, verbosity)
    _show_notes(result.notes, console)
    show_line(result.line(), console)


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


def show_rule(rule: Rule, console: Console) -> None:
    """A rule's page."""
    print_text(Text(f"{rule.code} {rule.name}", "bold"), console, 0)
    print_text(Text(rule.title), console, 0)
    for title, body in (
        ("before", rule.before),
        ("after", rule.after),
        ("because", "\n".join(rule.equation)),
        ("if", "\n".join(f"· {condition}" for condition in rule.conditions)),
        ("numbers", EXACTNESS[rule.exactness]),
        ("why", rule.why),
        ("default", "on" if rule.by_default else f"off: --rule {rule.code} turns it on"),
    ):
        console.print()
        print_text(Text(title, "cyan"), console, 0)
        for line in body.splitlines():
            print_text(Text(line), console)


def show_rules(rules: Iterable[Rule], console: Console) -> None:
    """The rules in a line each."""
    rows = [
        [
            Text(rule.code, "bold"),
            Text(rule.name),
            Text(rule.title, "" if rule.by_default else "dim"),
        ]
        for rule in rules
    ]
    print_columns(rows, console)


def show_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Versions, providers, the custom operators, and what is wrong."""
    rows = [
        [Text(package), Text(version or "missing", "" if version else "bold red")]
        for package, version in diagnosis.versions.items()
    ]
    rows.append([Text("providers"), Text(", ".join(diagnosis.providers) or "none")])
    rows.append([Text("custom operators"), Text(diagnosis.custom_operators)])
    print_columns(rows, console)
    for remark in diagnosis.remarks:
        print_text(Text(remark, "dim"), console)
    for problem in diagnosis.problems:
        print_text(Text(f"problem: {safe_name(problem, longest=LONG)}", "red"), console)
    show_line(f"normonnx: {'PASS' if diagnosis.healthy else 'FAIL'} doctor", console)


def show_error(error: NormonnxError, console: Console) -> None:
    """An error in its three lines, with nothing foreign left in them."""
    first, *others = _error_lines(error.message, error.where, error.hint)
    console.print(_error_head(error.code, first), soft_wrap=True)
    for line in others:
        console.print(Text(f"  {line}"), soft_wrap=True)


def _heading(name: str, facts: ModelFacts | None) -> Text:
    text = Text(safe_name(name), "bold")
    if facts is not None:
        parts = (
            f"opset {facts.opset}",
            f"IR {facts.ir_version}",
            f"{magnitude(facts.parameters)} params",
            magnitude_of_bytes(facts.nbytes),
        )
        text.append(f"  {' · '.join(parts)}", "not bold")
    return text


def _error_lines(message: str, where: str, hint: str) -> list[str]:
    lines = [safe_name(message, longest=LONG)]
    if where:
        lines.append(safe_name(where, longest=LONG))
    if hint:
        lines.append(f"hint: {safe_name(hint, longest=LONG)}")
    return lines


def _error_head(code: str, message: str) -> Text:
    return Text.assemble((f"error[{code}]: " if code else "error: ", "bold red"), message)


def _show_failure(report: ModelReport, console: Console, verbosity: int) -> None:
    first, *others = _error_lines(report.error, report.error_where, report.error_hint)
    print_text(_error_head(report.error_code, first), console)
    for line in others:
        print_text(Text(line), console, 4)
    if verbosity > 1:
        for line in report.traceback.splitlines():
            print_text(Text(safe_name(line, longest=LONG), "dim"), console, 4)


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
            _show_group(group, console, verbosity)
        return
    groups.sort(key=lambda group: -len(group.sites))
    for group in groups[:_GROUPS_SHOWN]:
        names = ", ".join(f"'{safe_name(site.name)}'" for site in group.sites[:_NAMES_SHOWN])
        more = len(group.sites) - _NAMES_SHOWN
        if more > 0:
            names += f" and {more:,} more"
        text = Text.assemble(("near miss  ", "yellow"))
        text.append(f"{group.rule} {safe_name(group.kind)} {names}: ")
        print_text(text.append_text(_outcome(group.outcome, group.remedy)), console)
    hidden = sum(len(group.sites) for group in groups[_GROUPS_SHOWN:])
    if hidden:
        print_text(Text(f"near misses: {hidden:,} more, -v lists all", "dim"), console)


def _show_group(group: Group, console: Console, verbosity: int) -> None:
    """What happens to the sites of a group, then their names."""
    word, colour = ("→ ", "green") if group.rewritten else ("stays: ", "yellow")
    count = f"{len(group.sites):,} × " if len(group.sites) > 1 else ""
    title = Text(f"{group.rule} {count}{safe_name(group.kind)}  ")
    title.append(word, colour).append_text(_outcome(group.outcome, group.remedy))
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


def _outcome(outcome: str, remedy: str) -> Text:
    text = Text(safe_name(outcome, longest=LONG))
    if remedy:
        text.append(f" ({safe_name(remedy, longest=LONG)})", "cyan")
    return text


def _show_nodes(rewrites: Iterable[Rewrite], console: Console) -> None:
    for rewrite in rewrites:
        title = Text(f"{rewrite.rule} {safe_name(rewrite.summary)}", "cyan")
        title.append(f"   {safe_name(rewrite.certificate)}", "dim")
        print_text(title, console)
        for sign, colour, nodes in (("-", "red", rewrite.removed), ("+", "green", rewrite.added)):
            for operator, name in nodes:
                line = f"{sign} {safe_name(operator)} {safe_name(name)}"
                print_text(Text(line, colour), console, 4)


def _show_difference(report: ModelReport, console: Console) -> None:
    if report.before is not None and report.after is not None:
        print_text(Text(_difference(report.before, report.after)), console)
    _show_notes(report.notes, console)


def _show_notes(notes: Iterable[str], console: Console) -> None:
    for note in notes:
        print_text(Text(safe_name(note, longest=LONG), "dim"), console)


def _difference(before: ModelFacts, after: ModelFacts) -> str:
    parts = [f"nodes {before.nodes:,} → {after.nodes:,}"]
    names = sorted({*before.operators, *after.operators})
    counts = [(before.operators.get(n, 0), after.operators.get(n, 0), n) for n in names]
    changes = [change for change in counts if change[0] != change[1]]
    changes.sort(key=lambda change: -abs(change[1] - change[0]))
    parts += [f"{safe_name(name)} {old} → {new}" for old, new, name in changes[:_OPERATORS_SHOWN]]
    if magnitude_of_bytes(before.nbytes) != magnitude_of_bytes(after.nbytes):
        parts.append(f"{magnitude_of_bytes(before.nbytes)} → {magnitude_of_bytes(after.nbytes)}")
    return " · ".join(parts)


def _ending(report: ModelReport) -> Text:
    seconds = f"{report.seconds:.1f} s"
    if report.written is None:
        way_out = " (--no-verify writes it unjudged)" if report.status == "inconclusive" else ""
        return Text(f"nothing written{way_out}  {seconds}", "dim")
    text = Text(safe_name(Path(report.written.path).name), "bold")
    text.append(f"  sha256 {report.written.sha256[:12]}", "not bold")
    return text.append(f"  {magnitude_of_bytes(report.written.nbytes)}  {seconds}", "not bold")
