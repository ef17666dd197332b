"""What differs between two models and lies where a feed may pass it by."""

from __future__ import annotations

import onnx_ir as ir
from msgspec import Struct

from normonnx.graph.nesting import walk
from normonnx.judge.alignment import Alignment, Numbering
from normonnx.judge.coverage.bounds import Bound, bounds_of
from normonnx.judge.coverage.selecting import (
    BRANCHES,
    Level,
    Levels,
    condition_level,
    levels_of,
    noticed,
    selects,
)
from normonnx.judge.coverage.settings import Setting, settings_of
from normonnx.judge.coverage.tables import Table, tables
from normonnx.operators.names import onnx_name

_CHOICES = frozenset(("If", "Loop", "Where"))


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
        bounds: numbers with which sizes are cut off or compared, that the original has not.
        settings: nodes of the optimised model with attributes that hold tables, which differ.
    """

    tables: tuple[Table, ...]
    selections: tuple[Selection, ...]
    dropped: tuple[Selection, ...]
    open: frozenset[ir.Value]
    levels: Levels
    bounds: tuple[Bound, ...] = ()
    settings: tuple[Setting, ...] = ()

    def __bool__(self) -> bool:
        choices = self.selections or self.dropped
        return bool(self.tables or choices or self.settings or self.bounds)


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
    selections, dropped = _selections(aligned, seen, levels)
    found = tuple(tables(aligned, seen))
    return Changed(
        found,
        selections,
        dropped,
        frozenset(seen),
        levels,
        bounds_of(aligned, levels),
        settings_of(aligned),
    )


def _cuts(aligned: Alignment, seen: set[ir.Value]) -> frozenset[str]:
    """Values of one name whose difference an output shows: behind them the models are alike."""
    before, after = aligned.before.of, aligned.after.of
    numbers = {str(v.name): before[v] for node in aligned.original.graph for v in node.outputs}
    made = (v for node in aligned.optimized.graph for v in node.outputs if v in seen)
    return frozenset(n for v in made if numbers.get(n := str(v.name), after[v]) != after[v])


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
    found: list[Selection] = []
    for node in new:
        like = _like(node, old, before, after)
        if like is not None:
            old.remove(like)
        if condition_level(node, levels) == Level.ELEMENTS:
            found += _unlike(node, like, before, after)
    reading = levels_of(original) if old else {}
    dropped = [n for n in old if condition_level(n, reading) == Level.ELEMENTS]
    return tuple(found), tuple(Selection(n, index) for n in dropped for index in _indices(n))


def _unlike(
    node: ir.Node, like: ir.Node | None, before: Numbering, after: Numbering
) -> list[Selection]:
    """The branches of a node that are not those of its like."""
    indices = _indices(node)
    if like is not None:
        indices = tuple(i for i in indices if _part(node, i, after) != _part(like, i, before))
    return [Selection(node, index) for index in indices]


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
