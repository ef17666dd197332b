"""A session in a process of its own, so that a model that brings the runtime down is told, not met.

The child has a limit on its memory and on how long it may take. It is asked and answers through its
standard input and output, in pieces of

    length, 8 bytes │ kind, 1 byte │ content

Questions and answers are data, see `wire`: nothing in them is code. The child is a program of its
own (``python -m normonnx.runtime.isolation``), so a script that uses it needs no guard around its
main part.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec import Struct

from normonnx.errors import EnvironmentLacksError
from normonnx.runtime.extensions import Extensions
from normonnx.runtime.sessions import (
    Form,
    Session,
    SessionCrashedError,
    SessionFailedError,
    Setting,
    form_of,
)
from normonnx.runtime.wire import NotSendableError, decode, encode

# Address space, of which the runtime reserves far more than it uses; CUDA reserves without end.
_MOST_MEMORY = 16 << 30
# What a child needs to import and load before the clock of the caller is of any meaning.
_SECONDS_TO_START = 60.0
_PROGRAM = ("-P", "-m", "normonnx.runtime.isolation")
_ASKED, _DONE, _FAILED, _LACKING = b"?", b"+", b"-", b"!"
_WIDTH = 8
_MOST_LAST_WORDS = 4000


class Task(Struct, frozen=True, kw_only=True):
    """What the child is to load, and how.

    Attributes:
        form: the model.
        setting: how to run it.
        names: other names for some of its outputs.
        allow_fallback: run on the CPU where the provider is not there.
        extensions: libraries of custom operators.
        memory: how many bytes of address space it may take, 0 for any number.
    """

    form: Form
    setting: Setting
    names: dict[str, str]
    allow_fallback: bool
    extensions: Extensions
    memory: int


class IsolatedSession:
    """A model in ONNX Runtime, in another process; used like a `Session`.

    A session whose process died is started again when it is next asked to run.

    Args:
        model: serialised model, the path of one, or either with more about it.
        setting: how to run it.
        names: other names for some of its outputs.
        allow_fallback: run on the CPU where the provider is not there.
        seconds: how long it may take to answer.
        extensions: libraries of custom operators.
        memory: how many bytes of address space it may take, on the CPU.

    Attributes:
        ran: the provider that it runs on, as the runtime calls it.
        files: what it reads, kept as long as this.

    Raises:
        SessionFailedError: if the runtime does not load the model, or does not survive it.
        EnvironmentLacksError: if the provider is not there.
    """

    def __init__(
        self,
        model: bytes | str | Form,
        setting: Setting,
        *,
        names: Mapping[str, str] | None = None,
        allow_fallback: bool = False,
        seconds: float = 60.0,
        extensions: Extensions | None = None,
        memory: int = _MOST_MEMORY,
    ) -> None:
        limit = memory if setting.provider == "cpu" else 0
        self._task = Task(
            form=form_of(model),
            setting=setting,
            names=dict(names or {}),
            allow_fallback=allow_fallback,
            extensions=extensions or Extensions(),
            memory=limit,
        )
        self._seconds = seconds
        self._child: _Child | None = None
        self.files: object = None
        self.ran: str = ""
        self._start()

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs by name, in the order of the model.

        Raises:
            SessionFailedError: if the runtime does not run the model on these inputs, or dies of
                them, or takes too long.
        """
        if self._child is None:
            self._start()
        try:
            self._ask(encode(feeds))
            return decode(self._answer(self._seconds))
        except NotSendableError as error:
            raise SessionFailedError(str(error)) from error

    def _start(self) -> None:
        path = self._task.form.path
        if path and not Path(path).exists():
            raise SessionFailedError("ONNX Runtime crashed before on this model")
        self._child = child = _Child()
        self._end = weakref.finalize(self, child.end)
        self._ask(msgspec.msgpack.encode(self._task))
        self.ran = self._answer(max(self._seconds, _SECONDS_TO_START)).decode()

    def _ask(self, question: bytes) -> None:
        assert self._child is not None
        try:
            _write(self._child.questions, _ASKED, question)
        except OSError as error:
            raise SessionCrashedError(self._buried()) from error

    def _answer(self, seconds: float) -> bytes:
        assert self._child is not None
        try:
            answer = self._child.answers.get(timeout=seconds)
        except queue.Empty as error:
            self._end()
            self._child = None
            raise SessionFailedError(f"ONNX Runtime did not answer within {seconds:g} s") from error
        if answer is None:
            raise SessionCrashedError(self._buried())
        kind, content = answer
        if kind == _DONE:
            return content
        message = content.decode(errors="replace")
        if kind == _LACKING:
            raise EnvironmentLacksError(*message.split("\n")[:1], hint=message.partition("\n")[2])
        raise SessionFailedError(message)

    def _buried(self) -> str:
        """What the child died of, once it is gone."""
        child, self._child = self._child, None
        if child is None:
            return "ONNX Runtime crashed"
        told = child.death()
        self._end()
        return told


