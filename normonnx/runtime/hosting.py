"""A model as ONNX Runtime takes it, from which sessions are started, here or in a process apart."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Self

import onnx
import onnx_ir as ir

from normonnx import model_io
from normonnx.runtime.extensions import Extensions
from normonnx.runtime.isolation import IsolatedSession
from normonnx.runtime.parking import AnySession, Folder, ParkedSession
from normonnx.runtime.sessions import Session, SessionFailedError, Setting

# Of larger models one session at a time is in memory.
_PARKED_BYTES = 400_000_000
# Larger models go to the runtime as a file.
_BYTES_LIMIT = 1_500_000_000


def is_large(model: ir.Model) -> bool:
    """Whether sessions of a model take turns in memory."""
    return model_io.weight_bytes(model) > _PARKED_BYTES


class Host:
    """Keeps a model as ONNX Runtime takes it: bytes, or files that go with the last session.

    Args:
        model: the model.
        isolated: run it in processes of its own, whose crash is no worse than any failure.
        allow_fallback: run on the CPU where a provider is not there.
        seconds: how long a session may take to answer.
        extensions: libraries of custom operators; a session that registers any is in a process of
            its own, since what is wrong in a library ends the process it is in.

    Sessions outlive their host.

    Attributes:
        is_large: whether sessions of it take turns in memory.
    """

    def __init__(
        self,
        model: ir.Model,
        *,
        isolated: bool = False,
        allow_fallback: bool = False,
        seconds: float = 60.0,
        extensions: Extensions | None = None,
    ) -> None:
        self._extensions = extensions or Extensions()
        self._isolated = isolated
        self._allow_fallback = allow_fallback
        self._seconds = seconds
        self._folder: Folder | None = None
        self._form: bytes | str
        self.is_large: bool = is_large(model)
        if model_io.weight_bytes(model) <= _BYTES_LIMIT:
            self._form = model_io.dump(model)
        else:
            self._folder = Folder()
            self._form = str(model_io.to_session_file(model, self._folder.path))

    def session(self, setting: Setting, *, marked: Mapping[str, str] | None = None) -> AnySession:
        """A new session.

        Args:
            setting: how to run the model.
            marked: further values of the main graph, by name, that are to be outputs under another
                name; of a model in files, or one that does not load with them, there are none.

        Raises:
            SessionFailedError: if the runtime does not load the model.
            EnvironmentLacksError: if the provider is not there.
        """
        if marked and isinstance(self._form, bytes):
            proto = onnx.ModelProto.FromString(self._form)
            proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in marked)
            with contextlib.suppress(SessionFailedError):
                return self._started(proto.SerializeToString(), setting, marked)
        return self._started(self._form, setting, {})

    def _started(self, form: bytes | str, setting: Setting, names: Mapping[str, str]) -> AnySession:
        apart = self._isolated or setting.kernels or bool(self._extensions.named)
        kind = IsolatedSession if apart else Session
        start = partial(
            kind,
            form,
            setting,
            names=names,
            allow_fallback=self._allow_fallback,
            seconds=self._seconds,
            extensions=self._extensions,
        )
        return ParkedSession(start, self._folder) if self.is_large else start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what was written: it is removed with the last session that reads it."""
        self._folder = None
