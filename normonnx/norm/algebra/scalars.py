"""Constants that are one number."""

from __future__ import annotations

import math

import onnx_ir as ir

from normonnx.norm.algebra.counts import count_behind
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context
from normonnx.values.constants import Constants

_MAX_UNIFORM = 1 << 20
"""How many elements of a constant are looked at to see whether all are the same."""


class Scalars:
    """The constants that hold one number everywhere, each read once."""

    def __init__(self, context: Context) -> None:
        """Prepare to read the constants of a model."""
        self._context = context
        self._known: dict[ir.Value, float | None] = {}

    def of(self, value: ir.Value | None) -> float | None:
        """The number that a constant holds everywhere, or None; 1/N where that was rounded."""
        if value is None:
            return None
        if value not in self._known:
            number = _uniform(self._context.constants, value)
            count = None if number is None else count_behind(self._context, value)
            self._known[value] = number if count is None else 1 / count
        return self._known[value]


def _uniform(constants: Constants, value: ir.Value) -> float | None:
    if not constants.is_constant(value):
        return None
    array = constants.array(value)
    if array is None or not 0 < array.size <= _MAX_UNIFORM or array.dtype.kind in "OSU":
        return None
    flat = array.reshape(-1)
    if flat[0] != flat[-1] or (flat != flat[0]).any():
        return None
    producer = value.producer()
    leaf = producer is None or onnx_name(producer) == "Constant"
    if not leaf or value.name in constants.exact:
        array = constants.float64(value)  # it may have been rounded on the way
        assert array is not None
    number = float(array.reshape(-1)[0])
    return number if math.isfinite(number) else None
