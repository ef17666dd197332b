"""What differs between two models and lies where a feed may pass it by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.graph.contents import differing
from normonnx.graph.nesting import walk
from normonnx.judge.alignment import Alignment, Numbering, constant_tensor
from normonnx.judge.coverage.rows import equal_rows
from normonnx.judge.coverage.selecting import (
    BRANCHES,
    Level,
    Levels,
    condition_level,
    levels_of,
    noticed,
    selects,
)
from normonnx.operators.kernels import Array
from normonnx.operators.names import onnx_name

# Beyond these many elements a table is followed row by row.
_MOST_ELEMENTS = 1 << 22
_CHOICES = frozenset(("If", "Loop", "Where"))


class Table(Struct, frozen=True, eq=False):
    """A constant of the optimised model of which feeds read a part.

    Attributes:
        value: the initializer, or the output of its Constant node.
        tensor: what it holds.
        labels: a number for each element, or for each row of a large one; of its shape.
        differs: for each number, whether something differs there from the original.
        by_rows: whether the numbers are those of rows.
    """

    value: ir.Value
    tensor: ir.TensorProtocol
    labels: Array
    differs: Array
    by_rows: bool


class Selection(Struct, frozen=True):
    """A graph or an input of a node that is taken or left: number ``index`` of its kind."""

    node: ir.Node
    index: int

    def __str__(self) -> str:
        title = f"{self.node.op_type} '{self.node.name or self.node.outputs[0].name}'"
        if onnx_name(self.node) == "Where":
            return f"input {self.index} of {title}"
        return f"the {BRANCHES[self.node.op_type][self.index].replace('_', ' ')} of {title}"


class Changed(Struct, frozen=True):
    """What a feed may pass by.

    Attributes:
        tables: constants of the optimised model that differ.
        selections: branches of the optimised model that differ from the original's.
        dropped: branches of the original that the optimised model has none for.
        open: the values of the optimised model that no selection hides.
        levels: on what its values depend.
    """

    tables: tuple[Table, ...]
    selections: tuple[Selection, ...]
    dropped: tuple[Selection, ...]
    open: frozenset[ir.Value]
    levels: Levels

    def __bool__(self) -> bool:
        return bool(self.tables or self.selections or self.dropped)


def changed(aligned: Alignment) -> Changed:
    """Compare two models.

    What only follows from another difference, which every feed shows, is no difference here.
    """
    levels = levels_of(aligned.optimized)
    seen = noticed(
        aligned.optimized.graph,
        lambda node, index: not selects(node, index, levels),
        lambda node, index: False,
    )
    tables = _tables(aligned, seen)
    selections, dropped = _selections(aligned, seen, levels)
    return Changed(tuple(tables), selections, dropped, frozenset(seen), levels)


def _cuts(aligned: Alignment, seen: set[ir.Value]) -> frozenset[str]:
    """Values of one name whose difference an output shows: behind them the models are alike."""
    before, after = aligned.before.of, aligned.after.of
    numbers = {str(v.name): before[v] for node in aligned.original.graph for v in node.outputs}
    made = (v for node in aligned.optimized.graph for v in node.outputs if v in seen)
    return frozenset(n for v in made if numbers.get(n := str(v.name), after[v]) != after[v])


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


def _tables(aligned: Alignment, seen: set[ir.Value]) -> Iterator[Table]:
    suspects = [
        (value, tensor)
        for value, tensor in constants(aligned.optimized)
        if value not in seen and value.uses() and tensor.dtype != ir.DataType.STRING
    ]
    if not suspects:
        return
    number = aligned.keys.contents.number
    known = list(constants(aligned.original))
    named = {str(value.name): tensor for value, tensor in known}
    read: dict[int, set[tuple[str, int]]] = {}
    for value, tensor in known:
        read.setdefault(number(tensor), set()).update(_readings(value))
    for value, tensor in suspects:
        before = named.get(str(value.name))
        if before is not None and number(before) == number(tensor):
            continue
        if before is None and _readings(value) <= read.get(number(tensor), set()):
            continue
        if before is not None:
            candidates = [before]
        else:
            kept = {number(t) for _, t in constants(aligned.optimized)}
            candidates = [t for _, t in known if number(t) not in kept]
        table = _table(value, tensor, candidates, equal_rows(aligned, value, tensor))
        if table.differs.any():
            yield table


def _readings(value: ir.Value) -> set[tuple[str, int]]:
    """By which operators a constant is read, and as which of their inputs."""
    return {(node.op_type, index) for node, index in value.uses()}


def _table(
    value: ir.Value,
    tensor: ir.TensorProtocol,
    before: Sequence[ir.TensorProtocol],
    equal: Array | None,
) -> Table:
    """A constant against the one of the original that is most like it.

    Rows that are known to be ``equal`` do not differ, whatever they hold.
    """
    array = np.asarray(tensor.numpy())
    alike = [t for t in before if t.dtype == tensor.dtype and t.shape == tensor.shape]
    flaws = [differing(np.asarray(t.numpy()), array) for t in alike]
    found: Array = np.ones(array.shape, dtype=bool)
    if flaws:
        found = min(flaws, key=np.count_nonzero)
    if equal is not None:
        found[equal] = False
    if array.size <= _MOST_ELEMENTS:
        labels = np.arange(array.size).reshape(array.shape)
        return Table(value, tensor, labels, found.reshape(-1), by_rows=False)
    rows = np.arange(array.shape[0]).reshape(-1, *(1,) * (array.ndim - 1))
    differs: Array = found.reshape(array.shape[0], -1).any(axis=1)
    return Table(value, tensor, np.broadcast_to(rows, array.shape), differs, by_rows=True)


def _selections(
    aligned: Alignment, seen: set[ir.Value], levels: Levels
) -> tuple[tuple[Selection, ...], tuple[Selection, ...]]:
    """The branches that differ, of the optimised model, and those of the original without like."""
    original, optimized = aligned.original, aligned.optimized
    before, after = aligned.before, aligned.after
    if not _choices(original, before, after) and not _choices(optimized, after, before):
        return (), ()
    cuts = _cuts(aligned, seen)
    before, after = (Numbering(m, aligned.keys, cuts) for m in (original, optimized))
    old = _choices(original, before, after)
    new = _choices(optimized, after, before)
    found = []
    for node in new:
        like = _like(node, old, before, after)
        if like is not None:
            old.remove(like)
        if condition_level(node, levels) < Level.ELEMENTS:
            continue
        found += [
            Selection(node, index)
            for index in _indices(node)
            if like is None or _part(node, index, after) != _part(like, index, before)
        ]
    reading = levels_of(original) if old else {}
    dropped = [
        Selection(node, index)
        for node in old
        if condition_level(node, reading) == Level.ELEMENTS
        for index in _indices(node)
    ]
    return tuple(found), tuple(dropped)


def _choices(model: ir.Model, own: Numbering, other: Numbering) -> list[ir.Node]:
    """The nodes that choose, and make something that the other model does not have."""
    found = [node for node in walk(model.graph) if onnx_name(node) in _CHOICES]
    known = {number for numbers in other.made.values() for number in numbers} if found else set()
    return [node for node in found if not known.issuperset(own.made[node])]


def _indices(node: ir.Node) -> tuple[int, ...]:
    return (1, 2) if onnx_name(node) == "Where" else tuple(range(len(BRANCHES[node.op_type])))


def _part(node: ir.Node, index: int, numbering: Numbering) -> int:
    """The number of what is taken or left."""
    if onnx_name(node) == "Where":
        value = node.inputs[index]
        return 0 if value is None else numbering.number(value)
    return numbering.graphs[node.attributes[BRANCHES[node.op_type][index]].as_graph()]


def _like(
    node: ir.Node, others: list[ir.Node], before: Numbering, after: Numbering
) -> ir.Node | None:
    """The node of the original that is decided alike or, failing that, called alike."""
    same = [other for other in others if other.op_type == node.op_type]
    decided = after.number(node.inputs[0])
    for other in same:
        if before.number(other.inputs[0]) == decided:
            return other
    named = (o for o in same if o.name and o.name == node.name)
    made = (o for o in same if o.outputs[0].name == node.outputs[0].name)
    return next(named, None) or next(made, None)
