"""``normonnx optimize``: from options to tasks, from reports to the screen and the exit code."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from normonnx.cli.destinations import (
    PIPE,
    destinations,
    refuse_mixtures,
    refuse_overwriting,
    refuse_written,
    touched,
)
from normonnx.cli.parameters import (
    FILE,
    UNTRUSTED,
    asked,
    formatting,
    judging,
    reading,
    reporting,
    rewriting,
    simplifying,
    talking,
)
from normonnx.cli.streams import (
    Watcher,
    console_for_people,
    console_on,
    show_as,
    tell_github,
    tell_place,
    watching,
    write_reports,
)
from normonnx.cli.value_types import NumberType
from normonnx.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from normonnx.api import Optimized
    from normonnx.fleet import Task
    from normonnx.plan import Plan
    from normonnx.report import Look, ModelReport, RunReport, Written


@click.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where to write the result, - for standard output.  [default: <name>.optimized.onnx]",
)
@click.option(
    "--output-dir", type=FILE, metavar="DIR", help="Where to write several, under their names."
)
@click.option("--in-place", is_flag=True, help="Write results over the models themselves.")
@rewriting
@simplifying
@click.option("--no-verify", is_flag=True, help="Do not judge the result.")
@judging
@click.option("--bench", is_flag=True, help="Measure how much faster it is, a few seconds.")
@formatting("json", "github")
@reporting
@click.option("--dry-run", is_flag=True, help="Do everything, list the rewrites, write nothing.")
@click.option(
    "--plan",
    type=FILE,
    metavar="PATH",
    help="Write the rewrites as data: `normonnx apply` makes them on another checkpoint.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if there is anything to do.")
@click.option("--diff", is_flag=True, help="Write nothing; list nodes that go and come.")
@click.option(
    "--jobs", type=NumberType(1, whole=True), default=1, show_default=True, help="Models at a time."
)
@click.option(
    "--dask", metavar="ADDRESS", help="Do the models on a Dask cluster, such as tcp://host:8786."
)
@click.option("--resume", is_flag=True, help="Skip what an earlier run with --resume has finished.")
@click.option("--untrusted", is_flag=True, help=UNTRUSTED)
@reading
@talking
def optimize(models: tuple[str, ...], **options: Any) -> ExitCode:
    """Fold and fuse normalisation, judge the result, and write it.

    MODEL is a file, a directory with models anywhere below, or - for standard input.
    """
    tasks = _tasks(models, options)
    if options["plan"] is not None and len(tasks) > 1:
        raise UsageError("--plan is for one model")
    if options["resume"] and (options["output_dir"] is None or not _writes(options)):
        raise UsageError("--resume needs --output-dir, where it looks for what is finished")
    run = carry_out(tasks, options)
    if options["plan"] is not None and run.models and run.models[0].exit_code is ExitCode.OK:
        _plan(run.models[0], options).save(options["plan"])
        tell_place(options["plan"])
    return run.exit_code


def _versions() -> dict[str, str]:
    from normonnx.doctor import versions

    return versions()


def carry_out(tasks: list[Task], options: dict[str, Any]) -> RunReport:
    """Do the tasks, show each as it is done, and write the reports.

    Args:
        tasks: what to do.
        options: of the command line, as `optimize` has them.
    """
    from normonnx.report import RunReport
    from normonnx.report.terminal import show_line

    to_stdout = _writes(options) and tasks[0].destination is None
    console = console_for_people(options["reports"], stdout_taken=to_stdout)
    shows = partial(_show, options=options, console=console, errors=console_on(sys.stderr))
    reports: dict[int, ModelReport] = {}
    interrupted = False
    with watching(quiet=options["quiet"]) as watcher:
        try:
            for index, report in _work(tasks, options, watcher, to_stdout=to_stdout):
                reports[index] = report
                with watcher.aside():
                    shows(report)
        except KeyboardInterrupt:
            interrupted = True
    run = RunReport(
        tuple(reports[index] for index in sorted(reports)),
        command=tuple(sys.argv[1:]),
        versions=_versions() if options["reports"] or options["form"] == "json" else {},
        interrupted=interrupted,
        asked=len(tasks),
        look=_look(options),
    )
    write_reports(options["reports"], run)
    tell_github(run, console.file)
    if not show_as(options["form"], run):
        show_line(run.line(), console)
    return run


def _look(options: dict[str, Any]) -> Look | None:
    if options["check"]:
        return "check"
    return "diff" if options["diff"] else None


def _plan(report: ModelReport, options: dict[str, Any]) -> Plan:
    from normonnx.plan import Plan

    return Plan.of(report.rewrites, asked(options), model=report.name)


def _writes(options: dict[str, Any]) -> bool:
    return not (options["dry_run"] or options["check"] or options["diff"])


def _tasks(models: tuple[str, ...], options: dict[str, Any]) -> list[Task]:
    from normonnx.fleet import Task
    from normonnx.fleet.sources import called, models_among

    refuse_mixtures(models, options["output"], options["output_dir"])
    found = models_among(models, outside=options["output_dir"])
    places = (
        destinations(found, options["output"], options["output_dir"], in_place=options["in_place"])
        if _writes(options)
        else [None] * len(found)
    )
    sources = [entry.source for entry in found]
    refuse_written(options["reports"], sources, places)
    if options["plan"] is not None:
        refuse_overwriting(touched(sources, places), "--plan", options["plan"])
    judged = not (options["no_verify"] or options["check"] or options["diff"])
    given = asked(options, verify=judged)
    return [
        Task(entry.source, destination, given, bench=options["bench"], name=name)
        for entry, destination, name in zip(found, places, called(sources), strict=True)
    ]


def _work(
    tasks: list[Task], options: dict[str, Any], watcher: Watcher, *, to_stdout: bool
) -> Iterator[tuple[int, ModelReport]]:
    from normonnx.fleet import optimize_one, work_through
    from normonnx.fleet.finished import Finished

    if to_stdout:
        yield 0, optimize_one(tasks[0], progress=watcher, deliver=_to_stdout)
        return
    finished = Finished(options["output_dir"]) if options.get("resume") else None
    work = partial(work_through, tasks, finished=finished, progress=watcher)
    if options.get("dask") is None:
        yield from work(workers=options["jobs"])
        return
    from normonnx.fleet.cluster import cluster

    # The workers have directories of their own to work in.
    tasks[:] = [task.absolute() for task in tasks]
    with cluster(options["dask"]) as executor:
        yield from work(executor=executor)


def _to_stdout(result: Optimized) -> Written:
    from normonnx.report import Written

    content = result.to_bytes()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
    return Written(PIPE, hashlib.sha256(content).hexdigest(), len(content))


def _show(
    report: ModelReport, *, options: dict[str, Any], console: Console, errors: Console
) -> None:
    """Show what became of one model; what went wrong, and where it was written, on `errors`."""
    from normonnx.report.notices import show_ending, show_failure, show_why_not
    from normonnx.report.terminal import show_changes, show_check, show_model

    quiet = options["quiet"] or options["form"] != "text"
    if report.error:
        show_failure(report, errors, verbosity=options["verbose"])
    elif quiet:
        show_why_not(report, errors)
    elif options["diff"]:
        show_changes(report, console)
    elif options["check"]:
        show_check(report, console)
    else:
        show_model(report, console, verbosity=options["verbose"], with_nodes=options["dry_run"])
    if not report.error and _look(options) is None:
        show_ending(report, errors, quiet=quiet)
