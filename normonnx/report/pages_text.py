"""Pages for a person at a terminal: rules, errors, the state of the installation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from normonnx.report.layout import LONG, print_columns, print_text
from normonnx.report.names import safe_name
from normonnx.report.terminal import show_line
from normonnx.rules import EXACTNESS

if TYPE_CHECKING:
    from normonnx.doctor import Diagnosis
    from normonnx.error_pages import ErrorPage
    from normonnx.rules import Rule


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


def show_error_page(page: ErrorPage, console: Console) -> None:
    """An error's page."""
    print_text(Text(f"{page.code} {page.name}", "bold"), console, 0)
    print_text(Text(page.title), console, 0)
    for title, lines in (("causes", page.causes), ("what to do", page.remedies)):
        console.print()
        print_text(Text(title, "cyan"), console, 0)
        for line in lines:
            print_text(Text(f"· {line}"), console)
    console.print()
    print_text(Text("exit code", "cyan"), console, 0)
    print_text(Text(str(int(page.exit_code))), console)


def show_errors(pages: Iterable[ErrorPage], console: Console) -> None:
    """The errors in a line each."""
    rows = [[Text(page.code, "bold"), Text(page.name), Text(page.title)] for page in pages]
    print_columns(rows, console)


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
