"""What is installed here, what it can run on, and what is missing."""

from __future__ import annotations

import contextlib
import importlib
import io
import platform
from importlib import metadata
from types import ModuleType

from msgspec import Struct
from onnx import TensorProto, helper

from normonnx.errors import EnvironmentLacksError, ours
from normonnx.runtime import library
from normonnx.runtime.providers import PROVIDERS, preload
from normonnx.version import __version__

_PACKAGES = ("onnx", "onnx_ir", "onnxscript", "numpy", "click", "rich")
_RUNTIMES = ("onnxruntime", "onnxruntime-gpu")
_FATAL_ONLY, _WARNINGS = 4, 2
_WAY_OUT = (
    "install its libraries (pip install 'onnxruntime-gpu[cuda,cudnn]') and the driver of the GPU; "
    "where there is no GPU, pip uninstall -y onnxruntime-gpu && pip install onnxruntime"
)


class Diagnosis(Struct, frozen=True):
    """The state of this installation.

    Attributes:
        versions: by package, "" for one that is missing.
        providers: execution providers of ONNX Runtime that load here.
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
    providers = _providers(problems, remarks)
    if providers and "CUDAExecutionProvider" not in providers:
        remarks.append("no CUDA provider: models are judged on the CPU")
    custom_operators, remark = _custom_operators(providers)
    if library.is_named() and _does_not_load():
        problems.append(remark)
    elif remark:
        remarks.append(remark)
    return Diagnosis(found, providers, custom_operators, tuple(problems), tuple(remarks))


def _providers(problems: list[str], remarks: list[str]) -> tuple[str, ...]:
    """The providers that load; why others do not goes into one of the lists."""
    try:
        providers, broken = loadable()
    except Exception as error:
        wrong = ours(error)
        problems.append(": ".join(part for part in (wrong.message, wrong.hint) if part))
        return ()
    for provider in broken:
        told = f"{provider} is part of this onnxruntime, and does not load"
        if provider in PROVIDERS.values():
            problems.append(f"{told}: {_WAY_OUT}")
        else:
            remarks.append(told)
    return providers


def loadable() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The execution providers that load here, and those that are built in and do not.

    Each is tried with a model of one node; what the runtime says meanwhile is not shown.

    Raises:
        Exception: whatever ONNX Runtime raises where it does not load itself.
    """
    runtime = importlib.import_module("onnxruntime")
    there = runtime.get_available_providers()
    runtime.set_default_logger_severity(_FATAL_ONLY)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            preload()
        works = {provider: _loads(runtime, provider) for provider in there}
    finally:
        runtime.set_default_logger_severity(_WARNINGS)
    return (
        tuple(provider for provider in there if works[provider]),
        tuple(provider for provider in there if not works[provider]),
    )


def _loads(runtime: ModuleType, provider: str) -> bool:
    """Whether a session runs on a provider, and not on another one in its place."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "one node", value[:1], value[1:])
    opset = [helper.make_opsetid("", 13)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=7)
    options = runtime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            session = runtime.InferenceSession(
                model.SerializeToString(), options, providers=[provider]
            )
    except Exception:  # whatever it says, it does not load
        return False
    return provider in session.get_providers()


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
