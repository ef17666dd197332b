"""normonnx makes normalisation disappear from ONNX models, and proves that nothing else changed.

    import normonnx

    result = normonnx.optimize("model.onnx")
    print(result.report.line())
    result.save("model.optimized.onnx")

The names below are imported when they are first used, so that ``import normonnx`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from normonnx.errors import ExitCode, NormonnxError
from normonnx.lazily import attributes_of
from normonnx.version import __version__

if TYPE_CHECKING:
    from normonnx.api import Optimized, bench, inspect, optimize, verify
    from normonnx.benching.result import BenchReport
    from normonnx.fleet import optimize_many
    from normonnx.judge import Verdict
    from normonnx.options import Options
    from normonnx.report import Inspection, ModelReport, Site
    from normonnx.runtime.library import library_path, register_custom_ops
    from normonnx.runtime.opening import session

__all__ = [
    "BenchReport",
    "ExitCode",
    "Inspection",
    "ModelReport",
    "NormonnxError",
    "Optimized",
    "Options",
    "Site",
    "Verdict",
    "__version__",
    "bench",
    "inspect",
    "library_path",
    "optimize",
    "optimize_many",
    "register_custom_ops",
    "session",
    "verify",
]

_find = attributes_of(
    __name__,
    {
        "BenchReport": "normonnx.benching.result",
        "Inspection": "normonnx.report",
        "ModelReport": "normonnx.report",
        "Optimized": "normonnx.api",
        "Options": "normonnx.options",
        "Site": "normonnx.report",
        "Verdict": "normonnx.judge",
        "bench": "normonnx.api",
        "inspect": "normonnx.api",
        "library_path": "normonnx.runtime.library",
        "optimize": "normonnx.api",
        "optimize_many": "normonnx.fleet",
        "register_custom_ops": "normonnx.runtime.library",
        "session": "normonnx.runtime.opening",
        "verify": "normonnx.api",
    },
)


def __getattr__(name: str) -> Any:
    return _find(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
