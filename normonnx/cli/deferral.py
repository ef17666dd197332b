"""Modules loaded late: what onnx and onnx_ir import for things that normonnx seldom does.

SymPy alone, which onnx_ir needs for arithmetic on symbolic dimensions, takes longer than everything
else together. The modules below are set up at once and executed when something in them is first
used (`importlib.util.LazyLoader`), which for those that give NumPy's functions their docstrings is
never. From `importlib.metadata`, which needs a parser of e-mail, onnx learns its own version: a
directory's name tells it, too. Only our own process is treated so, never one that imports normonnx.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType
from typing import Any

_LATE = frozenset(
    """google.protobuf.internal.python_message google.protobuf.json_format
    google.protobuf.text_format numpy._core._add_newdocs numpy._core._add_newdocs_scalars
    onnx.compose onnx.gen_proto onnx.parser onnx.printer onnx.utils onnx_ir._symbolic_shapes
    packaging.version sympy""".split()
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


_METADATA = "importlib.metadata"


class _Metadata(ModuleType):
    """Stands for importlib.metadata until more is wanted of it than the version of onnx."""

    def version(self, distribution_name: str) -> str:
        """The version of an installed package."""
        known = _onnx_version() if distribution_name == "onnx" else None
        return str(self._real().version(distribution_name)) if known is None else known

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    def _real(self) -> ModuleType:
        if sys.modules.get(_METADATA) is self:
            del sys.modules[_METADATA]
        return importlib.import_module(_METADATA)


def _onnx_version() -> str | None:
    """What the name of the directory with onnx's metadata says, if there is one such directory."""
    spec = PathFinder.find_spec("onnx")
    if spec is None or spec.origin is None:
        return None
    prefix, suffix = "onnx-", ".dist-info"
    beside = os.listdir(os.path.dirname(os.path.dirname(spec.origin)))
    found = [name for name in beside if name.startswith(prefix) and name.endswith(suffix)]
    return found[0][len(prefix) : -len(suffix)] if len(found) == 1 else None


def start_lightly() -> None:
    """From here on, these modules are executed when they are used and not when they are imported.

    And the threads of OpenBLAS wait asleep: by default each of them turns in circles for a
    while after NumPy is imported. What the environment says about it counts.
    """
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    if not any(isinstance(finder, _Deferral) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Deferral())
    if _METADATA not in sys.modules:
        sys.modules[_METADATA] = importlib.metadata = _Metadata(_METADATA)
