"""Running a model in ONNX Runtime, so that two runs differ only where the models do.

Each model runs twice on each provider: with the runtime's own optimisations off, which shows the
rewrite alone, and as a user runs it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import Any

import onnxruntime
from msgspec import Struct

from normonnx.errors import EnvironmentLacksError, is_starved
from normonnx.runtime import element_types
from normonnx.runtime.clock import CLOCK
from normonnx.runtime.extensions import Extensions
from normonnx.runtime.providers import PROVIDERS, preload

_MOST_THREADS = 4
_FATAL_ONLY = 4
# Settings under which two runs on the GPU are comparable.
_COMPARABLE = {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"}
# "/onnxruntime_src/a/b.h:46 void f(const T&) what happened"
_IN_ITS_CODE = re.compile(r"/\S+\.(?:h|cc|cpp):\d+ [^(]*\(")
_FOLDER = "session.model_external_initializers_file_folder_path"
_NO_PREPACKING = "session.disable_prepacking"
# What is saved is looked at and not run: weights go to a file of their own, and none is prepared.
_SAVED_LIGHTLY = {
    _NO_PREPACKING: "1",
    "session.optimized_model_external_initializers_file_name": "saved.weights",
    "session.optimized_model_external_initializers_min_size_in_bytes": "4096",
}


def _available(provider: str, *, allow_fallback: bool) -> str:
    """The provider if it is there, or the CPU's where that may stand for it.

    Raises:
        EnvironmentLacksError: it is not there.
    """
    there = onnxruntime.get_available_providers()
    if provider in there:
        return provider
    if allow_fallback:
        return PROVIDERS["cpu"]
    raise EnvironmentLacksError(
        f"this ONNX Runtime has no {provider}",
        hint="install onnxruntime-gpu, compare on the cpu, or allow falling back to it",
    )


class SessionFailedError(Exception):
    """ONNX Runtime does not load the model, or does not run it on these inputs."""


class SessionStarvedError(SessionFailedError):
    """The system refuses the memory that it takes."""


class SessionCrashedError(SessionFailedError):
    """The process in which ONNX Runtime ran the model is gone."""


class Setting(Struct, frozen=True):
    """One way to run a model.

    Attributes:
        provider: ``cpu`` or ``cuda``.
        as_shipped: with the runtime's own optimisations, as a user runs it.
        kernels: with the library of the domain normonnx registered; without it the functions that
            the model carries are run.
        saved: where to write the model as the runtime made it, weights beside it; "" for nowhere.
    """

    provider: str
    as_shipped: bool
    kernels: bool = False
    saved: str = ""

    @property
    def label(self) -> str:
        """Such as ``CPU, optimisations off``: those of ONNX Runtime itself."""
        level = "on" if self.as_shipped else "off"
        parts = [self.provider.upper(), f"optimisations {level}"]
        return ", ".join([*parts, "with the library"] if self.kernels else parts)


class Form(Struct, frozen=True, kw_only=True):
    """A model as ONNX Runtime takes it.

    Attributes:
        content: the serialised model, b"" where it is a file.
        path: of that file.
        folder: where the data files lie that the content names, "" if it names none.
        packed: whether the runtime may make a copy of its own of the weights, in another order.
    """

    content: bytes = b""
    path: str = ""
    folder: str = ""
    packed: bool = True


class Session:
    """A model in ONNX Runtime.

    Args:
        model: serialised model, the path of one, or either with more about it.
        setting: how to run it.
        names: other names for some of its outputs.
        allow_fallback: run on the CPU where the provider is not there.
        seconds: how long it may take to run; it is stopped between two nodes.
        extensions: libraries of custom operators.

    Attributes:
        ran: the provider that it runs on, as the runtime calls it.
        files: what it reads, kept as long as this.

    Raises:
        SessionFailedError: if the runtime does not load it.
        EnvironmentLacksError: if the provider is not there.
    """

    def __init__(
        self,
        model: bytes | str | Form,
        setting: Setting,
        *,
        names: Mapping[str, str] | None = None,
        allow_fallback: bool = False,
        seconds: float = math.inf,
        extensions: Extensions | None = None,
    ) -> None:
        provider = _available(PROVIDERS[setting.provider], allow_fallback=allow_fallback)
        levels = onnxruntime.GraphOptimizationLevel
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = (
            levels.ORT_ENABLE_ALL if setting.as_shipped else levels.ORT_DISABLE_ALL
        )
        options.log_severity_level = _FATAL_ONLY
        options.intra_op_num_threads = min(_MOST_THREADS, _cores())
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        form = form_of(model)
        _link(options, form)
        if setting.saved:
            _save(options, setting.saved)
        configured: list[Any] = [provider]
        if provider == PROVIDERS["cuda"]:
            preload()
            configured = [
                (provider, {} if setting.as_shipped else _COMPARABLE),
                PROVIDERS["cpu"],
            ]
        try:
            (extensions or Extensions()).register(options, configured, kernels=setting.kernels)
            self._session = onnxruntime.InferenceSession(
                form.path or form.content, options, providers=configured
            )
        except EnvironmentLacksError:
            raise
        except Exception as error:
            raise _failure(error) from error
        self.files: object = None
        self.ran: str = self._session.get_providers()[0]
        if self.ran != provider and not allow_fallback:
            raise EnvironmentLacksError(
                f"ONNX Runtime fell back from {provider} to {self.ran}",
                hint="the libraries of the provider do not load: see its installation page",
            )
        renamed = names or {}
        self._names = [renamed.get(o.name, o.name) for o in self._session.get_outputs()]
        self._inputs = {i.name for i in self._session.get_inputs()}
        self._seconds = seconds

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs by name, in the order of the model.

        Raises:
            SessionFailedError: if the runtime does not run the model on these inputs.
        """
        given = {name: value for name, value in feeds.items() if name in self._inputs}
        options = onnxruntime.RunOptions()
        options.log_severity_level = _FATAL_ONLY
        try:
            with CLOCK.limiting(options, self._seconds):
                run = element_types.prepared(self._session, given, options)
                outputs = [element_types.from_runtime(value) for value in run()]
        except Exception as error:
            if options.terminate:
                sentence = f"ONNX Runtime did not finish within {self._seconds:g} s"
                raise SessionFailedError(sentence) from error
            raise _failure(error) from error
        return dict(zip(self._names, outputs, strict=True))


