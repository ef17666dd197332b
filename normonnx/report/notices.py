"""What goes to standard error: what went wrong, and what was written where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from normonnx.report.layout import LONG, magnitude_of_bytes, print_text
from normonnx.report.names import safe_name
from normonnx.report.result import ModelReport, Written

if TYPE_CHECKING:
    from normonnx.errors import NormonnxError

_PIPE = "-"


def show_error(error: NormonnxError, console: Console) -> None:
    """An error in its three lines, with nothing foreign left in them."""
    _show_lines(error.code, error.message, error.where, error.hint, console)


def show_failure(report: ModelReport, console: Console, *, verbosity: int = 0) -> None:
    """Why nothing became of a model.

    Args:
        report: of a model with an error.
        console: on standard error.
        verbosity: from 2 on with the traceback.
    """
    where = report.error_where
    if report.name not in where and report.name not in report.error:
        where = f"{report.name}: {where}" if where else report.name
    _show_lines(report.error_code, report.error, where, report.error_hint, console)
    if verbosity > 1:
        for line in report.traceback.splitlines():
            print_text(Text(safe_name(line, longest=LONG), "dim"), console, 4)


def show_why_not(report: ModelReport, console: Console) -> None:
    """Where no results are shown: why a model did not pass, in a line."""
    verdict = report.verdict
    if verdict is not None and not verdict.passed:
        line = f"{safe_name(report.name)}: {safe_name(verdict.line(), longest=LONG)}"
        console.print(Text(line), soft_wrap=True)
    for miss in report.unfit:
        line = f"no longer fits: {miss.rule} '{miss.site}': {miss.reason}"
        console.print(
            Text(f"{safe_name(report.name)}: {safe_name(line, longest=LONG)}"), soft_wrap=True
        )


def show_ending(report: ModelReport, console: Console, *, quiet: bool = False) -> None:
    """What was written where, what became of old data files, and how long all of it took.

    Args:
        report: of a model that was optimised.
        console: on standard error.
        quiet: say nothing where nothing was written.
    """
    written = report.written
    if written is not None:
        _show_written(written, report.seconds, console)
    elif not quiet:
        why = " (--no-verify writes it unjudged)" if report.status == "inconclusive" else ""
        name = safe_name(report.name)
        console.print(Text(f"nothing written for {name}{why}  {report.seconds:.1f} s", "dim"))


def show_place(path: object, console: Console) -> None:
    """Where a report, data or a plan was written."""
    console.print(Text(f"written to {safe_name(path, longest=LONG)}"), soft_wrap=True)


def _show_written(written: Written, seconds: float, console: Console) -> None:
    place = "standard output" if written.path == _PIPE else safe_name(written.path, longest=LONG)
    text = Text("written to ").append(place, "bold")
    text.append(f"  sha256 {written.sha256[:12]}")
    text.append(f"  {magnitude_of_bytes(written.nbytes)}  {seconds:.1f} s")
    console.print(text, soft_wrap=True)
    for path in written.removed:
        console.print(Text(f"removed {safe_name(path, longest=LONG)}"), soft_wrap=True)
    for path in written.left:
        text = Text(f"{safe_name(path, longest=LONG)} stays: another model may need it")
        console.print(text, soft_wrap=True)


def _show_lines(code: str, message: str, where: str, hint: str, console: Console) -> None:
    head = (f"error[{code}]: " if code else "error: ", "bold red")
    first = Text.assemble(head, safe_name(message, longest=LONG))
    console.print(first, soft_wrap=True)
    for line in (where, f"hint: {hint}" if hint else ""):
        if line:
            console.print(Text(f"  {safe_name(line, longest=LONG)}"), soft_wrap=True)
