"""Calls in a process of their own: what crashes, hangs or eats the memory there is told, not met.

The processes are forked from a server that imported everything once and did nothing else, so that
a new one costs milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

PRELOADED = ("normonnx.cli", "normonnx.api", "normonnx.fleet", "onnxruntime", "onnx.checker")
_STARTING_SECONDS = 120.0
_READY = "ready"
_GLANCE = 0.5
"""Seconds between two looks at what a process does."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call.

    Attributes:
        end: "done", "died" or "hung".
        value: what the function returned, or what the process died of.
        grown: by how many bytes the process was larger at its largest than before the call.
    """

    end: str
    value: Any
    grown: int = 0


class Guarded:
    """A function that is called in another process, which is replaced when it is lost.

    Args:
        function: at the top level of a module.
        seconds: of processor time that one call may take before it counts as hung.
        memory: bytes of address space a process may take more than it has when it starts.
    """

    def __init__(
        self, function: Callable[..., Any], *, seconds: float = 60.0, memory: int = 4 << 30
    ) -> None:
        self._function = function
        self._seconds = seconds
        self._memory = memory
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lose()

    def __call__(self, *arguments: Any) -> Answer:
        """Call it; an exception of the function is a death, too."""
        connection = self._started()
        connection.send(arguments)
        try:
            if not self._answered(connection):
                self._lose()
                return Answer("hung", f"no answer within {self._seconds:g} s")
            end, value, grown = connection.recv()
        except (EOFError, OSError):
            return Answer("died", self._lose())
        return Answer(end, value, grown)

    def _answered(self, connection: Connection) -> bool:
        """Whether there is an answer within the seconds of the processor's, not of the wall's.

        What else the machine does must not look like a hang. A process that waits for ever, and
        takes no time of the processor's, hangs after ten times as long.
        """
        assert self._process is not None
        before, begun = _processor_seconds(self._process.pid), time.monotonic()
        while not connection.poll(min(self._seconds, _GLANCE)):
            spent = _processor_seconds(self._process.pid) - before
            if spent > self._seconds or time.monotonic() - begun > 10 * self._seconds:
                return False
        return True

    def _started(self) -> Connection:
        if self._connection is not None:
            return self._connection
        context = get_context("forkserver")
        context.set_forkserver_preload(list(PRELOADED))
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, self._function, self._memory), daemon=True
        )
        self._process.start()
        theirs.close()
        if not (self._connection.poll(_STARTING_SECONDS) and self._connection.recv() == _READY):
            raise RuntimeError("the process for guarded calls did not start")
        return self._connection

    def _lose(self) -> str:
        """End the process; what it ended with, if it had ended by itself."""
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        if process is None or connection is None:
            return ""
        process.join(1)
        code = process.exitcode
        connection.close()
        process.kill()
        process.join(5)
        return f"exit code {code}"


def _processor_seconds(process: int | None) -> float:
    """What a process has taken of the processors so far."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _serve(connection: Connection, function: Callable[..., Any], memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the life of the process
    if memory:
        most = _status("VmSize") + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    connection.send(_READY)
    with contextlib.suppress(EOFError):
        while True:
            arguments = connection.recv()
            before = _lowered_peak()
            try:
                answer = ("done", function(*arguments))
            except Exception as error:
                answer = ("died", f"{type(error).__name__}: {error}")
            connection.send((*answer, max(0, _status("VmHWM") - before)))


def _lowered_peak() -> int:
    """What is resident now, once the kernel has forgotten what was the most."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(field: str) -> int:
    """A size of this process in bytes; 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) << 10
    return 0
