"""A model as ONNX Runtime takes it, from which sessions are started, here or in a process apart."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Self

import onnx
import onnx_ir as ir
from msgspec.structs import replace

from normonnx import model_io
from normonnx.runtime.extensions import Extensions
from normonnx.runtime.isolation import IsolatedSession
from normonnx.runtime.parking import AnySession, Folder, ParkedSession
from normonnx.runtime.sessions import Form, Session, SessionFailedError, Setting

# Of larger models one session at a time is in memory.
_PARKED_BYTES = 400_000_000
# Larger models go to the runtime as a file.
_BYTES_LIMIT = 1_500_000_000
# Of larger ones the sessions share the weights.
_SHARED_BYTES = 32_000_000


def is_large(model: ir.Model) -> bool:
    """Whether sessions of a model take turns in memory."""
    return model_io.weight_bytes(model) > _PARKED_BYTES


class _Shared:
    """The weights that the models in use share, and the folder they are in."""

    def __init__(self) -> None:
        self.folder: Folder = Folder()
        self.weights: model_io.WeightsFile = model_io.WeightsFile(self.folder.path)


_shared: list[weakref.ref[_Shared]] = []


def _sharing() -> _Shared:
    """Those of the models that are in use already, or new ones."""
    found = _shared[0]() if _shared else None
    if found is None:
        found = _Shared()
        _shared[:] = [weakref.ref(found)]
    return found


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
        self._model = model
        self._files: Folder | _Shared | None = None
        self.is_large: bool = is_large(model)
        self._form: Form = self._linked() or self._whole()

    def _linked(self) -> Form | None:
        """The model with its weights where all sessions read them; None where it has few."""
        if model_io.weight_bytes(self._model) <= _SHARED_BYTES:
            return None
        shared = _sharing()
        found = model_io.linked(self._model, shared.weights)
        if found is None:
            return None
        self._files = shared
        return Form(content=found.content, folder=str(found.folder), packed=not self.is_large)

    def _whole(self) -> Form:
        if model_io.weight_bytes(self._model) <= _BYTES_LIMIT:
            return Form(content=model_io.dump(self._model), packed=not self.is_large)
        self._files = folder = Folder()
        file = model_io.to_session_file(self._model, folder.path)
        return Form(path=str(file), packed=not self.is_large)

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
        if marked and self._form.content:
            proto = onnx.ModelProto.FromString(self._form.content)
            proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in marked)
            form = replace(self._form, content=proto.SerializeToString())
            with contextlib.suppress(SessionFailedError):
                return self._started(form, setting, marked)
        try:
            return self._started(self._form, setting, {})
        except SessionFailedError:
            if not self._form.folder:
                raise
        # Older runtimes do not know of such folders.
        self._form = self._whole()
        return self._started(self._form, setting, {})

    def _started(self, form: Form, setting: Setting, names: Mapping[str, str]) -> AnySession:
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
        if self.is_large:
            return ParkedSession(start, self._files)
        session = start()
        session.files = self._files
        return session

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
        self._files = None
