"""One model of many: what goes wrong with it is its report and nobody else's."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from normonnx import api
from normonnx.errors import ExitCode, InternalError, NormonnxError, UsageError
from normonnx.plan import Plan
from normonnx.report import ModelReport, Written, safe_name

_BENCH_SECONDS = 3.0


class Task(Struct, frozen=True):
    """One model and what to do with it; plain data, so that another process can have it.

    Attributes:
        source: a path, or ``-`` for standard input.
        destination: where to write the result; None to write nothing.
        target: see `api.optimize`, as for all below.
        opset: see `api.optimize`.
        verify: see `api.optimize`.
        freeze_initializers: see `api.optimize`.
        allow_duplicate: see `api.optimize`.
        rules_on: see `api.optimize`.
        rules_off: see `api.optimize`.
        providers: see `api.optimize`.
        seed: see `api.optimize`.
        custom_ops: see `api.optimize`.
        bench: measure the result against the model when it is fine.
        plan: see `api.optimize`.
        partial: see `api.optimize`.
        allow_data_dir: see `api.optimize`.
        allow_hardlinks: see `api.optimize`.
        untrusted: see `api.optimize`.
    """

    source: str
    destination: Path | None
    target: str = "onnx"
    opset: int | None = None
    verify: bool = True
    freeze_initializers: bool = False
    allow_duplicate: bool = False
    rules_on: tuple[str, ...] = ()
    rules_off: tuple[str, ...] = ()
    providers: tuple[str, ...] = ("cpu",)
    seed: int = 0
    custom_ops: tuple[Path, ...] = ()
    bench: bool = False
    plan: Plan | None = None
    partial: bool = False
    allow_data_dir: tuple[Path, ...] = ()
    allow_hardlinks: bool = False
    untrusted: bool = False

    def absolute(self) -> Task:
        """The same for whoever works in another directory."""
        return replace(
            self,
            source=self.source if self.source == "-" else os.path.abspath(self.source),
            destination=None
            if self.destination is None
            else Path(os.path.abspath(self.destination)),
            custom_ops=tuple(Path(os.path.abspath(path)) for path in self.custom_ops),
            allow_data_dir=tuple(Path(os.path.abspath(path)) for path in self.allow_data_dir),
        )


Deliver = Callable[[api.Optimized], Written]
"""Takes the result somewhere else than to a file."""


def optimize_one(
    task: Task, *, progress: api.Progress | None = None, deliver: Deliver | None = None
) -> ModelReport:
    """Optimise and write one model; whatever goes wrong with it becomes the report.

    Raises:
        UsageError: the task makes no sense, whatever the model.
    """
    start = time.perf_counter()
    try:
        result = api.optimize(
            task.source,
            target=task.target,
            opset=task.opset,
            verify=task.verify,
            freeze_initializers=task.freeze_initializers,
            allow_duplicate=task.allow_duplicate,
            rules_on=task.rules_on,
            rules_off=task.rules_off,
            providers=task.providers,
            seed=task.seed,
            custom_ops=task.custom_ops,
            allow_data_dir=task.allow_data_dir,
            allow_hardlinks=task.allow_hardlinks,
            untrusted=task.untrusted,
            plan=task.plan,
            partial=task.partial,
            progress=progress,
        )
        report = result.report
        if report.exit_code is ExitCode.OK and task.bench:
            report = _benched(task, result, progress)
        if report.exit_code is ExitCode.OK:
            if deliver is not None:
                report = replace(report, written=deliver(result))
            elif task.destination is not None:
                report = replace(report, written=_write(result, task.destination))
        return replace(report, seconds=time.perf_counter() - start)
    except UsageError:
        raise
    except NormonnxError as error:
        return _failed(task, error, start)
    except Exception as error:
        report = _failed(task, InternalError.of(error), start)
        return replace(report, status="error", traceback=traceback.format_exc())


def _benched(task: Task, result: api.Optimized, progress: api.Progress | None) -> ModelReport:
    """The report with a benchmark, or with a note why there is none."""
    try:
        measured = api.bench(
            result.original,
            result.model,
            providers=task.providers,
            seed=task.seed,
            custom_ops=task.custom_ops,
            seconds=_BENCH_SECONDS,
            progress=progress,
        )
    except NormonnxError as error:
        note = f"not measured: {error.message}"
        return replace(result.report, notes=(*result.report.notes, note))
    return replace(result.report, bench=measured.named("before", "after"))


def _failed(task: Task, error: NormonnxError, start: float) -> ModelReport:
    """The report of a model that could not be done."""
    lacks = error.exit_code is ExitCode.INCONCLUSIVE
    return ModelReport(
        name=_name(task),
        status="inconclusive" if lacks else "refused",
        target=task.target,
        error=error.message,
        error_code=error.code,
        error_where=error.where,
        error_hint=error.hint,
        seconds=time.perf_counter() - start,
    )


def _name(task: Task) -> str:
    return "<stdin>" if task.source == "-" else os.path.basename(task.source)


def _write(result: api.Optimized, destination: Path) -> Written:
    saved = result.save(destination)
    return Written(
        str(saved.path), saved.sha256, saved.nbytes, None if saved.data is None else str(saved.data)
    )


def died(task: Task, of: str = "") -> ModelReport:
    """The report of a model whose process is gone.

    Args:
        task: what the process worked on.
        of: what it died of, where that is known.
    """
    return ModelReport(
        name=_name(task),
        status="error",
        target=task.target,
        error=f"the process that worked on {safe_name(task.source)!r} died{of and f' ({of})'}",
        error_code=InternalError.code,
        error_hint="out of memory, or a crash in ONNX Runtime: try this model alone",
    )
