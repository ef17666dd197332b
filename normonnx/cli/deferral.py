"""Modules loaded late: what onnx and onnx_ir import for things that normonnx seldom does.

SymPy alone, which onnx_ir needs for arithmetic on symbolic dimensions, takes longer than everything
else together. The modules below are set up at once and executed when something in them is first
used (`importlib.util.LazyLoader`). Only our own process is treated so, never one that imports
normonnx.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

_LATE = frozenset(
    {
        "google.protobuf.internal.python_message",
        "google.protobuf.json_format",
        "google.protobuf.text_format",
        "onnx.compose",
        "onnx.gen_proto",
        "onnx.parser",
        "onnx.printer",
        "onnx.utils",
        "onnx_ir._symbolic_shapes",
        "packaging.version",
        "sympy",
    }
)


class _Deferral:
    """Finds the modules above as the usual finder does, with a loader that waits."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _LATE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
            return None
        spec.loader = LazyLoader(spec.loader)
        return spec


def start_lightly() -> None:
    """From here on, these modules are executed when they are used and not when they are imported.

    And the threads of OpenBLAS wait asleep: by default each of them turns in circles for a
    while after NumPy is imported. What the environment says about it counts.
    """
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    if not any(isinstance(finder, _Deferral) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Deferral())
