"""One model of many: what goes wrong with it is its report and nobody else's."""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from normonnx import api
from normonnx.errors import (
    ExitCode,
    InternalError,
    NormonnxError,
    UsageError,
    WriteError,
    ours,
)
from normonnx.options import Options
from normonnx.plan import Plan
from normonnx.report import ModelReport, Status, Written, safe_name

_BENCH_SECONDS = 3.0


class Task(Struct, frozen=True):
    """One model and what to do with it; plain data, so that another process can have it.

    Attributes:
        source: a path, or ``-`` for standard input.
        destination: where to write the result; None to write nothing.
        options: see `api.optimize`, as for the next two.
        plan: the rewrites to make; None for all.
        partial: make what of the plan still fits.
        bench: measure the result against the model when it is fine.
        name: what to call the model; "" for the name of its file.
    """

    source: str
    destination: Path | None
    options: Options = Options()
    plan: Plan | None = None
    partial: bool = False
    bench: bool = False
    name: str = ""

    def absolute(self) -> Task:
        """The same for whoever works in another directory."""
        return replace(
            self,
            source=self.source if self.source == "-" else os.path.abspath(self.source),
            destination=None
            if self.destination is None
            else Path(os.path.abspath(self.destination)),
            options=self.options.absolute(),
        )


Deliver = Callable[[api.Optimized], Written]
"""Takes the result somewhere else than to a file."""


def optimize_one(
    task: Task, *, progress: api.Progress | None = None, deliver: Deliver | None = None
) -> ModelReport:
    """Optimise and write one model; whatever goes wrong with it becomes the report.

    Raises:
        UsageError: the task makes no sense, for any model or for this one.
    """
    start = time.perf_counter()
    try:
        result = api.optimize(
            task.source,
            options=task.options,
            plan=task.plan,
            partial=task.partial,
            progress=progress,
        )
        report = replace(result.report, name=_name(task), source=_source(task))
        if report.exit_code is ExitCode.OK and task.bench:
            report = _benched(task, result, report, progress)
        if report.exit_code is ExitCode.OK:
            if deliver is not None:
                report = _delivered(report, deliver(result))
            elif task.destination is not None:
                report = _delivered(report, _write(result, task.destination))
        return replace(report, seconds=time.perf_counter() - start)
    except UsageError:
        raise
    except Exception as error:
        return _failed(task, error, start)


def _delivered(report: ModelReport, written: Written) -> ModelReport:
    """The report of a model that was written, with the size of its file."""
    after = report.after
    if after is not None:
        after = replace(after, file_bytes=written.nbytes)
    return replace(report, written=written, after=after)


def optimize_each(task: Task, run: Callable[[Task], ModelReport] = optimize_one) -> ModelReport:
    """Do one of several tasks: what makes no sense for its model is its report, too."""
    start = time.perf_counter()
    try:
        return run(task)
    except UsageError as error:
        return _failed(task, error, start)


def _benched(
    task: Task, result: api.Optimized, report: ModelReport, progress: api.Progress | None
) -> ModelReport:
    """The report with a benchmark, or with a note why there is none."""
    try:
        measured = api.bench(
            result.original,
            result.model,
            providers=task.options.providers,
            seed=task.options.seed,
            custom_ops=task.options.custom_ops,
            seconds=_BENCH_SECONDS,
            progress=progress,
        )
    except NormonnxError as error:
        note = f"not measured: {error.message}"
        return replace(report, notes=(*report.notes, note))
    return replace(report, bench=measured.named("before", "after"))


def _failed(task: Task, caught: Exception, start: float) -> ModelReport:
    """The report of a model that could not be done."""
    error = ours(caught)
    return ModelReport(
        name=_name(task),
        source=_source(task),
        status=_status(error),
        target=task.options.target,
        error=error.message,
        error_code=error.code,
        error_where=error.where,
        error_hint=error.hint,
        traceback="".join(traceback.format_exception(caught)),
        seconds=time.perf_counter() - start,
    )


def _status(error: NormonnxError) -> Status:
    """What became of a model that could not be done: refused, or nobody can say."""
    if isinstance(error, InternalError | WriteError):
        return "error"
    return "inconclusive" if error.exit_code is ExitCode.INCONCLUSIVE else "refused"


def _name(task: Task) -> str:
    return task.name or ("<stdin>" if task.source == "-" else os.path.basename(task.source))


def _source(task: Task) -> str:
    return "" if task.source == "-" else task.source


def _write(result: api.Optimized, destination: Path) -> Written:
    saved = result.save(destination)
    return Written(
        str(destination),
        saved.sha256,
        saved.nbytes,
        None if saved.data is None else str(saved.data),
        tuple(_shown(saved.removed)),
        tuple(_shown(saved.left)),
    )


def _shown(paths: Iterable[Path]) -> Iterator[str]:
    """Paths as one would name them from here."""
    for path in paths:
        with contextlib.suppress(ValueError):
            yield str(path.relative_to(Path.cwd()))
            continue
        yield str(path)


def died(task: Task, of: str = "") -> ModelReport:
    """The report of a model whose process is gone.

    Args:
        task: what the process worked on.
        of: what it died of, where that is known.
    """
    return ModelReport(
        name=_name(task),
        source=_source(task),
        status="error",
        target=task.options.target,
        error=f"the process that worked on {safe_name(task.source)!r} died{of and f' ({of})'}",
        error_code=InternalError.code,
        error_hint="out of memory, or a crash in ONNX Runtime: try this model alone",
    )
