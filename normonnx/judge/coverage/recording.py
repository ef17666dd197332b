"""What one evaluation of a model reads of its tables, and which branches it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.judge.coverage.record import NOTHING, Lookup, Record
from normonnx.judge.coverage.row_readers import Known, places_of, rows_of
from normonnx.judge.coverage.selecting import BRANCHES, Level, Levels, one_hot, selects
from normonnx.judge.coverage.tables import Table
from normonnx.operators.attributes import attribute_int, normalized
from normonnx.operators.kernels import Array, Inputs
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of
from normonnx.oracle.execution import Frame, Step

# They keep the place of each element, although not the element.
_IN_PLACE = frozenset(("Cast", "CastLike", "DequantizeLinear", "QuantizeLinear", "Dropout"))
_MOST_SIZES = 8
_LOOKUPS = frozenset(("Gather", "GatherElements", "GatherND"))


class _Traced(Struct, frozen=True, eq=False):
    """The labels of a table in one value; ``fixed`` where no feed can change which they are."""

    table: Table
    labels: Array
    fixed: bool = True


class Recorder:
    """Follows the elements of tables through an evaluation, as far as they only move.

    Args:
        tables: what to follow.
        levels: on what the values of the model depend.
        given: the inputs of the model by name.
    """

    def __init__(
        self, tables: Iterable[Table], levels: Levels, given: Mapping[str, Any] | None = None
    ) -> None:
        self.record: Record = Record()
        self._given = given or {}
        self._places: dict[ir.Value, Array] = {}
        self._traced: dict[ir.Value, list[_Traced]] = {
            t.value: [_Traced(t, t.labels)] for t in tables
        }
        self._tables = frozenset(self._traced)
        self._levels = levels
        self._ran: set[ir.Node] = set()

    def __call__(self, step: Step, inputs: Inputs, outputs: Sequence[Any], frame: Frame) -> None:
        """Take note of a step."""
        node, name = step.node, onnx_name(step.node)
        self._ran.add(node)
        for made in set(node.outputs) - self._tables:
            self._traced.pop(made, None)  # of the iteration before
        for made, output in zip(node.outputs, outputs, strict=False):
            if any(_looks_up(user) for user, _ in made.uses()):
                self._places[made] = np.asarray(output)
        if name in BRANCHES:
            self._branch(node, name, inputs)
        elif self._makes_sizes(node, outputs):
            self.record.passed.update((node, index) for index in range(len(node.inputs)))
            for traced in self._into(node):
                self._read(traced, node)
        else:
            self._operator(step, inputs, outputs, frame)

    def _operator(self, step: Step, inputs: Inputs, outputs: Sequence[Any], frame: Frame) -> None:
        node, name = step.node, onnx_name(step.node)
        for index, value in enumerate(node.inputs):
            if selects(node, index, self._levels) and _passes(name, index, inputs, outputs):
                self.record.passed.add((node, index))
            for traced in self._traced.get(value, ()) if value is not None else ():
                self._follow(step, index, traced, inputs, outputs, frame)

    def finish(self, graph: ir.Graph) -> Record:
        """The record, with what arrived at the outputs, and at nodes that did not run."""
        self.record.unknown = {node for node in graph if node not in self._ran}
        for value in graph.outputs:
            for traced in self._traced.get(value, ()):
                self._read(traced, None)
        for node in self.record.unknown:
            self._unrun(node)
        return self.record

    def _unrun(self, node: ir.Node) -> None:
        """What a node reads that did not run, by rows as far as these are known."""
        known = [self._traced.get(value, ()) if value is not None else () for value in node.inputs]
        for index, traced in ((i, t) for i, several in enumerate(known) for t in several):
            if not self._rows(node, index, traced, self._known):
                self._read(traced, node)

    def _known(self, value: ir.Value | None) -> Array | None:
        """What a value is that was computed, or given, and whose rows may be looked up."""
        if value is None:
            return None
        given = self._given.get(str(value.name)) if value.is_graph_input() else None
        return self._places.get(value) if given is None else np.asarray(given)

    def _rows(self, node: ir.Node, index: int, traced: _Traced, known: Known) -> bool:
        """Note which rows of a table a node reads, if it reads it by rows."""
        place, rows = places_of(node, index), rows_of(node, index, known)
        if place is None or rows is None or traced.labels.ndim == 0:
            return False
        found = Lookup(traced.table, traced.labels, 0, place)
        self.record.lookups[traced.table, node] = found
        self._offer(traced)
        inside = rows[(rows >= 0) & (rows < len(traced.labels))]
        self._read(_Traced(traced.table, traced.labels[inside], fixed=False), node)
        return True

    def _makes_sizes(self, node: ir.Node, outputs: Sequence[Any]) -> bool:
        """Whether a Where puts sizes together: feeds of several sizes tell whether it is right."""
        known = onnx_name(node) == "Where" and np.ndim(outputs[0]) < 2
        read = (self._levels.get(v, Level.CONSTANT) for v in node.inputs if v is not None)
        return known and np.size(outputs[0]) <= _MOST_SIZES and Level.ELEMENTS not in read

    def _into(self, node: ir.Node) -> list[_Traced]:
        """What a node reads of the tables."""
        known = [self._traced.get(value, ()) for value in node.inputs if value is not None]
        return [traced for several in known for traced in several]

    def _branch(self, node: ir.Node, name: str, inputs: Inputs) -> None:
        number = _entered(name, inputs)
        for traced in self._into(node):
            self._read(traced, node)
        if number is None:
            return
        self.record.entered.add((node, number))
        body = node.attributes[BRANCHES[name][number]].as_graph()
        for index, value in enumerate(body.outputs):
            for traced in self._traced.get(value, ()):
                if name == "If":
                    self._traced.setdefault(node.outputs[index], []).append(traced)
                else:
                    self._read(traced, node)

    def _follow(
        self,
        step: Step,
        index: int,
        traced: _Traced,
        inputs: Inputs,
        outputs: Sequence[Any],
        frame: Frame,
    ) -> None:
        """Carry the labels of one input on to the outputs, or note that they were read."""
        node = step.node
        name = onnx_name(node)
        chosen = selects(node, index, self._levels)
        arrays = dict(zip(node.inputs, inputs, strict=False))
        if self._rows(node, index, traced, arrays.get):
            return
        if chosen:
            self._offer(traced)
            if name == "MatMul":
                self._product(node, traced, inputs)
                return
            if name in _LOOKUPS:
                axis = normalized(attribute_int(node, "axis", 0), traced.labels.ndim)
                found = Lookup(traced.table, traced.labels, axis)
                self.record.lookups[traced.table, node] = found
        moved = _moved(step, index, traced.labels, inputs, outputs, frame)
        if moved is None:
            self._read(traced, node)
            return
        for value, labels in zip(node.outputs, moved, strict=False):
            carried = _Traced(traced.table, labels, traced.fixed and not chosen)
            self._traced.setdefault(value, []).append(carried)

    def _product(self, node: ir.Node, traced: _Traced, inputs: Inputs) -> None:
        """A table that is multiplied by zeros and ones: it is read where there is no zero."""
        hot, chosen = inputs[0], one_hot(node.inputs[0])
        if hot is None or chosen is None or traced.labels.ndim != 2:
            self._read(traced, node)
            return
        self.record.lookups[traced.table, chosen] = Lookup(traced.table, traced.labels, 0, 0)
        rows = np.any(hot.reshape(-1, hot.shape[-1]) != 0, axis=0)
        self._read(_Traced(traced.table, traced.labels[rows], fixed=False), node)

    def _offer(self, traced: _Traced) -> None:
        if traced.fixed:
            self._mark(self.record.offered, traced.table, traced)

    def _read(self, traced: _Traced, node: ir.Node | None) -> None:
        self._offer(traced)
        self._mark(self.record.read, (traced.table, node), traced)

    def _mark(self, where: dict[Any, Array], key: object, traced: _Traced) -> None:
        if traced.labels is traced.table.labels:
            where[key] = np.ones(traced.table.differs.shape, dtype=bool)
            return
        if key not in where:
            where[key] = np.zeros(traced.table.differs.shape, dtype=bool)
        where[key][traced.labels[traced.labels != NOTHING]] = True


def _looks_up(node: ir.Node) -> bool:
    return any(places_of(node, index) is not None for index in range(len(node.inputs)))


def _entered(name: str, inputs: Inputs) -> int | None:
    """The number of the graph that a node ran."""
    first, second = (*inputs, None, None)[:2]
    if name == "If":
        return 0 if first is not None and first.reshape(-1)[0] else 1
    if name == "Loop":
        ran = first is None or int(first.reshape(-1)[0]) > 0
        return 0 if ran and (second is None or bool(second.reshape(-1)[0])) else None
    return 0


def _passes(name: str, index: int, inputs: Inputs, outputs: Sequence[Any]) -> bool:
    """Whether a selecting node passed on an element of this input."""
    kept = _kept(name, index, inputs, outputs)
    return bool(np.size(outputs[0])) if kept is None else bool(np.any(kept))


def _kept(name: str, index: int, inputs: Inputs, outputs: Sequence[Any]) -> Array | None:
    """Where the output is that of this input, for operators that choose at each place."""
    first = inputs[0]
    if first is None:
        return None
    if name == "Where" and index:  # by its condition the output goes at every place
        return first if index == 1 else ~first
    if name == "PRelu":
        return np.asarray(first < 0)
    if name in ("Max", "Min") or (name == "Clip" and index):
        own = inputs[index]
        return None if own is None else np.asarray(outputs[0] == own)
    return None


def _moved(
    step: Step,
    index: int,
    labels: Array,
    inputs: Inputs,
    outputs: Sequence[Any],
    frame: Frame,
) -> list[Array] | None:
    """The labels in the outputs of a node, None where it does more than move elements."""
    name, facts = onnx_name(step.node), facts_of(step.node)
    if index in facts.moves and name != "Dropout":
        return _rerun(step, index, labels, inputs, facts.moves, frame)
    if not (facts.elementwise or name == "PRelu" or (name in _IN_PLACE and index == 0)):
        return None
    try:
        spread = np.broadcast_to(labels, np.shape(outputs[0]))
    except ValueError:
        return None
    kept = _kept(name, index, inputs, outputs)
    return [spread if kept is None else np.where(kept, spread, NOTHING)]


def _rerun(
    step: Step,
    index: int,
    labels: Array,
    inputs: Inputs,
    moves: Sequence[int],
    frame: Frame,
) -> list[Array] | None:
    """The outputs of a node that moves elements, with labels in the place of these."""
    given: list[Any] = list(inputs)
    for place, array in enumerate(inputs):
        if array is not None and place in moves:
            given[place] = np.broadcast_to(np.int64(NOTHING), np.shape(array))
    given[index] = labels
    try:
        made = step.run(given, frame, True)
    except Exception:  # what a kernel makes of integers is its own affair
        return None
    arrays = [np.asarray(a) for a in made]
    return arrays if all(a.dtype == np.int64 for a in arrays) else None
