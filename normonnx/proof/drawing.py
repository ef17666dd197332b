"""Which numbers the inputs of a window get."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

from normonnx.operators.attributes import attribute_int
from normonnx.operators.names import onnx_name
from normonnx.proof.window import Side
from normonnx.sizes.walk import Walk

Array = np.ndarray[Any, Any]

_TABLES = frozenset({"Gather", "GatherElements"})
_PASSED_ON = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
"""Operators whose first input leads to a row of a table as it is."""

Integers: TypeAlias = "Callable[[ir.Value, ir.DataType, Sequence[Side], Walk], tuple[int, int]]"
"""The least integer that an input gets, and the one behind the largest."""


def any_integers(
    value: ir.Value, dtype: ir.DataType, sides: Sequence[Side], at: Walk
) -> tuple[int, int]:
    """Those that most operators take for an index, a size or an axis."""
    return 0, 3


def many_integers(
    value: ir.Value, dtype: ir.DataType, sides: Sequence[Side], at: Walk
) -> tuple[int, int]:
    """Every row of a table where they are its indices, else numbers of both signs."""
    rows = _rows(value, sides, at)
    if rows is not None:
        return 0, rows
    if dtype in (ir.DataType.UINT8, ir.DataType.INT8):
        return int(dtype.min), int(dtype.max) + 1
    return (-20 if dtype.is_signed() else 0), 100


def _rows(value: ir.Value, sides: Sequence[Side], at: Walk) -> int | None:
    """How many rows the shortest table has whose rows a value counts."""
    found: list[int] = []
    counting = {value}
    for side, node in ((one, node) for one in sides for node in one.nodes):
        name = onnx_name(node)
        if name in _PASSED_ON and node.inputs[0] in counting:
            counting.update(node.outputs)
        elif name in _TABLES and node.inputs[1] in counting:
            shape = _shape_of(node.inputs[0], side, at)
            found += [shape[attribute_int(node, "axis", 0)]] if shape else []
    return min(found, default=None)


def _shape_of(value: ir.Value | None, side: Side, at: Walk) -> tuple[int, ...]:
    array = None if value is None else side.constants.get(value)
    tensor = at.tensor(value)
    if array is not None:
        return tuple(array.shape)
    return () if tensor is None else tensor.shape


def centres_of(side: Side) -> dict[ir.Value, tuple[Array, Array]]:
    """For each input, the mean that the first node that reads it takes off, and a spread."""
    centres: dict[ir.Value, tuple[Array, Array]] = {}
    for node in side.nodes:
        moving = [v for v in node.inputs if v is not None and v not in side.constants]
        if len(moving) == 1 and moving[0] in side.inputs and moving[0] not in centres:
            centre = _centre(node, side.constants)
            if centre is not None and np.isfinite(centre[0]).all():
                centres[moving[0]] = centre
    return centres


def _centre(node: ir.Node, constants: Mapping[ir.Value, Array]) -> tuple[Array, Array] | None:
    """That of a node that reads one value beside constants."""
    given = [None if v is None else constants.get(v) for v in node.inputs]
    name = onnx_name(node)
    if name == "BatchNormalization" and given[0] is None:
        mean, var = given[3:5]
        assert mean is not None
        assert var is not None
        return mean, np.sqrt(np.abs(var) + 1e-12)
    if name not in ("Add", "Sub"):
        return None
    shift = given[1] if given[0] is None else given[0]
    assert shift is not None
    if shift.dtype != np.float64:
        return None
    centre = -shift if name == "Add" else shift
    return centre, np.ones(())


def around(drawn: Array, centre: Array, spread: Array) -> Array:
    """The numbers moved to a centre, per channel where it is one per channel."""
    if centre.ndim == 1 and drawn.ndim > 2 and drawn.shape[1] == centre.size:
        per_channel = (-1, *(1,) * (drawn.ndim - 2))
        centre = centre.reshape(per_channel)
        spread = spread.reshape(per_channel) if spread.ndim else spread
    try:
        moved = np.asarray(centre + spread * drawn)
    except ValueError:
        return drawn
    return moved if moved.shape == drawn.shape else drawn
