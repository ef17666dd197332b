"""A crew of processes, one task each at a time: who dies takes one task along and is replaced.

The pools of the standard library break as a whole when one of their processes is killed, and do
not say which task it was.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from msgspec import Struct

from normonnx.fleet.one import Task, died, optimize_each
from normonnx.report import ModelReport

Run = Callable[[Task], ModelReport]

_SECONDS_TO_GO = 10
"""What a process may take to be gone, once it has closed its connection."""

_KILLED_FIRST = "1000"
"""What the kernel, when it runs out of memory, is told of a worker: take this one."""


class _Worker(Struct):
    process: BaseProcess
    connection: Connection
    index: int | None = None

    def end(self) -> str:
        """Be sure that it is gone; what it died of, if it died by itself."""
        self.connection.close()
        self.process.join(_SECONDS_TO_GO)
        code = self.process.exitcode
        self.process.kill()
        self.process.join()
        if code is None:
            return ""
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
        return f"exit code {code}"


def crew(tasks: Mapping[int, Task], workers: int, run: Run) -> Iterator[tuple[int, ModelReport]]:
    """Do tasks in processes.

    Args:
        tasks: by a number of the caller's.
        workers: how many processes there may be.
        run: what to do with a task, a function at the top level of a module.

    Yields:
        The number of a task and its report, as soon as it is done.
    """
    waiting = list(tasks.items())[::-1]
    crew: list[_Worker] = []
    try:
        while waiting or crew:
            _put_to_work(crew, waiting, workers, run)
            for worker in _ready(crew):
                index = worker.index
                assert index is not None
                try:
                    report: ModelReport = worker.connection.recv()
                except (EOFError, OSError):
                    crew.remove(worker)
                    report = died(tasks[index], worker.end())
                worker.index = None
                yield index, report
            if not waiting:
                for worker in [worker for worker in crew if worker.index is None]:
                    crew.remove(worker)
                    worker.end()
    finally:
        for worker in crew:
            worker.process.kill()
            worker.end()


def _put_to_work(
    crew: list[_Worker], waiting: list[tuple[int, Task]], workers: int, run: Run
) -> None:
    """Give a task to everybody who has none, and hire while there are more tasks than hands."""
    while waiting:
        worker = next((worker for worker in crew if worker.index is None), None)
        if worker is None:
            if len(crew) >= workers:
                return
            worker = _hired(run)
            crew.append(worker)
        index, task = waiting[-1]
        try:
            worker.connection.send(task)
        except OSError:  # it died while it had nothing to do: nothing is lost
            crew.remove(worker)
            worker.end()
            continue
        worker.index = index
        waiting.pop()


def _ready(crew: list[_Worker]) -> list[_Worker]:
    connections = set(wait([worker.connection for worker in crew if worker.index is not None]))
    return [worker for worker in crew if worker.connection in connections]


def _hired(run: Run) -> _Worker:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, run), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _serve(connection: Connection, run: Run) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us decides when to stop
    _stand_back()
    with contextlib.suppress(EOFError):
        while True:
            connection.send(optimize_each(connection.recv(), run))


def _stand_back() -> None:
    """Have no more memory than the machine, and be the first to go when that runs out."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_KILLED_FIRST)
    with contextlib.suppress(ImportError, OSError, ValueError, AttributeError):
        import resource

        # Private memory only: weights that stay on disk are mapped, and may be larger.
        most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
