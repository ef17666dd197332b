"""A session in a process of its own, so that a model that brings the runtime down is told, not met.

The child has a limit on its memory and on how long it may take. What it answers is read as data,
see `wire`; what it is asked comes from here and is pickled.
"""

from __future__ import annotations

import contextlib
import signal
import weakref
from collections.abc import Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from normonnx.errors import EnvironmentLacksError
from normonnx.parity.sessions import Session, SessionFailedError, Setting
from normonnx.parity.wire import NotSendableError, decode, encode

# Address space, of which the runtime reserves far more than it uses; CUDA reserves without end.
_MOST_MEMORY = 16 << 30
# What a child needs to import and load before the clock of the caller is of any meaning.
_SECONDS_TO_START = 60.0
_DONE, _FAILED, _LACKING = b"+", b"-", b"!"


class IsolatedSession:
    """A model in ONNX Runtime, in another process; used like a `Session`.

    A session whose process died is started again when it is next asked to run.

    Args:
        model: serialised model, or the path of one.
        setting: how to run it.
        names: other names for some of its outputs.
        allow_fallback: run on the CPU where the provider is not there.
        seconds: how long it may take to answer.
        memory: how many bytes of address space it may take, on the CPU.

    Attributes:
        ran: the provider that it runs on, as the runtime calls it.

    Raises:
        SessionFailedError: if the runtime does not load the model, or does not survive it.
        EnvironmentLacksError: if the provider is not there.
    """

    def __init__(
        self,
        model: bytes | str,
        setting: Setting,
        *,
        names: Mapping[str, str] | None = None,
        allow_fallback: bool = False,
        seconds: float = 60.0,
        memory: int = _MOST_MEMORY,
    ) -> None:
        limit = memory if setting.provider == "cpu" else 0
        self._task = (model, setting, dict(names or {}), allow_fallback, limit)
        self._seconds = seconds
        self._process: BaseProcess | None = None
        self.ran = ""
        self._start()

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs by name, in the order of the model.

        Raises:
            SessionFailedError: if the runtime does not run the model on these inputs, or dies of
                them, or takes too long.
        """
        if self._process is None:
            self._start()
        try:
            self._connection.send(dict(feeds))
        except OSError as error:
            raise SessionFailedError(self._buried()) from error
        try:
            return decode(self._answer(self._seconds))
        except NotSendableError as error:
            raise SessionFailedError(str(error)) from error

    def _start(self) -> None:
        model = self._task[0]
        if isinstance(model, str) and not Path(model).exists():
            raise SessionFailedError("ONNX Runtime crashed before on this model")
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, *self._task), daemon=True)
        process.start()
        theirs.close()
        self._process = process
        self._end = weakref.finalize(self, _end, process, self._connection)
        self.ran = self._answer(max(self._seconds, _SECONDS_TO_START)).decode()

    def _answer(self, seconds: float) -> bytes:
        try:
            if not self._connection.poll(seconds):
                self._end()
                self._process = None
                raise SessionFailedError(f"ONNX Runtime did not answer within {seconds:g} s")
            answer = self._connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise SessionFailedError(self._buried()) from error
        kind, content = answer[:1], answer[1:]
        if kind == _DONE:
            return content
        message = content.decode(errors="replace")
        if kind == _LACKING:
            raise EnvironmentLacksError(*message.split("\n")[:1], hint=message.partition("\n")[2])
        raise SessionFailedError(message)

    def _buried(self) -> str:
        """What the child died of, once it is gone."""
        process, self._process = self._process, None
        if process is None:
            return "ONNX Runtime crashed"
        process.join(5)
        code = process.exitcode
        self._end()
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return f"ONNX Runtime crashed ({signal.Signals(-code).name})"
        return f"ONNX Runtime crashed (exit code {code})"


def _end(process: BaseProcess, connection: Connection) -> None:
    connection.close()
    process.kill()
    process.join(5)


def _serve(
    connection: Connection,
    model: bytes | str,
    setting: Setting,
    names: Mapping[str, str],
    allow_fallback: bool,
    memory: int,
) -> None:
    """What the child does: load the model, then answer until nobody asks any more."""
    _limit(memory)
    try:
        session = Session(model, setting, names=names, allow_fallback=allow_fallback)
    except SessionFailedError as error:
        connection.send_bytes(_FAILED + str(error).encode())
        return
    except EnvironmentLacksError as error:
        connection.send_bytes(_LACKING + f"{error.message}\n{error.hint}".encode())
        return
    connection.send_bytes(_DONE + session.ran.encode())
    with contextlib.suppress(EOFError):
        while True:
            feeds = connection.recv()
            try:
                answer = _DONE + encode(session.run(feeds))
            except (SessionFailedError, NotSendableError) as error:
                answer = _FAILED + str(error).encode()
            connection.send_bytes(answer)


def _limit(memory: int) -> None:
    try:
        import resource
    except ImportError:  # there is no such thing on Windows; the limit of time remains
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
