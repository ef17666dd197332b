"""Operators that pass some of what they read and leave the rest, and what lies before them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum

import onnx_ir as ir

from normonnx.graph.interface import required_inputs
from normonnx.graph.nesting import subgraphs
from normonnx.judge.alignment import constant_tensor
from normonnx.judge.coverage.row_readers import places_of
from normonnx.judge.graph_facts import is_random
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of

BRANCHES: Mapping[str, tuple[str, ...]] = {
    "If": ("then_branch", "else_branch"),
    "Loop": ("body",),
    "Scan": ("body",),
}
"""The graphs of control flow, by the number under which they are told to have run."""

# By operator, the inputs of which it passes a part.
_BY_PLACE: Mapping[str, tuple[int, ...]] = {
    "Gather": (0,),
    "GatherElements": (0,),
    "GatherND": (0,),
    "Compress": (0,),
    "Slice": (0,),
    "OneHot": (2,),
    "Scatter": (0, 2),
    "ScatterElements": (0, 2),
    "ScatterND": (0, 2),
    "Where": (1, 2),
}
_BOUNDS: Mapping[str, tuple[int, ...]] = {"Clip": (1, 2), "PRelu": (1,)}
_UNALTERED = frozenset(("Cast", "Identity", "Squeeze", "Unsqueeze"))
_EXTREMES = frozenset(("Max", "Min"))


class Level(IntEnum):
    """What a value depends on at most."""

    CONSTANT = 0
    SIZES = 1
    ELEMENTS = 2


Levels = Mapping[ir.Value, Level]


def levels_of(model: ir.Model) -> dict[ir.Value, Level]:
    """On what each value depends; sizes are constants where all inputs have fixed ones."""
    inputs = required_inputs(model)
    levels: dict[ir.Value, Level] = dict.fromkeys(inputs, Level.ELEMENTS)
    sizes = Level.CONSTANT if all(map(_has_sizes, inputs)) else Level.SIZES
    _follow(model.graph, levels, sizes)
    return levels


def _follow(graph: ir.Graph, levels: dict[ir.Value, Level], sizes: Level) -> None:
    for node in graph:
        read = [_level(v, levels) for v in node.inputs if v is not None]
        for body in subgraphs(node):
            levels.update(dict.fromkeys(body.inputs, Level.ELEMENTS))
            _follow(body, levels, sizes)
            read += [_level(v, levels) for v in body.outputs]
        found = Level.ELEMENTS if is_random(node) else max(read, default=Level.CONSTANT)
        if facts_of(node).reads_shape_only:
            found = min(found, sizes)
        levels.update(dict.fromkeys(node.outputs, found))


def _level(value: ir.Value, levels: Levels) -> Level:
    return levels.get(value, Level.CONSTANT)


def _has_sizes(value: ir.Value) -> bool:
    """Whether the sizes of an input are all fixed."""
    shape = value.shape
    return shape is not None and all(isinstance(dim, int) and dim >= 0 for dim in shape)


def condition_level(node: ir.Node, levels: Levels) -> Level:
    """On what it depends which branch, or which elements, a node takes."""
    deciding = {"Where": node.inputs[:1], "If": node.inputs[:1], "Loop": node.inputs[:2]}
    values = deciding.get(onnx_name(node), node.inputs)
    return max((_level(v, levels) for v in values if v is not None), default=Level.CONSTANT)


def selects(node: ir.Node, index: int, levels: Levels) -> bool:
    """Whether it depends on the feed which elements of this input the node passes on."""
    name = onnx_name(node)
    if name in _EXTREMES:
        constant = [_is_constant(v) for v in node.inputs]
        return len(node.inputs) > 1 and (constant[index] or not any(constant))
    if index in _BOUNDS.get(name, ()):
        return True
    if name == "MatMul" and index == 1:
        return one_hot(node.inputs[0]) is not None
    place = places_of(node, index)
    if place is not None:
        value = node.inputs[place]
        return value is not None and _level(value, levels) > Level.CONSTANT
    passed = _BY_PLACE.get(name, ())
    others = [v for i, v in enumerate(node.inputs) if i not in passed and v is not None]
    return index in passed and any(_level(v, levels) for v in others)


def one_hot(value: ir.Value | None) -> ir.Node | None:
    """The OneHot that makes a value, which may be of another type or shape behind it."""
    while value is not None and (producer := value.producer()) is not None:
        name = onnx_name(producer)
        if name == "OneHot":
            return producer
        if name not in _UNALTERED:
            break
        value = producer.inputs[0]
    return None


def _is_constant(value: ir.Value | None) -> bool:
    if value is None:
        return False
    producer = value.producer()
    if producer is None:
        return value.const_value is not None
    return constant_tensor(producer) is not None


def noticed(
    graph: ir.Graph,
    passes: Callable[[ir.Node, int], bool],
    enters: Callable[[ir.Node, int], bool],
) -> set[ir.Value]:
    """The values of which an output of a graph takes notice.

    Args:
        graph: the main graph.
        passes: whether a node passes on anything of this input.
        enters: whether a node runs its graph of this number, see `BRANCHES`.
    """
    found: set[ir.Value] = set()
    _backwards(graph, graph.outputs, found, passes, enters)
    return found


def _backwards(
    graph: ir.Graph,
    wanted: Iterable[ir.Value],
    found: set[ir.Value],
    passes: Callable[[ir.Node, int], bool],
    enters: Callable[[ir.Node, int], bool],
) -> None:
    found.update(wanted)
    for node in reversed(graph):
        if found.isdisjoint(node.outputs) or facts_of(node).reads_shape_only:
            continue
        found.update(v for i, v in enumerate(node.inputs) if v is not None and passes(node, i))
        for number, title in enumerate(BRANCHES.get(onnx_name(node), ())):
            if title in node.attributes and enters(node, number):
                body = node.attributes[title].as_graph()
                _backwards(body, body.outputs, found, passes, enters)
