"""Outputs of a last Softmax or Sigmoid on a logarithmic scale, where no error is squeezed away.

A class of probability 1e-12 may be wrong by half, and no difference shows it: its logarithm does.

    log max(y, f),      f so far above the smallest numbers that y still has all its digits

In float64 that holds for both. Runtimes compute a Softmax to so many digits of each value, and a
Sigmoid to so many digits of 1 only: its logarithm says nothing about rounding.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir

from normonnx.operators.kernels import Array

_SATURATING = frozenset(("Softmax", "Sigmoid"))
_MOVING = frozenset(("Identity", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Flatten", "Cast"))
_ABOVE_TINY = 16


def saturating_outputs(model: ir.Model) -> dict[str, str]:
    """The outputs that come from a Softmax or a Sigmoid, perhaps moved about, with which it is."""
    found = {}
    for output in model.graph.outputs:
        node = output.producer()
        while node is not None and node.domain == "" and node.op_type in _MOVING:
            source = node.inputs[0]
            node = None if source is None else source.producer()
        if node is not None and node.domain == "" and node.op_type in _SATURATING:
            found[str(output.name)] = node.op_type
    return found


def logarithm_of(name: str) -> str:
    """The name in reports of the logarithm of an output."""
    return f"log {name}"


def logarithm(values: Array, dtype: np.dtype[np.generic]) -> Array:
    """The logarithm of an output in its own type, cut off below.

    Args:
        values: the output, or its float64 value.
        dtype: the type of the output, which decides where it is cut off.
    """
    floor = float(ml_dtypes.finfo(dtype).tiny) * _ABOVE_TINY
    result: Array = np.log(np.maximum(values.astype(np.float64), floor)).astype(values.dtype)
    return result
