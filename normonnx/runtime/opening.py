"""A model in ONNX Runtime as its user runs it, with the library where the model needs it."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from normonnx import model_io
from normonnx.errors import EnvironmentLacksError, UnreadableModelError, UsageError
from normonnx.model_io import Source
from normonnx.runtime.extensions import Extensions
from normonnx.runtime.kernels import kernels_for
from normonnx.runtime.providers import PROVIDERS, preload

if TYPE_CHECKING:
    import onnx_ir as ir
    import onnxruntime

Provider: TypeAlias = "str | tuple[str, dict[str, Any]]"

# What goes to the runtime as bytes; more than that goes as a file.
_BYTES_LIMIT = 1_500_000_000
# What ONNX Runtime says of a library that is registered twice.
_TWICE = "Domain already set in registry"


def session(
    model: Source,
    *,
    providers: str | Sequence[Provider] = ("cpu",),
    options: onnxruntime.SessionOptions | None = None,
    custom_ops: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    allow_data_dir: Iterable[str | os.PathLike[str]] = (),
    allow_hardlinks: bool = False,
) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session, with the library of custom operators where the model needs it.

    Args:
        model: a path, ``-``, bytes, an ``onnx.ModelProto``, an ``onnx_ir.Model`` or a
            ``torch.onnx.ONNXProgram``.
        providers: what to run on, the preferred first: "cpu", "cuda", or as ONNX Runtime takes
            them: names, or pairs of a name and its options.
        options: of the session; libraries are registered with them, once each, however often the
            same options are given.
        custom_ops: files of further libraries to register. A build of this package's own library
            among them is used instead of the installed one.
        allow_data_dir: further directories that external data may lie in.
        allow_hardlinks: accept data files with more than one name.

    Returns:
        The session. Where the model has operators of the domain normonnx and the library cannot
        be used, it runs by the functions that the model carries, and a warning says so.

    Raises:
        EnvironmentLacksError: a provider is not there or ONNX Runtime fell back from it; or the
            library cannot be used, and the model carries no functions.
        UnreadableModelError: ONNX Runtime does not load the model.
        NormonnxError: the model is unreadable, invalid or unsafe.
    """
    import onnxruntime

    wanted = _spelled_out(providers)
    names = [one if isinstance(one, str) else one[0] for one in wanted]
    _refuse_absent(names, onnxruntime.get_available_providers())
    loaded = model_io.load(model, allow_data_dir=allow_data_dir, allow_hardlinks=allow_hardlinks)
    options = onnxruntime.SessionOptions() if options is None else options
    extensions = Extensions.of(custom_ops)
    kernels = kernels_for(loaded.model, loaded.name, extensions, *names)
    if kernels.missing:
        warnings.warn(f"{loaded.name} runs by its functions: {kernels.missing}", stacklevel=2)
    extensions.register(options, wanted, kernels=kernels.registered)
    if any(name != PROVIDERS["cpu"] for name in names):
        preload()
    try:
        made = _opened(model, loaded.model, options, wanted)
    except Exception as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if _TWICE in line:
            raise UsageError(
                "the session's options have a library registered that is registered here too",
                hint="give options without it, or make the session with onnxruntime",
            ) from error
        raise UnreadableModelError(
            f"ONNX Runtime does not load the model: {line.split(' : ', 3)[-1][:300]}",
            where=loaded.name,
        ) from error
    ran = made.get_providers()
    if missing := [name for name in names if name not in ran]:
        raise EnvironmentLacksError(
            f"ONNX Runtime fell back from {', '.join(missing)} to {ran[0]}",
            hint="the libraries of the provider do not load: see its installation page",
        )
    return made


def _spelled_out(providers: str | Sequence[Provider]) -> list[Any]:
    """The providers as ONNX Runtime takes them."""
    given = [providers] if isinstance(providers, str) else providers
    return [
        PROVIDERS.get(one, one) if isinstance(one, str) else (PROVIDERS.get(one[0], one[0]), one[1])
        for one in given
    ]


def _opened(
    source: Source, model: ir.Model, options: onnxruntime.SessionOptions, providers: list[Any]
) -> onnxruntime.InferenceSession:
    import onnxruntime

    if isinstance(source, str | os.PathLike) and str(source) != "-":
        return onnxruntime.InferenceSession(str(source), options, providers=providers)
    if model_io.weight_bytes(model) <= _BYTES_LIMIT:
        content = model_io.dump(model)
        return onnxruntime.InferenceSession(content, options, providers=providers)
    with tempfile.TemporaryDirectory(prefix="normonnx-") as folder:
        file = model_io.to_session_file(model, Path(folder))
        return onnxruntime.InferenceSession(str(file), options, providers=providers)


def _refuse_absent(names: Iterable[str], available: Sequence[str]) -> None:
    for name in names:
        if name not in available:
            raise EnvironmentLacksError(
                f"this ONNX Runtime has no {name}", hint=f"it has {', '.join(available)}"
            )
