"""normonnx makes normalisation disappear from ONNX models, and proves that nothing else changed.

    import normonnx

    result = normonnx.optimize("model.onnx")
    print(result.report.line())
    result.save("model.optimized.onnx")

The names below are imported when they are first used, so that ``import normonnx`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from normonnx.errors import ExitCode, NormonnxError

if TYPE_CHECKING:
    from normonnx.api import Optimized, bench, inspect, optimize, verify
    from normonnx.benching.result import BenchReport
    from normonnx.ops.library import library_path, register_custom_ops
    from normonnx.parity import Verdict
    from normonnx.report import Inspection, ModelReport, Site

__version__ = "0.1.0"

__all__ = [
    "BenchReport",
    "ExitCode",
    "Inspection",
    "ModelReport",
    "NormonnxError",
    "Optimized",
    "Site",
    "Verdict",
    "__version__",
    "bench",
    "inspect",
    "library_path",
    "optimize",
    "register_custom_ops",
    "verify",
]

_HOMES = {
    "BenchReport": "normonnx.benching.result",
    "Inspection": "normonnx.report",
    "ModelReport": "normonnx.report",
    "Optimized": "normonnx.api",
    "Site": "normonnx.report",
    "Verdict": "normonnx.parity",
    "bench": "normonnx.api",
    "inspect": "normonnx.api",
    "library_path": "normonnx.ops.library",
    "optimize": "normonnx.api",
    "register_custom_ops": "normonnx.ops.library",
    "verify": "normonnx.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
