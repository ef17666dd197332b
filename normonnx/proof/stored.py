"""Stored numbers: each is its exact value rounded once, or 1/N rounded where it is read as that."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.graph.rounded import is_rounded
from normonnx.operators.names import onnx_name
from normonnx.proof.window import Flaw, Window

Array = np.ndarray[Any, Any]

_FACTORS = frozenset({"Conv", "Einsum", "MatMul", "Mul"})
"""What may read a constant that is read as 1/N."""


def flaw_of(window: Window) -> Flaw | None:
    """The first stored number that is not what the rewrite says."""
    for value, exact in window.exact.items():
        if flaw := _rounded_once(value, exact):
            return flaw
    for value, exact in window.readings.items():
        if flaw := _is_reciprocal(window, value, exact):
            return flaw
    return None


def _rounded_once(value: ir.Value, exact: Array) -> Flaw | None:
    """Each stored number within half a unit in the last place of its float64 value."""
    assert value.const_value is not None
    stored = value.const_value.numpy()
    if stored.shape != exact.shape:
        return Flaw(f"'{value.name}' is stored with another shape")
    if exact.dtype.kind in "iub":
        return None if np.array_equal(stored, exact) else Flaw(f"'{value.name}' is stored wrong")
    if not is_rounded(stored, exact).all():
        return Flaw(f"'{value.name}' is not its float64 value rounded once")
    return None


def _is_reciprocal(window: Window, value: ir.Value, exact: Array) -> Flaw | None:
    """A factor may be read as 1/N for a whole N of which it is the nearest float32, no more.

    That is a rounding taken back, as each new weight adds one. The stored number tells N, and with
    any other count of elements the two sides would differ.
    """
    if any(onnx_name(use.node) not in _FACTORS for use in value.uses()):
        return Flaw(f"'{value.name}' is no mere factor, and cannot be read as 1/N")
    stored = window.constants.array(value)
    if stored is None or stored.dtype != np.float32 or stored.shape != exact.shape:
        return Flaw(f"'{value.name}' cannot be read exactly")
    counts = np.round(1 / exact)
    if not (np.array_equal(exact, 1 / counts) and np.array_equal(exact.astype(np.float32), stored)):
        return Flaw(f"'{value.name}' is no 1/N rounded once")
    return None