def form_of(model: bytes | str | Form) -> Form:
    """A model with all there is to say about it."""
    if isinstance(model, Form):
        return model
    return Form(path=model) if isinstance(model, str) else Form(content=model)


def _link(options: onnxruntime.SessionOptions, form: Form) -> None:
    if form.folder:
        options.add_session_config_entry(_FOLDER, form.folder)
    if not form.packed:
        options.add_session_config_entry(_NO_PREPACKING, "1")


def _save(options: onnxruntime.SessionOptions, path: str) -> None:
    options.optimized_model_filepath = path
    for key, value in _SAVED_LIGHTLY.items():
        options.add_session_config_entry(key, value)


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _failure(error: Exception) -> SessionFailedError:
    kind = SessionStarvedError if is_starved(error) else SessionFailedError
    return kind(_sentence(error))


def _sentence(error: Exception) -> str:
    """The first line of what the runtime says, without its status and where in its code that is."""
    text = str(error).strip()
    line = text.splitlines()[0] if text else type(error).__name__
    # "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : what happened"
    line = line.split(" : ", 3)[-1]
    if found := _IN_ITS_CODE.search(line):
        line = f"{line[: found.start()]} {line[_closing(line, found.end()) :].strip()}".strip()
    return line[:300]


def _closing(line: str, start: int) -> int:
    """Behind the parenthesis that closes the one in front of `start`; `start` if nothing does."""
    depth = 1
    for place in range(start, len(line)):
        depth += {"(": 1, ")": -1}.get(line[place], 0)
        if not depth:
            return place + 1
    return start
