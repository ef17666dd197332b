"""Who gets what: results on standard output, progress on a terminal, reports in their files."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, TextIO

import click

from normonnx.cli.destinations import PIPE
from normonnx.cli.parameters import COLOUR
from normonnx.cli.value_types import ReportTarget

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from normonnx.report import Reportable


def console_on(stream: TextIO) -> Console:
    """A console on `stream`, in colour where --color, or the stream, says so."""
    from normonnx.report.terminal import console_for

    context = click.get_current_context(silent=True)
    return console_for(stream, "auto" if context is None else context.meta.get(COLOUR, "auto"))


def console_for_people(
    reports: Sequence[ReportTarget] = (), *, stdout_taken: bool = False
) -> Console:
    """A console on standard output, or on standard error if a model or report goes there."""
    taken = stdout_taken or any(str(path) == PIPE for _, path in reports)
    return console_on(sys.stderr if taken else sys.stdout)


def write_reports(reports: Sequence[ReportTarget], result: Reportable) -> None:
    """Write a result in each format to its path, and say so.

    Raises:
        WriteError: a path cannot be written.
    """
    if not reports:
        return
    from normonnx.model_io import write_bytes
    from normonnx.report import render

    for form, path in reports:
        text = render(result, form)
        if str(path) == PIPE:
            sys.stdout.write(text)
        else:
            write_bytes(path.absolute(), text.encode())
            tell_place(path)


def tell_place(path: object) -> None:
    """Say on standard error where something was written."""
    from normonnx.report.notices import show_place

    show_place(path, console_on(sys.stderr))


def show_as(form: str, result: Reportable) -> bool:
    """Print a result as --format says; whether there is nothing left to print.

    Args:
        form: "text", "json" or "github".
        result: of a command.
    """
    if form == "text":
        return False
    if form == "json":
        from normonnx.report import render_json

        sys.stdout.write(render_json(result))
        return True
    from normonnx.report.github import annotated

    for line in annotated(result):
        sys.stdout.write(f"{line}\n")
    return False


def on_github() -> bool:
    """Whether GitHub Actions runs this."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def tell_github(result: Reportable, stream: IO[str]) -> None:
    """Annotate the run and add to the job's summary, where GitHub Actions runs this.

    Raises:
        WriteError: the summary cannot be written.
    """
    if not on_github():
        return
    from normonnx.errors import WriteError
    from normonnx.report.github import MOST_BYTES, annotated, summary

    for line in annotated(result):
        stream.write(f"{line}\n")
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(summary(result, room=MOST_BYTES - file.tell()))
    except OSError as error:
        raise WriteError(f"cannot write the summary: {error.strerror}", where=path) from error


class Watcher:
    """Says on a terminal what is going on; says nothing where nobody watches."""

    def __init__(self, bar: Progress | None) -> None:
        self._bar = bar
        self._task = None if bar is None else bar.add_task("", total=None)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show what is being done, how much of it is done, and of how much."""
        if self._bar is None or self._task is None:
            return
        from normonnx.report import safe_name

        # Without a total the bar pulses: how long the work takes is not known.
        self._bar.update(
            self._task, description=safe_name(what), completed=done, total=total or None
        )

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Take the display away while results are printed on the same terminal."""
        if self._bar is None:
            yield
            return
        self._bar.stop()
        yield
        self._bar.start()


@contextlib.contextmanager
def watching(*, quiet: bool) -> Iterator[Watcher]:
    """A watcher on standard error for as long as work is done."""
    if quiet or not sys.stderr.isatty():
        yield Watcher(None)
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console_on(sys.stderr), transient=True) as bar:
        yield Watcher(bar)
