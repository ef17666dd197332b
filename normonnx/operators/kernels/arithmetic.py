"""Element by element, in the type of the operands: what nearly every window is made of.

The first operator sets broadcast by attributes of their own, which onnx.reference does not know.
Powers of integers have rules of theirs; those are left to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from normonnx.operators.kernels.call import Array, Call, Inputs, Kernel, Outputs, present

_BROADCASTING = 7
"""The operator set from which operands broadcast as in NumPy."""


def _is_float(array: Array) -> bool:
    return array.dtype.kind not in "iubOSU"


def aligned(call: Call, a: Array, b: Array) -> Array:
    """The second operand in the shape in which it meets the first as in NumPy.

    Before operator set 7 its axes are a run of the first one's, from ``axis`` on, or the last.

    Raises:
        ValueError: if it does not broadcast, or was not said to.
    """
    if call.since >= _BROADCASTING or a.shape == b.shape:
        return b
    if not call.get("broadcast", 0):
        raise ValueError(f"{call.op_type} of {a.shape} and {b.shape} without broadcast")
    if b.size == 1:
        return b.reshape(())
    axis = int(call.get("axis", a.ndim - b.ndim))
    axis += a.ndim if axis < 0 else 0
    if a.shape[axis : axis + b.ndim] != b.shape:
        raise ValueError(f"{b.shape} is no part of {a.shape} from axis {axis} on")
    return b.reshape(*b.shape, *(1,) * (a.ndim - axis - b.ndim))


def unary(function: Callable[[Array], Any]) -> Kernel:
    """A kernel of one operand."""

    def run(call: Call, inputs: Inputs) -> Outputs:
        x = present(inputs, 0)
        return (np.asarray(function(x), dtype=x.dtype),)

    return run


def binary(function: Callable[[Array, Array], Any]) -> Kernel:
    """A kernel of two operands of one type that broadcast."""

    def run(call: Call, inputs: Inputs) -> Outputs | None:
        a, b = present(inputs, 0), present(inputs, 1)
        if a.dtype != b.dtype:
            return None
        return (np.asarray(function(a, aligned(call, a, b)), dtype=a.dtype),)

    return run


def divide(call: Call, inputs: Inputs) -> Outputs | None:
    """a/b; of integers, rounded towards zero."""
    a, b = present(inputs, 0), present(inputs, 1)
    if a.dtype != b.dtype:
        return None
    b = aligned(call, a, b)
    if _is_float(a):
        return (np.asarray(np.divide(a, b), dtype=a.dtype),)
    quotient, rest = np.divmod(a, b)
    return (np.asarray(quotient + ((rest != 0) & ((a < 0) != (b < 0))), dtype=a.dtype),)


def remainder(call: Call, inputs: Inputs) -> Outputs | None:
    """The rest of a/b with the sign of b, or with that of a where the node asks for C's fmod."""
    function = np.fmod if call.get("fmod", 0) else np.mod
    return (np.asarray(function(present(inputs, 0), present(inputs, 1))),)


def power(call: Call, inputs: Inputs) -> Outputs | None:
    """aᵇ in the type of a, whatever the type of b."""
    a, b = present(inputs, 0), present(inputs, 1)
    if not _is_float(a):
        return None
    return (np.asarray(np.power(a, aligned(call, a, b)), dtype=a.dtype),)


def comparison(function: Callable[[Array, Array], Any]) -> Kernel:
    """A kernel of two operands that broadcast, with a truth value for a result."""

    def run(call: Call, inputs: Inputs) -> Outputs:
        a, b = present(inputs, 0), present(inputs, 1)
        return (np.asarray(function(a, aligned(call, a, b)), dtype=bool),)

    return run


def variadic(function: Callable[[Array, Array], Any]) -> Kernel:
    """A kernel of any number of operands that broadcast, taken from the left."""

    def run(call: Call, inputs: Inputs) -> Outputs:
        total = present(inputs, 0)
        for index in range(1, len(inputs)):
            total = function(total, present(inputs, index))
        return (np.asarray(total),)

    return run


def identity(call: Call, inputs: Inputs) -> Outputs:
    """The operand."""
    return (present(inputs, 0),)


def prelu(call: Call, inputs: Inputs) -> Outputs:
    """X where it is above zero, else x times the slope; before operator set 7 one per channel."""
    x, slope = present(inputs, 0), present(inputs, 1)
    if call.since < _BROADCASTING and slope.ndim == 1 and x.ndim > 1:
        slope = slope.reshape(-1, *(1,) * (x.ndim - 2))
    return (np.asarray(np.where(x < 0, x * slope, x), dtype=x.dtype),)


def relu(call: Call, inputs: Inputs) -> Outputs:
    """The larger of the operand and zero; NaN stays."""
    x = present(inputs, 0)
    return (np.maximum(x, np.zeros((), x.dtype)),)


def where(call: Call, inputs: Inputs) -> Outputs:
    """The second operand where the first is true, the third elsewhere."""
    return (np.where(present(inputs, 0), present(inputs, 1), present(inputs, 2)),)
