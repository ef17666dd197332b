"""Tables that hold what the original computes of its own table behind the lookup, row by row.

    f(T)[i] = f(T[i])    where f works on each element, with numbers for all rows alike

So T′ = f(T), within rounding, is the same model at every index, and no feed has to look it up.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import onnx_ir as ir

from normonnx.graph.ulps import ulps_at
from normonnx.judge.alignment import Alignment, Numbering, constant_tensor
from normonnx.operators.kernels import Array
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of
from normonnx.oracle.planner import compute
from normonnx.oracle.promotion import is_float, promote

_LONGEST = 6
"""Nodes that are followed behind a lookup."""
_ULPS = 2
"""Units in the last place by which rounding may part what is stored and what is computed."""
_BLOCK = 1 << 20
"""Elements that are worked on at a time."""
_LOOKUPS = frozenset(("Gather", "Slice"))


def equal_rows(aligned: Alignment, value: ir.Value, tensor: ir.TensorProtocol) -> Array | None:
    """Which rows of a table of the optimised model the original has too, as truth values.

    Args:
        aligned: the models side by side.
        value: the table.
        tensor: what it holds.

    Returns:
        None where it is not looked up as a table of the original is.
    """
    table = np.asarray(tensor.numpy())
    if table.ndim < 2 or not is_float(table) or value.is_graph_output():
        return None
    found = np.ones(table.shape[0], dtype=bool)
    for node, index in value.uses():
        rows = _of_lookup(aligned, node, table) if index == 0 else None
        if rows is None:
            return None
        found &= rows
    return found


def _of_lookup(aligned: Alignment, node: ir.Node, table: Array) -> Array | None:
    if onnx_name(node) not in _LOOKUPS or ("axis" in node.attributes and _axis(node)):
        return None
    best = max(_matches(aligned, node, table), key=np.count_nonzero, default=None)
    # Fewer than half: it is no table of theirs.
    return best if best is not None and best.mean() >= 0.5 else None


def _matches(aligned: Alignment, node: ir.Node, table: Array) -> Iterator[Array]:
    """For each table that the original has or computes, the rows that are equal to it."""
    before, after = (dict(m.opset_imports) for m in (aligned.original, aligned.optimized))
    step = max(1, _BLOCK // max(1, table[:1].size))
    blocks = [slice(start, start + step) for start in range(0, len(table), step)]
    for other, stored in _alike(aligned, node, table.shape):
        equal: dict[tuple[int, int], list[Array]] = {}
        for block in blocks:
            own = list(_onwards(node, table[block], after))
            pairs = product(enumerate(_onwards(other, stored[block], before)), enumerate(own))
            for (i, theirs), (j, mine) in pairs:
                equal.setdefault((i, j), []).append(_equal(mine, theirs, table.dtype))
        yield from map(np.concatenate, equal.values())


def _axis(node: ir.Node) -> int:
    return node.attributes["axis"].as_int()


def _alike(
    aligned: Alignment, node: ir.Node, shape: tuple[int, ...]
) -> Iterator[tuple[ir.Node, Array]]:
    """The lookups of the original at the same places, in tables of one shape."""
    places = _places(node, aligned.after)
    for other in aligned.original.graph:
        if other.op_type != node.op_type or _places(other, aligned.before) != places:
            continue
        stored = _stored(other.inputs[0])
        if stored is not None and stored.shape == shape and _axis_of(other) == 0:
            yield other, stored


def _axis_of(node: ir.Node) -> int:
    return _axis(node) if "axis" in node.attributes else 0


def _places(node: ir.Node, numbering: Numbering) -> list[int]:
    return [0 if v is None else numbering.number(v) for v in node.inputs[1:]]


def _stored(value: ir.Value | None) -> Array | None:
    """The numbers of a constant."""
    if value is None:
        return None
    producer = value.producer()
    tensor = value.const_value if producer is None else constant_tensor(producer)
    return None if tensor is None else np.asarray(tensor.numpy())


def _onwards(node: ir.Node, table: Array, opsets: dict[str, int]) -> Iterator[Array]:
    """The table, and what the nodes behind its lookup make of all of its rows, in float64."""
    wide: Array = promote(table)
    yield wide
    value = node.outputs[0]
    for _ in range(_LONGEST):
        readers = [reader for reader, _ in value.uses()]
        made = _next(readers[0], value, wide, opsets) if len(readers) == 1 else None
        if made is None or made.shape != table.shape:
            return
        value, wide = readers[0].outputs[0], made
        yield wide


def _next(node: ir.Node, value: ir.Value, wide: Array, opsets: dict[str, int]) -> Array | None:
    """What a node makes of all rows, if it does to each element what it does to the others."""
    inputs = [wide if v is value else promote(_stored(v)) for v in node.inputs]
    if not facts_of(node).elementwise or not all(_for_all_rows(a, wide) for a in inputs):
        return None
    try:
        return np.asarray(compute(node, inputs, opsets, exact=True)[0])
    except Exception:  # whatever keeps a kernel from it, there is nothing to compare
        return None


def _for_all_rows(array: Array | None, table: Array) -> bool:
    """Whether an operand is the table itself, or numbers that are the same in each row."""
    return array is table or (array is not None and (array.size == 1 or array.ndim < table.ndim))


def _equal(mine: Array, theirs: Array, dtype: np.dtype[np.generic]) -> Array:
    """The rows that agree within rounding."""
    near = np.abs(mine - theirs) <= _ULPS * ulps_at(np.abs(theirs), dtype)
    near |= (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
    rows: Array = near.reshape(near.shape[0], -1).all(axis=1)
    return rows
