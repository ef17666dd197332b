"""Between which numbers the indices lie that a model computes, whatever it is given.

What an index is clipped to, the end of a Range, a size that is fixed: rows of a table outside are
read by no feed, so it does not matter what they hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.judge.alignment import constant_tensor
from normonnx.operators.attributes import attribute_int
from normonnx.operators.kernels import Array
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of
from normonnx.oracle.planner import compute

_MOST = 1 << 16
"""Elements of a constant that is looked at."""
_LARGEST = float(1 << 31)
"""What is added or multiplied to more than this may wrap around."""
_DEEPEST = 40
_MOVED = frozenset(("Concat", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice"))
_MOVED |= {"Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"}
# Bytes of integers that do not wrap around before a table ends.
_WIDE = 4
Ends = tuple[float, float]
_SUMS = frozenset(("Add", "Sub", "Mul"))


class Interval(Struct, frozen=True):
    """The least and the greatest that the elements of a value may be; of rank 0 for all alike."""

    low: Array
    high: Array

    @property
    def widest(self) -> Ends:
        """The least and the greatest of all elements."""
        return float(self.low.min(initial=np.inf)), float(self.high.max(initial=-np.inf))


_ANY = Interval(np.array(-np.inf), np.array(np.inf))


def interval_of(value: ir.Value | None, opsets: dict[str, int], depth: int = 0) -> Interval:
    """Between which numbers the elements of a value lie.

    Args:
        value: a value of integers, or of numbers that become some.
        opsets: operator set version by domain.
        depth: how many nodes were followed to it.
    """
    if value is None or depth > _DEEPEST:
        return _ANY
    node = value.producer()
    tensor = value.const_value if node is None else constant_tensor(node)
    if node is None and value.is_graph_input():
        return _ANY  # which a caller may override
    if tensor is not None:
        return _stored(tensor)
    if node is None or value.index() != 0:
        return _ANY
    if onnx_name(node) == "Shape":
        return _sizes(node)
    read = [interval_of(v, opsets, depth + 1) for v in node.inputs]
    return _made(node, read, opsets)


def _stored(tensor: ir.TensorProtocol) -> Interval:
    if tensor.dtype == ir.DataType.STRING or tensor.size > _MOST:
        return _ANY
    array = np.asarray(tensor.numpy()).astype(np.float64)
    return _ANY if np.isnan(array).any() else Interval(array, array)


def _sizes(node: ir.Node) -> Interval:
    """The sizes of an input of the model, as far as they are fixed."""
    value = node.inputs[0]
    sizes = None if value is None or not value.is_graph_input() else value.shape
    if sizes is None or node.attributes:
        return Interval(np.array(0.0), np.array(np.inf))
    known = [float(dim) if isinstance(dim, int) and dim >= 0 else None for dim in sizes]
    low = np.array([0.0 if dim is None else dim for dim in known])
    return Interval(low, np.array([np.inf if dim is None else dim for dim in known]))


def _made(node: ir.Node, read: Sequence[Interval], opsets: dict[str, int]) -> Interval:
    """Between which numbers the first output of a node lies."""
    name = onnx_name(node)
    if name == "Cast":
        return _cast(node, read[0])
    if name == "Clip":
        return _clipped(node, read)
    if name in ("Min", "Max"):
        take = np.min if name == "Min" else np.max
        lows, highs = zip(*(one.widest for one in read), strict=True)
        return Interval(np.array(take(lows)), np.array(take(highs)))
    if name == "Mod" and read[1].widest[0] > 0 and not attribute_int(node, "fmod", 0):
        return Interval(np.array(0.0), np.array(read[1].widest[1] - 1))
    if name == "Range":
        return _ranged(*(one.widest for one in read))
    if name == "Where":
        return _either(read[1:])
    if name in _SUMS and len(read) == 2:
        return _summed(name, *(one.widest for one in read))
    return _moved(node, read, opsets) if name in _MOVED else _ANY


def _cast(node: ir.Node, read: Interval) -> Interval:
    """What is cut off to whole numbers; narrow ones wrap around."""
    target = ir.DataType(node.attributes["to"].as_int())
    if not target.is_integer():
        return _ANY if target == ir.DataType.BOOL else read
    least, most = (float(end(target.numpy())) for end in (_least, _most))
    low, high = read.widest
    if target.itemsize < _WIDE and not least <= low <= high <= most:
        return Interval(np.array(least), np.array(most))
    return Interval(np.trunc(read.low), np.trunc(read.high))


def _least(dtype: np.dtype[Any]) -> int:
    return int(np.iinfo(dtype).min)


def _most(dtype: np.dtype[Any]) -> int:
    return int(np.iinfo(dtype).max)


def _clipped(node: ir.Node, read: Sequence[Interval]) -> Interval:
    stated = [node.attributes.get(name) for name in ("min", "max")]
    bounds = [
        end if attribute is None else attribute.as_float()
        for attribute, end in zip(stated, (-np.inf, np.inf), strict=True)
    ]
    given = [one.widest for one in read[1:]]
    if given and node.inputs[1] is not None:
        bounds[0] = given[0][0]
    if len(given) > 1 and node.inputs[2] is not None:
        bounds[1] = given[1][1]
    low, high = read[0].widest
    least = min(max(low, bounds[0]), bounds[1])
    return Interval(np.array(least), np.array(max(least, min(high, bounds[1]))))


def _ranged(start: Ends, end: Ends, step: Ends) -> Interval:
    if step[0] > 0:
        return Interval(np.array(start[0]), np.array(max(start[0], end[1] - 1)))
    if step[1] < 0:
        return Interval(np.array(min(start[1], end[0] + 1)), np.array(start[1]))
    return _ANY


def _either(read: Sequence[Interval]) -> Interval:
    lows, highs = zip(*(one.widest for one in read), strict=True)
    return Interval(np.array(min(lows)), np.array(max(highs)))


def _summed(name: str | None, one: Ends, other: Ends) -> Interval:
    """What is added, subtracted or multiplied; anything, where that may wrap around."""
    if max(map(abs, (*one, *other))) > _LARGEST:
        return _ANY
    if name == "Mul":
        ends = [a * b for a in one for b in other]
    else:
        sign = -1 if name == "Sub" else 1
        ends = [a + sign * b for a in one for b in other]
    return Interval(np.array(min(ends)), np.array(max(ends)))


def _moved(node: ir.Node, read: Sequence[Interval], opsets: dict[str, int]) -> Interval:
    """What only moves elements, and goes by constants."""
    moves = facts_of(node).moves
    given = {i: one for i, one in enumerate(read) if node.inputs[i] is not None}
    moved = {i: one for i, one in given.items() if i in moves}
    by = {i: one.low for i, one in given.items() if np.array_equal(one.low, one.high)}
    if given.keys() - by.keys() - moved.keys() or any(one.low.ndim == 0 for one in moved.values()):
        return _either(list(moved.values()))
    whole = {i: low.astype(np.int64) for i, low in by.items() if i not in moves}
    try:
        ends = [
            _run(node, whole | {i: end(one) for i, one in moved.items()}, opsets)
            for end in (_low, _high)
        ]
    except Exception:  # whatever a kernel says against it
        return _either(list(moved.values()))
    return Interval(*ends)


def _low(one: Interval) -> Array:
    return one.low


def _high(one: Interval) -> Array:
    return one.high


def _run(node: ir.Node, given: Mapping[int, Array], opsets: dict[str, int]) -> Array:
    inputs = [given.get(i) for i in range(len(node.inputs))]
    return np.asarray(compute(node, inputs, opsets)[0])


def unread(value: ir.Value, rows: int, opsets: dict[str, int]) -> Array:
    """Which rows of a table no lookup can read; none where it is read otherwise.

    Args:
        value: the table.
        rows: how many rows it has.
        opsets: operator set version by domain.
    """
    number = np.arange(rows)
    found = np.full(rows, not value.is_graph_output())
    for node, index in value.uses():
        low, high = _read(node, index, opsets)
        found &= (number > high) | ((number < low) & (low >= 0))
        found &= (number - rows < low) | (low >= 0)
    return found


def _read(node: ir.Node, index: int, opsets: dict[str, int]) -> Ends:
    """The first and the last row that a node reads, by what it goes by."""
    if onnx_name(node) == "Gather" and index == 0 and not attribute_int(node, "axis", 0):
        return interval_of(node.inputs[1], opsets).widest
    if onnx_name(node) == "Slice" and index == 0 and len(node.inputs) > 2:
        return _cut(node, opsets)
    return -np.inf, np.inf


def _cut(node: ir.Node, opsets: dict[str, int]) -> Ends:
    """The rows between the start and the end of a slice along the first axis, or others too."""
    starts, ends = (interval_of(v, opsets) for v in node.inputs[1:3])
    axes = interval_of(node.inputs[3], opsets) if len(node.inputs) > 3 else None
    steps = interval_of(node.inputs[4], opsets) if len(node.inputs) > 4 else None
    place = 0
    if axes is not None:
        places = np.flatnonzero(axes.low.reshape(-1) == 0)
        if not np.array_equal(axes.low, axes.high) or places.size != 1:
            return -np.inf, np.inf
        place = int(places[0])
    if steps is not None and steps.widest[0] <= 0:
        return -np.inf, np.inf
    low = starts.low.reshape(-1)[place] if starts.low.ndim else float(starts.low)
    high = ends.high.reshape(-1)[place] if ends.high.ndim else float(ends.high)
    least = ends.low.reshape(-1)[place] if ends.low.ndim else float(ends.low)
    return (float(low), float(high) - 1) if low >= 0 <= least else (-np.inf, np.inf)
