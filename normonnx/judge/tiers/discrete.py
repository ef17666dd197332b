"""Tier 4: integers, truth values and texts must be equal, save for choices that rounding decides.

Two candidates of an ArgMax or a TopK that lie closer together than the original's own error are
equally right. A choice is excused where

    |x[chosen by o] − x[chosen by y]| ≤ 2·max|x_o − x|

with x the float64 value of what is chosen from and x_o the original's.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.operators.kernels import Array

_SAME_ORDER = frozenset(("Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape", "Flatten"))
# operator → which output holds the chosen places
_CHOICES = {"ArgMax": 0, "ArgMin": 0, "TopK": 1}
_TOLERANCE = 2.0


class Choice(Struct, frozen=True):
    """An output that says which of some candidates is the largest or smallest.

    Attributes:
        data: what is chosen from.
        axis: along which axis.
        keepdims: whether that axis stays, with size 1 or the number of choices.
    """

    data: ir.Value
    axis: int
    keepdims: bool


def choice_behind(output: ir.Value) -> Choice | None:
    """The choice that an integer output reports, or None if it comes from something else."""
    value: ir.Value | None = output
    while value is not None:
        node = value.producer()
        if node is None or node.domain != "":
            return None
        if _CHOICES.get(node.op_type) == value.index():
            return _choice(node)
        value = node.inputs[0] if node.op_type in _SAME_ORDER else None
    return None


def _choice(node: ir.Node) -> Choice | None:
    """What a TopK, ArgMax or ArgMin chooses from, and along which axis."""
    data = node.inputs[0]
    if data is None:
        return None
    axis, keep = node.attributes.get("axis"), node.attributes.get("keepdims")
    is_top = node.op_type == "TopK"
    return Choice(
        data,
        (-1 if is_top else 0) if axis is None else axis.as_int(),
        is_top or keep is None or bool(keep.as_int()),
    )


def differences(original: Array, optimized: Array) -> Array:
    """Where two discrete outputs of the same shape differ."""
    different: Array = np.asarray(original != optimized, dtype=bool)
    return different


def excused(
    choice: Choice, original: Array, optimized: Array, truth: Array, computed: Array
) -> bool:
    """Whether every difference between two choices is within the original's own error.

    Args:
        choice: what the outputs choose from.
        original: the original's output.
        optimized: the optimised model's output.
        truth: the float64 value of the data.
        computed: the original's value of the data.
    """
    axis = choice.axis % truth.ndim
    ahead = truth.shape[:axis] + truth.shape[axis + 1 :]
    count = original.size // max(1, int(np.prod(ahead, dtype=np.int64)))
    shape = (*truth.shape[:axis], count, *truth.shape[axis + 1 :])
    o, y = (v.astype(np.int64).reshape(shape) for v in (original, optimized))
    if max(o.max(), y.max()) >= truth.shape[axis] or min(o.min(), y.min()) < 0:
        return False
    gap = np.abs(np.take_along_axis(truth, o, axis) - np.take_along_axis(truth, y, axis))
    error = float(np.abs(computed.astype(np.float64) - truth).max())
    return bool((gap <= _TOLERANCE * error).all())
