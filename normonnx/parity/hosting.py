"""A model as ONNX Runtime takes it, from which sessions are started, here or in a process apart."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

import onnx
import onnx_ir as ir

from normonnx import model_io
from normonnx.parity.isolation import IsolatedSession
from normonnx.parity.options import VerifyOptions
from normonnx.parity.sessions import Session, SessionFailedError, Setting

AnySession: TypeAlias = Session | IsolatedSession

# Larger models go to the runtime as a file.
_BYTES_LIMIT = 1_500_000_000


class Host:
    """Keeps a model as ONNX Runtime takes it: bytes, or files that are removed at the end.

    Args:
        model: the model.
        isolated: run it in processes of its own, whose crash is no worse than any failure.
        allow_fallback: run on the CPU where a provider is not there.
        seconds: how long a session may take to answer.

    Sessions outlive their host.
    """

    def __init__(
        self,
        model: ir.Model,
        *,
        isolated: bool = False,
        allow_fallback: bool = False,
        seconds: float = 60.0,
    ) -> None:
        self._isolated = isolated
        self._allow_fallback = allow_fallback
        self._seconds = seconds
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._form: bytes | str
        if model_io.weight_bytes(model) <= _BYTES_LIMIT:
            self._form = model_io.dump(model)
        else:
            self._directory = tempfile.TemporaryDirectory(prefix="normonnx-")
            self._form = str(model_io.to_session_file(model, Path(self._directory.name)))

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
        if not self._isolated:
            return Session(
                form,
                setting,
                names=names,
                allow_fallback=self._allow_fallback,
                seconds=self._seconds,
            )
        return IsolatedSession(
            form, setting, names=names, allow_fallback=self._allow_fallback, seconds=self._seconds
        )

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
        """Remove what was written."""
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None


def hosted(model: ir.Model, options: VerifyOptions) -> Host:
    """A host of the model, as the options want it."""
    return Host(
        model,
        isolated=options.isolated,
        allow_fallback=options.allow_cpu_fallback,
        seconds=options.budget_seconds,
    )