class _Child:
    """The process, and what comes from it.

    Attributes:
        questions: where it is asked.
        answers: kind and content of what it answers; None when there is no more to come.
    """

    def __init__(self) -> None:
        self._last_words = tempfile.TemporaryFile()  # noqa: SIM115  closed when the child ends
        # It finds the packages where they are found here, and nothing in the working directory.
        paths = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, *_PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._last_words,
            env={**os.environ, "PYTHONPATH": paths},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.questions: IO[bytes] = self._process.stdin
        self.answers: queue.SimpleQueue[tuple[bytes, bytes] | None] = queue.SimpleQueue()
        reading = (self._process.stdout, self.answers)
        threading.Thread(target=_listen, args=reading, daemon=True).start()

    def death(self) -> str:
        """What it died of, in one sentence."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        how = f"exit code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = signal.Signals(-code).name
        self._last_words.seek(0)
        words = self._last_words.read(_MOST_LAST_WORDS).decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(words) if line.strip()), "")
        return f"ONNX Runtime crashed ({how})" + (f": {last[:300]}" if last else "")

    def end(self) -> None:
        """Let it go, whatever it is at."""
        self._process.kill()
        self._process.wait(5)
        with contextlib.suppress(OSError):
            self.questions.close()
        self._last_words.close()


def _listen(stream: IO[bytes], answers: queue.SimpleQueue[tuple[bytes, bytes] | None]) -> None:
    with stream, contextlib.suppress(EOFError, OSError, ValueError):
        while True:
            answers.put(_read(stream))
    answers.put(None)


def _write(stream: IO[bytes], kind: bytes, content: bytes) -> None:
    stream.write(len(content).to_bytes(_WIDTH, "little") + kind)
    stream.write(content)
    stream.flush()


def _read(stream: IO[bytes]) -> tuple[bytes, bytes]:
    """The next piece.

    Raises:
        EOFError: there is no whole one.
    """
    head = stream.read(_WIDTH + 1)
    if len(head) <= _WIDTH:
        raise EOFError
    size = int.from_bytes(head[:_WIDTH], "little")
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return head[_WIDTH:], content


def serve() -> None:
    """What the child does: load the model, then answer until nobody asks any more."""
    questions = sys.stdin.buffer
    # What libraries print goes with the errors, not between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    task = msgspec.msgpack.decode(_read(questions)[1], type=Task)
    _limit(task.memory)
    try:
        session = Session(
            task.form,
            task.setting,
            names=task.names,
            allow_fallback=task.allow_fallback,
            extensions=task.extensions,
        )
    except SessionFailedError as error:
        _write(answers, _FAILED, str(error).encode())
        return
    except EnvironmentLacksError as error:
        _write(answers, _LACKING, f"{error.message}\n{error.hint}".encode())
        return
    _write(answers, _DONE, session.ran.encode())
    with contextlib.suppress(EOFError):
        while True:
            feeds = decode(_read(questions)[1])
            try:
                _write(answers, _DONE, encode(session.run(feeds)))
            except (SessionFailedError, NotSendableError) as error:
                _write(answers, _FAILED, str(error).encode())


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


if __name__ == "__main__":
    serve()
