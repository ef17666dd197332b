"""Running a model in ONNX Runtime, so that two runs differ only where the models do.

Each model runs twice on each provider: with the runtime's own optimisations off, which shows the
rewrite alone, and as a user runs it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import onnx
import onnx_ir as ir
import onnxruntime

from normonnx import model_io
from normonnx.errors import EnvironmentLacksError
from normonnx.parity.options import PROVIDERS

_MOST_THREADS = 4
_FATAL_ONLY = 4
# Settings under which two runs on the GPU are comparable.
_COMPARABLE = {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"}
# Larger models go to the runtime as a file.
_BYTES_LIMIT = 1_500_000_000


class SessionFailedError(Exception):
    """ONNX Runtime does not load the model, or does not run it on these inputs."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to run a model.

    Attributes:
        provider: ``cpu`` or ``cuda``.
        as_shipped: with the runtime's own optimisations, as a user runs it.
    """

    provider: str
    as_shipped: bool

    @property
    def label(self) -> str:
        """Such as ``CPU, as shipped``."""
        return f"{self.provider.upper()}, {'as shipped' if self.as_shipped else 'as written'}"


def settings(providers: Sequence[str]) -> tuple[Setting, ...]:
    """Every way in which the models are compared."""
    return tuple(Setting(p, shipped) for p in providers for shipped in (False, True))


class Session:
    """A model in ONNX Runtime.

    Args:
        model: serialised model, or the path of one.
        setting: how to run it.
        names: other names for some of its outputs.

    Raises:
        SessionFailedError: if the runtime does not load it.
        EnvironmentLacksError: if the provider is not there.
    """

    def __init__(
        self, model: bytes | str, setting: Setting, *, names: Mapping[str, str] | None = None
    ) -> None:
        provider = PROVIDERS[setting.provider]
        if provider not in onnxruntime.get_available_providers():
            raise EnvironmentLacksError(
                f"this ONNX Runtime has no {provider}",
                hint="install onnxruntime-gpu, or compare on the cpu",
            )
        levels = onnxruntime.GraphOptimizationLevel
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = (
            levels.ORT_ENABLE_ALL if setting.as_shipped else levels.ORT_DISABLE_ALL
        )
        options.log_severity_level = _FATAL_ONLY
        options.intra_op_num_threads = min(_MOST_THREADS, _cores())
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        configured: list[Any] = [provider]
        if setting.provider == "cuda":
            if hasattr(onnxruntime, "preload_dlls"):
                onnxruntime.preload_dlls()
            configured = [
                (provider, {} if setting.as_shipped else _COMPARABLE),
                PROVIDERS["cpu"],
            ]
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=configured)
        except Exception as error:
            raise SessionFailedError(_sentence(error)) from error
        ran = self._session.get_providers()[0]
        if ran != provider:
            raise EnvironmentLacksError(
                f"ONNX Runtime fell back from {provider} to {ran}",
                hint="the libraries of the provider do not load: see its installation page",
            )
        renamed = names or {}
        self._names = [renamed.get(o.name, o.name) for o in self._session.get_outputs()]
        self._inputs = {i.name for i in self._session.get_inputs()}
        self._run_options = onnxruntime.RunOptions()
        self._run_options.log_severity_level = _FATAL_ONLY

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs by name, in the order of the model.

        Raises:
            SessionFailedError: if the runtime does not run the model on these inputs.
        """
        given = {name: value for name, value in feeds.items() if name in self._inputs}
        try:
            outputs = self._session.run(None, given, self._run_options)
        except Exception as error:
            raise SessionFailedError(_sentence(error)) from error
        return dict(zip(self._names, outputs, strict=True))


class Host:
    """Keeps a model as ONNX Runtime takes it: bytes, or files that are removed at the end.

    Args:
        model: the model.
    """

    def __init__(self, model: ir.Model) -> None:
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._form: bytes | str
        if model_io.weight_bytes(model) <= _BYTES_LIMIT:
            self._form = model_io.dump(model)
        else:
            self._directory = tempfile.TemporaryDirectory(prefix="normonnx-")
            self._form = str(model_io.to_session_file(model, Path(self._directory.name)))

    def session(self, setting: Setting, *, marked: Mapping[str, str] | None = None) -> Session:
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
                return Session(proto.SerializeToString(), setting, names=marked)
        return Session(self._form, setting)

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


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _sentence(error: Exception) -> str:
    """The first line of what the runtime says, without its status prefix."""
    text = str(error).strip()
    line = text.splitlines()[0] if text else type(error).__name__
    # "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : what happened"
    return line.split(" : ", 3)[-1][:300]
