"""Values of inputs that reach what drawn ones may pass by: rows, and both sides of conditions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.feeds.kinds import Domain, Kind
from normonnx.feeds.ranges import Range
from normonnx.feeds.trace import Way, constant, readings
from normonnx.operators.kernels import Array
from normonnx.operators.names import onnx_name

Changes = Mapping[str, Array]
"""Other values for some inputs, by name."""

_COMPARED = frozenset(("Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"))
_WHOLE = (Kind.INDEX, Kind.POSITION, Kind.SIZE, Kind.INTEGER, Kind.LENGTH, Kind.CHOICE)
_REAL = (Kind.REAL, Kind.POSITIVE, Kind.UNIT)
_MOST_CONSTANTS = 16
_QUIET = 0.01


def row_feeds(
    inputs: Sequence[ir.Value],
    lookups: Mapping[tuple[ir.Node, int], Sequence[int]],
    drawn: Mapping[str, Any],
) -> Iterator[Changes]:
    """Inputs that look up certain rows, as many at a time as they have elements.

    Args:
        inputs: the inputs of the model in which the rows are looked up.
        lookups: the rows by the node, and the number of its input that holds the indices.
        drawn: values of the inputs, for their shapes and types.
    """
    for value in inputs:
        array = np.asarray(drawn[str(value.name)])
        wanted = _indices(value, lookups)
        if wanted and array.size and array.dtype.kind in "iuf":
            yield from ({str(value.name): filled} for filled in _holding(array, wanted))


def _indices(value: ir.Value, lookups: Mapping[tuple[ir.Node, int], Sequence[int]]) -> list[int]:
    """What an input has to hold for the rows to be looked up."""
    found = ((r.way, lookups.get((r.node, r.index))) for r in readings(value, {}))
    ways = {way: rows for way, rows in found if rows is not None}
    return sorted({round(n) for way, rows in ways.items() for n in _given(way, rows)})


def _holding(array: Array, wanted: Sequence[int]) -> Iterator[Array]:
    """Arrays that hold all these numbers between them, and nothing else if that may be."""
    for start in range(0, len(wanted), array.size):
        chosen = np.resize(wanted[start : start + array.size], array.shape)
        yield chosen.astype(array.dtype)
    if len(wanted) < array.size:  # where a model does not take them alone
        mixed = array.copy()
        mixed.reshape(-1)[-len(wanted) :] = wanted
        yield mixed


def handing(value: ir.Value, node: ir.Node, rows: Array, drawn: Array) -> dict[str, Array] | None:
    """What an input has to hold for a node to read rows first of all; None where it reads others.

    Args:
        value: the input.
        node: the node, of which it is the first input that counts.
        rows: what is to be read.
        drawn: a value of the input, for its shape and type.
    """
    way = next((r.way for r in readings(value, {}) if (r.node, r.index) == (node, 0)), None)
    if way is None:
        return None
    if way.steps:
        flat = [_given(way, [float(number)]) for number in rows.reshape(-1)]
        if not all(flat):
            return None
        rows = np.array([ends[0] for ends in flat]).reshape(rows.shape)
    return {str(value.name): np.resize(rows, drawn.shape).astype(drawn.dtype)}


def condition_feeds(
    inputs: Sequence[ir.Value], domains: Mapping[str, Domain], drawn: Mapping[str, Any]
) -> Iterator[Changes]:
    """Inputs on both sides of what they are compared with, and of unusual sizes."""
    arrays = {str(v.name): np.asarray(drawn[str(v.name)]) for v in inputs}
    for value in inputs:
        name = str(value.name)
        if arrays[name].dtype.kind != "O":
            filled = _filled(arrays[name], _told(value, domains[name], arrays[name]))
            yield from ({name: array} for array in filled)
    for name, array in arrays.items():
        if domains[name].kind in _REAL:
            yield from ({name: other.astype(array.dtype)} for other in _resized(array))


def quieted(domains: Mapping[str, Domain], drawn: Mapping[str, Any]) -> dict[str, Array]:
    """The real inputs a hundredth as large, so that no Softmax leaves out what it weighs."""
    arrays = {name: np.asarray(drawn[name]) for name, d in domains.items() if d.kind is Kind.REAL}
    return {name: (a * _QUIET).astype(a.dtype) for name, a in arrays.items() if a.dtype.kind == "f"}


def _filled(array: Array, levels: Sequence[Any]) -> Iterator[Array]:
    """An array of nothing but one number, for each; then with that number at every other place."""
    for level in levels:
        yield np.full_like(array, level)
    for level in levels if array.size > 1 else ():
        mixed = array.copy()
        mixed.reshape(-1)[::2] = level
        yield mixed


def _resized(array: Array) -> Iterator[Array]:
    for factor in (10, 100, 1000, 0):
        yield array * factor
    for factor in (10, -10, 1000, -1000):
        yield factor * np.abs(array)


def _told(value: ir.Value, domain: Domain, array: Array) -> list[Any]:
    """Single values of an input that decide something."""
    if domain.kind is Kind.BOOL:
        return [True, False]
    if domain.kind is Kind.MASK:
        return [0, 1]
    levels: list[float] = []
    for reading in readings(value, {}):
        if onnx_name(reading.node) in _COMPARED and len(levels) < _MOST_CONSTANTS:
            levels += _around(reading.node.inputs[1 - reading.index], reading.way, array)
    if domain.kind in _WHOLE and domain.high > domain.low:
        levels += [domain.low, domain.high]
    if domain.kind in (Kind.SIZE, Kind.INTEGER, Kind.LENGTH):
        levels += [1, 0, 2]
    if domain.kind in (Kind.INDEX, Kind.POSITION):
        levels = [n for n in levels if domain.low <= n <= domain.high]
    return list(dict.fromkeys(levels))


def _given(way: Way, read: Sequence[float]) -> list[float]:
    """What an input has to hold for these numbers to be read, where that can be told."""
    lows = (way.back(Range(number, number)).low for number in read)
    return [low for low in lows if math.isfinite(low)]


def _around(value: ir.Value | None, way: Way, array: Array) -> list[float]:
    """A constant that an input is compared with, and numbers on both sides of it."""
    tensor = constant(value)
    if tensor is None or tensor.dtype == ir.DataType.STRING or not tensor.size:
        return []
    numbers = np.unique(np.asarray(tensor.numpy()).astype(np.float64))
    ends = set(_given(way, [float(numbers[0]), float(numbers[-1])]))
    if array.dtype.kind in "iu":
        ends = {float(int(n)) for n in ends}
        return [n + step for n in sorted(ends) for step in (0, 1, -1)]
    return [n + step * max(1.0, abs(n)) / 2 for n in sorted(ends) for step in (1, -1, 0)]
