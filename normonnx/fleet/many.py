"""Many models at once, and one report of all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from normonnx.errors import UsageError
from normonnx.fleet.one import Task, died, optimize_each, optimize_one
from normonnx.fleet.sources import models_among
from normonnx.options import Asked, Options
from normonnx.report import ModelReport, RunReport

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from normonnx.api import Progress
    from normonnx.fleet.crew import Run
    from normonnx.fleet.finished import Finished


def optimize_many(
    models: Iterable[str | os.PathLike[str]],
    output_dir: str | os.PathLike[str],
    *,
    executor: Executor | None = None,
    jobs: int = 1,
    resume: bool = False,
    progress: Progress | None = None,
    options: Options | None = None,
    **asked: Unpack[Asked],
) -> RunReport:
    """Optimise many models into a directory, each on its own.

    Args:
        models: paths of models, and of directories with models anywhere below.
        output_dir: where the results go: under the models' names, or their paths below the
            directory that was named.
        executor: any executor of `concurrent.futures`, such as a Dask client's
            (``client.get_executor()``); None for processes of this machine, which is where
            scripts must guard their ``__main__``.
        jobs: how many processes, without an executor.
        resume: skip what an earlier run with `resume` has finished: same content of the model and
            its data files, same options and version, and the result is still there as it was.
        progress: told how many are done.
        options: what is asked for, as for `optimize`.
        asked: fields of `normonnx.Options` by name, as for `optimize`.

    Returns:
        The reports in the order of the models. One model that fails, crashes or eats up the
        memory of its process is one report with that status.

    Raises:
        UsageError: two results would have one name, there are no models, or no such option.
    """
    from normonnx.doctor import versions
    from normonnx.fleet.finished import Finished

    directory = Path(output_dir)
    found = models_among(models, outside=directory)
    destinations = [directory / entry.name for entry in found]
    if len(set(destinations)) < len(destinations):
        raise UsageError("two models would become one file", hint="give them names of their own")
    sources = {Path(entry.source).resolve() for entry in found}
    for destination in destinations:
        if destination.resolve() in sources:
            raise UsageError(
                f"a result would overwrite the model {str(destination)!r}",
                hint="choose another directory",
            )
        destination.parent.mkdir(parents=True, exist_ok=True)
    options = (options or Options()).but(**asked)
    tasks = [
        Task(entry.source, destination, options).absolute()
        for entry, destination in zip(found, destinations, strict=True)
    ]
    finished = Finished(directory) if resume else None
    reports = dict(
        work_through(tasks, workers=jobs, executor=executor, finished=finished, progress=progress)
    )
    return RunReport(
        tuple(reports[index] for index in sorted(reports)), command=(), versions=versions()
    )


def work_through(
    tasks: Sequence[Task],
    *,
    workers: int = 1,
    executor: Executor | None = None,
    finished: Finished | None = None,
    progress: Progress | None = None,
    run: Run = optimize_one,
) -> Iterator[tuple[int, ModelReport]]:
    """Do tasks: a single one in this process, several each in a process that may die of it.

    Args:
        tasks: what to do.
        workers: how many processes, without an executor.
        executor: where to do it instead.
        finished: what need not be done again; what is done is added.
        progress: told how many are done, or what is being done.
        run: what to do with a task, a function at the top level of a module.

    Yields:
        The index of a task and its report, as soon as it is done.
    """
    if executor is None and len(tasks) == 1 and finished is None and run is optimize_one:
        yield 0, optimize_one(tasks[0], progress=progress)
        return
    from normonnx.fleet.crew import crew
    from normonnx.fleet.finished import fingerprint

    waiting = dict(enumerate(tasks))
    keys: dict[int, str | None] = {}
    done = 0
    if finished is not None:
        for index, task in enumerate(tasks):
            keys[index] = fingerprint(task)
            earlier = finished.report(task, keys[index])
            if earlier is None:
                continue
            del waiting[index]
            done += 1
            yield index, earlier
    spread = (
        crew(waiting, workers, run) if executor is None else on_executor(waiting, executor, run)
    )
    for index, report in spread:
        done += 1
        key = keys.get(index)
        if finished is not None and key is not None:
            finished.add(key, report)
        if progress is not None:
            progress(f"{done} of {len(tasks)} models", done, len(tasks))
        yield index, report


def on_executor(
    tasks: Mapping[int, Task], executor: Executor, run: Run = optimize_one
) -> Iterator[tuple[int, ModelReport]]:
    """Do tasks on an executor; what it loses is one report each.

    Args:
        tasks: by a number of the caller's.
        executor: of `concurrent.futures`, or like one.
        run: what to do with a task.

    Yields:
        The number of a task and its report, as soon as it is done.
    """
    from concurrent.futures import CancelledError, as_completed

    futures = {executor.submit(optimize_each, task, run): index for index, task in tasks.items()}
    try:
        for future in as_completed(futures):
            index = futures[future]
            try:
                report = future.result()
            except (Exception, CancelledError) as error:
                report = died(tasks[index], type(error).__name__)
            yield index, report
    finally:
        for future in futures:
            future.cancel()
