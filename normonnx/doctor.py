"""What is installed here, what it can run on, and what is missing."""

from __future__ import annotations

import importlib
import platform
from importlib import metadata

from msgspec import Struct

from normonnx.errors import EnvironmentLacksError
from normonnx.runtime import library
from normonnx.version import __version__

_PACKAGES = ("onnx", "onnx_ir", "onnxscript", "numpy", "click", "rich")
_RUNTIMES = ("onnxruntime", "onnxruntime-gpu")


class Diagnosis(Struct, frozen=True):
    """The state of this installation.

    Attributes:
        versions: by package, "" for one that is missing.
        providers: execution providers that ONNX Runtime offers.
        custom_operators: where the library of custom operators is, or why there is none.
        problems: what is wrong, each with the way out; none is a clean bill of health.
        remarks: what is good to know.
    """

    versions: dict[str, str]
    providers: tuple[str, ...]
    custom_operators: str
    problems: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether every command can do its work."""
        return not self.problems


def versions() -> dict[str, str]:
    """Versions of Python, normonnx and what it builds on; "" for what is not installed."""
    found = {"python": platform.python_version(), "normonnx": __version__}
    found.update({package: _version(package) for package in _PACKAGES})
    installed = {runtime: version for runtime in _RUNTIMES if (version := _version(runtime))}
    found.update(installed or {_RUNTIMES[0]: ""})
    return found


def diagnose() -> Diagnosis:
    """Look at every package, and ask ONNX Runtime what it can run on."""
    found = versions()
    problems = [
        f"{package} is not installed: pip install {package.replace('_', '-')}"
        for package, version in found.items()
        if not version
    ]
    remarks: list[str] = []
    if all(runtime in found for runtime in _RUNTIMES):
        problems.append(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other's files: "
            "uninstall both, then install one"
        )
    providers: tuple[str, ...] = ()
    try:
        runtime = importlib.import_module("onnxruntime")
        providers = tuple(runtime.get_available_providers())
    except Exception as error:
        problems.append(f"onnxruntime does not load: {error}")
    if providers and "CUDAExecutionProvider" not in providers:
        remarks.append("no CUDA provider: models are judged on the CPU")
    custom_operators, remark = _custom_operators(providers)
    if library.is_named() and _does_not_load():
        problems.append(remark)
    elif remark:
        remarks.append(remark)
    return Diagnosis(found, providers, custom_operators, tuple(problems), tuple(remarks))


def _custom_operators(providers: tuple[str, ...]) -> tuple[str, str]:
    """The library and what it has, or why there is none, and what can be done about it.

    Every other command works without it, so it is no problem where it was not built; one that the
    environment names and that does not load is.
    """
    try:
        facts = library.library_facts()
    except EnvironmentLacksError as error:
        reason = f"{error.message} (models run without, with standard operators)"
        return reason, f"for the custom operators: {error.hint}"
    gpu = f"CUDA {' '.join(facts.cuda_architectures)}" if facts.has_cuda else "no CUDA kernels"
    remark = ""
    if facts.version != __version__:
        remark = f"the library of custom operators is of normonnx {facts.version}: reinstall"
    elif not facts.has_cuda and library.GPU_PROVIDERS.intersection(providers):
        remark = (
            "the custom operators have no CUDA kernels, and sessions on CUDA do without them: "
            "reinstall with NORMONNX_CUDA=on"
        )
    return f"{facts.path} · {facts.version} · CPU {facts.cpu_isa} · {gpu}", remark


def _does_not_load() -> bool:
    try:
        library.library_facts()
    except EnvironmentLacksError:
        return True
    return False


def _version(package: str) -> str:
    try:
        return metadata.version(package.replace("_", "-"))
    except metadata.PackageNotFoundError:
        return ""
