"""Modules loaded late: onnx_ir imports SymPy, which takes longer than everything else together.

onnx_ir needs SymPy for arithmetic on symbolic dimensions, which normonnx does not use. Both
modules below are set up at once and executed when something in them is first used
(`importlib.util.LazyLoader`). Only our own process is treated so, never one that imports normonnx.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

_LATE = frozenset({"sympy", "onnx_ir._symbolic_shapes"})


class _Deferral(MetaPathFinder):
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


def defer_sympy() -> None:
    """From here on, SymPy is executed when it is used and not when it is imported."""
    if not any(isinstance(finder, _Deferral) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Deferral())
