"""Constants of an optimised model that differ from the original's where a feed may pass them by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.graph.contents import differing
from normonnx.graph.nesting import walk
from normonnx.graph.ulps import ulps_at
from normonnx.judge.alignment import Alignment, constant_tensor
from normonnx.judge.coverage.intervals import unread
from normonnx.judge.coverage.rows import equal_rows
from normonnx.judge.coverage.worked import worked_out
from normonnx.operators.attributes import attribute_int, normalized
from normonnx.operators.kernels import Array
from normonnx.operators.names import onnx_name
from normonnx.oracle.promotion import is_float, promote

# Beyond these many elements a table is followed row by row.
_MOST_ELEMENTS = 1 << 18
# Units in the last place by which two tools may round what they compute from constants.
_ULPS = 4


class Table(Struct, frozen=True, eq=False):
    """A constant of the optimised model of which feeds read a part.

    Attributes:
        value: the initializer, or the output of its Constant node.
        tensor: what it holds.
        labels: a number for each element, or for each row of a large one; of its shape.
        differs: for each number, whether something differs there from the original.
        axis: along which the rows lie that share a number; None where each element has its own.
    """

    value: ir.Value
    tensor: ir.TensorProtocol
    labels: Array
    differs: Array
    axis: int | None = None


def tables(aligned: Alignment, seen: set[ir.Value]) -> Iterator[Table]:
    """The constants that differ, but for those of which an output always takes notice.

    Args:
        aligned: the models side by side.
        seen: the values of the optimised model that no selection hides.
    """
    suspects = [
        (value, tensor)
        for value, tensor in constants(aligned.optimized)
        if value not in seen and value.uses()
    ]
    if not suspects:
        return
    known = _Known(aligned)
    opsets = dict(aligned.optimized.opset_imports)
    for value, tensor in suspects:
        if known.has(value, tensor):
            continue
        equal = equal_rows(aligned, value, tensor)
        table = _table(
            value, tensor, known.flaws(value, tensor), _or_unread(value, tensor, equal, opsets)
        )
        if table.differs.any():
            yield table


def _or_unread(
    value: ir.Value, tensor: ir.TensorProtocol, equal: Array | None, opsets: dict[str, int]
) -> Array | None:
    """The rows that are equal, or that no index reads, whatever they hold."""
    shape = tensor.shape.numpy()
    if not shape:
        return equal
    rows = unread(value, shape[0], opsets)
    return rows if equal is None else rows | equal


class _Known:
    """The constants of the original."""

    def __init__(self, aligned: Alignment) -> None:
        self._number = aligned.keys.contents.number
        self._optimized = aligned.optimized
        self._computed = list(worked_out(aligned.original))
        self._all = list(constants(aligned.original))
        self._named = {str(value.name): tensor for value, tensor in self._all}
        self._read: dict[int, set[tuple[str, int]]] = {}
        computed = ((value, ir.tensor(array)) for value, array in self._computed)
        for value, tensor in (*self._all, *computed):
            self._read.setdefault(self._number(tensor), set()).update(_readings(value))

    def has(self, value: ir.Value, tensor: ir.TensorProtocol) -> bool:
        """Whether the original has it by this name or, if none is called so, read alike."""
        before = self._named.get(str(value.name))
        if before is not None:
            return self._number(before) == self._number(tensor)
        return _readings(value) <= self._read.get(self._number(tensor), set())

    def flaws(self, value: ir.Value, tensor: ir.TensorProtocol) -> list[Array]:
        """Where it differs from what it may have been: the one of its name, any that is gone.

        Of what the original computes it may be a rounding away.
        """
        array = np.asarray(tensor.numpy())
        before = self._named.get(str(value.name))
        stored = [before] if before is not None else self._gone()
        found = [
            differing(np.asarray(t.numpy()), array)
            for t in stored
            if t.dtype == tensor.dtype and t.shape == tensor.shape
        ]
        alike = [a for _, a in self._computed if (a.dtype, a.shape) == (array.dtype, array.shape)]
        return found + [_off(a, array) for a in alike if before is None]

    def _gone(self) -> list[ir.TensorProtocol]:
        kept = {self._number(tensor) for _, tensor in constants(self._optimized)}
        return [tensor for _, tensor in self._all if self._number(tensor) not in kept]


def constants(model: ir.Model) -> Iterator[tuple[ir.Value, ir.TensorProtocol]]:
    """Every initializer and Constant of a model's graphs."""
    for graph in (model.graph, *_bodies(model.graph)):
        for value in graph.initializers.values():
            if value.const_value is not None:
                yield value, value.const_value
        for node in graph:
            tensor = constant_tensor(node)
            if tensor is not None:
                yield node.outputs[0], tensor


def _bodies(graph: ir.Graph) -> Iterator[ir.Graph]:
    for node in walk(graph):
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH and not attribute.is_ref():
                yield attribute.as_graph()


def _readings(value: ir.Value) -> set[tuple[str, int]]:
    """By which operators a constant is read, and as which of their inputs."""
    return {(node.op_type, index) for node, index in value.uses()}


def _off(before: Array, array: Array) -> Array:
    """Where an array is farther from what is computed than rounding takes it."""
    if not is_float(array):
        return differing(np.ascontiguousarray(before), array)
    one, other = promote(before), promote(array)
    near = np.abs(one - other) <= _ULPS * ulps_at(np.abs(one), array.dtype)
    found: Array = ~(near | (one == other) | (np.isnan(one) & np.isnan(other)))
    return found


def _table(
    value: ir.Value,
    tensor: ir.TensorProtocol,
    flaws: Sequence[Array],
    idle: Array | None,
) -> Table:
    """A constant with where it differs from the one of the original that is most like it.

    Rows that are ``idle`` do not differ, whatever they hold.
    """
    array = np.asarray(tensor.numpy())
    found: Array = np.ones(array.shape, dtype=bool)
    if flaws:
        found = min(flaws, key=np.count_nonzero)
    if idle is not None:
        found[idle] = False
    if array.size <= _MOST_ELEMENTS:
        labels = np.arange(array.size).reshape(array.shape)
        return Table(value, tensor, labels, found.reshape(-1))
    axis = _looked_up(value, array.shape)
    rows = np.moveaxis(np.arange(array.shape[axis]).reshape(-1, *(1,) * (array.ndim - 1)), 0, axis)
    differs: Array = np.any(found, axis=tuple(i for i in range(array.ndim) if i != axis))
    return Table(value, tensor, np.broadcast_to(rows, array.shape), differs, axis)


def _looked_up(value: ir.Value, shape: Sequence[int]) -> int:
    """The axis whose rows a table is read by: that of its lookup, or the longest but the last."""
    for node, index in value.uses():
        if onnx_name(node) == "Gather" and index == 0:
            return normalized(attribute_int(node, "axis", 0), len(shape))
    return int(np.argmax(shape[:-1] or shape))
