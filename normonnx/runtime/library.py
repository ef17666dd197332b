"""The shared library with the kernels of the operators: where it is, what it has, its registration.

    options, providers = onnxruntime.SessionOptions(), ["CPUExecutionProvider"]
    normonnx.register_custom_ops(options, providers)
    session = onnxruntime.InferenceSession("model.onnx", options, providers=providers)

The library is built with the package where there is a C++ compiler. Without it models still run:
they carry each operator as a function of standard operators too.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from normonnx.errors import EnvironmentLacksError
from normonnx.ops import operators
from normonnx.version import __version__

if TYPE_CHECKING:
    import onnxruntime

_FILE = "libnormonnx_ops.so"
_REASON = "no_library.txt"
_VARIABLE = "NORMONNX_LIBRARY"
_HINT = (
    "reinstall where there is a C++ compiler and CMake, and set NORMONNX_ORT_INCLUDE_DIR to the "
    "directory of onnxruntime_c_api.h if it is not found; docs/custom_operators.md has more"
)
_OLDEST_RUNTIME = (1, 17)
_REGISTERED = "normonnx.registered:"
GPU_PROVIDERS = frozenset({"CUDAExecutionProvider", "CudaPluginExecutionProvider"})


class LibraryFacts(Struct, frozen=True):
    """What the library says of itself.

    Attributes:
        path: the file.
        version: of the package it was built with.
        api: version of ONNX Runtime's C API that it asks for.
        cpu_isa: instruction set of the CPU kernels on this machine.
        cuda_architectures: what the CUDA kernels are compiled for, empty if there are none.
    """

    path: Path
    version: str
    api: int
    cpu_isa: str
    cuda_architectures: tuple[str, ...]

    @property
    def has_cuda(self) -> bool:
        """Whether there are kernels for CUDA."""
        return bool(self.cuda_architectures)


def library_path() -> Path:
    """The file of the shared library, for ``SessionOptions.register_custom_ops_library``.

    ``NORMONNX_LIBRARY`` names another one than the installed.

    Raises:
        EnvironmentLacksError: if there is none, with the reason that the installation noted.
    """
    chosen = os.environ.get(_VARIABLE)
    if chosen:
        if not Path(chosen).is_file():
            raise EnvironmentLacksError(
                f"there is no library at {chosen}", hint=f"{_VARIABLE} in the environment names it"
            )
        return Path(chosen)
    directories = _directories()
    for directory in directories:
        if (directory / _FILE).is_file():
            return directory / _FILE
    reasons = [directory / _REASON for directory in directories]
    noted = next((file.read_text().strip() for file in reasons if file.is_file()), "")
    raise EnvironmentLacksError(
        "the library of custom operators was not built" + (f": {noted}" if noted else ""),
        hint=_HINT,
    )


def library_facts(path: str | os.PathLike[str] | None = None) -> LibraryFacts:
    """Load the library and ask it what it has.

    Args:
        path: the file; None for the installed one.

    Raises:
        EnvironmentLacksError: if there is none, or it does not load on this machine.
    """
    path = library_path() if path is None else Path(path)
    try:
        library = ctypes.CDLL(str(path))
        texts = {name: _text(library, name) for name in ("version", "cpu_isa")}
        architectures = _text(library, "cuda_architectures").replace(";", " ").split()
        api = int(library.normonnx_ort_api_version())
    except (OSError, AttributeError) as error:
        raise EnvironmentLacksError(
            f"the library of custom operators does not load: {error}",
            where=str(path),
            hint=f"{_VARIABLE} in the environment names it" if is_named() else _HINT,
        ) from error
    return LibraryFacts(path, texts["version"], api, texts["cpu_isa"], tuple(architectures))


def register_custom_ops(
    session_options: onnxruntime.SessionOptions,
    providers: Iterable[Any] = (),
    *,
    path: str | os.PathLike[str] | None = None,
) -> LibraryFacts:
    """Let sessions made with these options run the operators by the library's kernels.

    Args:
        session_options: an ``onnxruntime.SessionOptions``.
        providers: the execution providers of the session, as its constructor takes them: names, or
            pairs of a name and its options.
        path: the file of the library; None for the installed one.

    Returns:
        What the library has.

    Raises:
        EnvironmentLacksError: if there is no library, if it is another version's, if ONNX Runtime
            is older than 1.17, or if a CUDA provider is asked for and there are no CUDA kernels.
            Those nodes would then run on the CPU, without a word and with copies to and fro; not
            registered, they run on the GPU as the functions that the model carries.
    """
    names = (provider if isinstance(provider, str) else provider[0] for provider in providers)
    facts = usable(*names, path=path)
    register_once(session_options, str(facts.path))
    return facts


def register_once(session_options: onnxruntime.SessionOptions, path: str) -> None:
    """Register a library with a session's options, which may have it already.

    ONNX Runtime takes a second registration and then makes no session from the options.
    """
    entry = f"{_REGISTERED}{path}"
    try:
        session_options.get_session_config_entry(entry)
    except Exception:  # it has no such entry, and that is how ONNX Runtime says so
        session_options.register_custom_ops_library(path)
        session_options.add_session_config_entry(entry, "1")


def is_named() -> bool:
    """Whether the environment names a library, rather than leaving it to the installation."""
    return bool(os.environ.get(_VARIABLE))


def of_this_version(path: str | os.PathLike[str] | None = None) -> LibraryFacts:
    """What the library has, if it is of this version of the package.

    Args:
        path: the file of the library; None for the installed one.

    Raises:
        EnvironmentLacksError: there is none, it does not load, or it is another version's.
    """
    facts = library_facts(path)
    if facts.version != __version__:
        raise EnvironmentLacksError(
            f"the library is of normonnx {facts.version}, this is {__version__}",
            where=str(facts.path),
            hint="reinstall normonnx",
        )
    return facts


def usable(*providers: str, path: str | os.PathLike[str] | None = None) -> LibraryFacts:
    """What the library has, if sessions on these providers can register it.

    Args:
        providers: names of execution providers.
        path: the file of the library; None for the installed one.

    Raises:
        EnvironmentLacksError: as `register_custom_ops`.
    """
    facts = of_this_version(path)
    import onnxruntime

    found = tuple(int(part) for part in re.findall(r"\d+", onnxruntime.__version__)[:2])
    if found < _OLDEST_RUNTIME:
        raise EnvironmentLacksError(
            f"ONNX Runtime {onnxruntime.__version__} is too old for the custom operators",
            hint="1.17 or newer",
        )
    if GPU_PROVIDERS.intersection(providers) and not facts.has_cuda:
        raise EnvironmentLacksError(
            "the library has no CUDA kernels, and the session is to run on CUDA",
            where=str(facts.path),
            hint="reinstall with NORMONNX_CUDA=on, or do not register: the model runs without too",
        )
    return facts


def _directories() -> list[Path]:
    """In the package, and where an editable installation has put its files instead."""
    from importlib import metadata  # seldom needed, and slow to import

    directories = [Path(operators.__file__).parent]
    try:
        files = metadata.files("normonnx") or []
    except metadata.PackageNotFoundError:
        files = []
    named = [file for file in files if file.name in (_FILE, _REASON)]
    return directories + [Path(str(file.locate())).parent for file in named]


def _text(library: ctypes.CDLL, name: str) -> str:
    function = getattr(library, f"normonnx_{name}")
    function.restype = ctypes.c_char_p
    answer: bytes = function()
    return answer.decode()
