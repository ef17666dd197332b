"""Which values the oracle carries in float64, and the operators that name a type themselves.

Every float16, bfloat16 and float32 value becomes float64 where it enters: inputs, weights,
constants, and the results of casts. What is stored keeps its stored value; only the rounding of
what is computed from the inputs goes away (constants: see `known`).
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir

from normonnx.operators.kernels import Array, Call, Inputs, Outputs

_NARROW = frozenset(np.dtype(t) for t in (np.float16, np.float32, ml_dtypes.bfloat16))
OF_EIGHT_BITS = frozenset(
    np.dtype(t)
    for t in (
        ml_dtypes.float8_e4m3fn,
        ml_dtypes.float8_e4m3fnuz,
        ml_dtypes.float8_e5m2,
        ml_dtypes.float8_e5m2fnuz,
    )
)
"""The types of NumPy for floats that only hold weights."""

FLOATS = frozenset(
    (ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.FLOAT, ir.DataType.DOUBLE)
)
"""The types that arithmetic is done in."""


def is_narrow(value: Any) -> bool:
    """Whether the value is an array of a float type narrower than float64."""
    return isinstance(value, np.ndarray | np.generic) and value.dtype in _NARROW


def is_float(array: Array) -> bool:
    """Whether the array is of one of the float types that arithmetic is done in."""
    return array.dtype == np.float64 or array.dtype in _NARROW


def promote(value: Any) -> Any:
    """The value in float64 if it is of a narrower float type; sequences element by element."""
    if isinstance(value, list):
        return [promote(item) for item in value]
    if isinstance(value, np.generic):
        value = np.asarray(value)
    return value.astype(np.float64) if is_narrow(value) else value


def widened(value: Any) -> Any:
    """As `promote`, the types of eight bits too, in which no arithmetic is done."""
    if isinstance(value, list):
        return [widened(item) for item in value]
    small = isinstance(value, np.ndarray) and value.dtype in OF_EIGHT_BITS
    return value.astype(np.float64) if small else promote(value)


def constant(call: Call, inputs: Inputs) -> Outputs | None:
    """The value of a Constant node, in whichever attribute it is; sparse ones are left."""
    for name, dtype in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
        ("value_string", object),
        ("value_strings", object),
    ):
        if name in call.attributes:
            meant = np.asarray(call.attributes[name])  # float64, where that was before float32
            rounded = meant.astype(dtype)
            kept = dtype is not np.float32 or np.array_equal(rounded, meant, equal_nan=True)
            return (rounded if kept else meant,)
    value = call.attributes.get("value")
    return None if value is None else (np.asarray(value.numpy()),)


def constant_of_shape(call: Call, inputs: Inputs) -> Outputs:
    """A tensor filled with one value, float32 zero by default."""
    value = call.attributes.get("value")
    fill = np.zeros(1, dtype=np.float32) if value is None else value.numpy()
    shape = () if inputs[0] is None else tuple(int(n) for n in inputs[0])
    return (np.full(shape, fill.reshape(-1)[0], dtype=fill.dtype),)


def cast(call: Call, inputs: Inputs, *, exact: bool) -> Outputs | None:
    """Cast and CastLike; with ``exact`` every float type is float64.

    Small float types, whose rounding is the point of the cast, are left to onnx.reference.
    """
    value, like = (*inputs, None)[:2]
    if "to" in call.attributes:
        target = ir.DataType(call.attributes["to"])
    else:
        assert like is not None
        target = ir.DataType.from_numpy(like.dtype)
    if value is None or value.dtype.kind in "OSU":
        return None
    if target in FLOATS:
        return (value.astype(np.float64 if exact else target.numpy()),)
    plain = target.is_integer() and target.bitwidth >= 8
    return (value.astype(target.numpy()),) if plain or target == ir.DataType.BOOL else None
