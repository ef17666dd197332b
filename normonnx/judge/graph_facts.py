"""Facts about a model that change how it can be judged: chance, and jumps."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from normonnx.graph.nesting import subgraphs
from normonnx.judge.tiers.declared import declared_types
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of

# Selections of which only the first input is what is chosen from or rounded.
_OF_FIRST = frozenset(("TopK", "QuantizeLinear"))


def random_outputs(model: ir.Model) -> tuple[str, ...]:
    """The outputs that depend on random numbers."""
    chancy = {
        identifier
        for identifier, function in model.functions.items()
        if any(is_random(node) for node in function.all_nodes())
    }
    tainted: set[ir.Value] = set()
    _taint(model.graph, tainted, chancy)
    return tuple(str(v.name) for v in model.graph.outputs if v in tainted)


def _taint(graph: ir.Graph, tainted: set[ir.Value], chancy: set[ir.OperatorIdentifier]) -> None:
    for node in graph:
        inner = False
        for subgraph in subgraphs(node):
            _taint(subgraph, tainted, chancy)
            inner |= not tainted.isdisjoint(subgraph.outputs)
        drawn = is_random(node) or node.op_identifier() in chancy
        if drawn or inner or not tainted.isdisjoint(node.inputs):
            tainted.update(node.outputs)


def is_random(node: ir.Node) -> bool:
    """Whether a node gives other numbers each time it runs."""
    return facts_of(node).random or _drops_out(node)


def _drops_out(node: ir.Node) -> bool:
    """Whether the node is a Dropout that is told to train, and drops anything."""
    if onnx_name(node) != "Dropout" or len(node.inputs) < 3 or node.inputs[2] is None:
        return False
    told, ratio = node.inputs[2].const_value, node.inputs[1]
    if told is not None and not told.numpy().reshape(-1)[0]:
        return False
    share = None if ratio is None else ratio.const_value
    return share is None or bool(share.numpy().reshape(-1)[0])


def selections(model: ir.Model) -> list[ir.Node]:
    """The nodes of the main graph whose result jumps when their input changes a little.

    They choose, compare or round numbers that are computed and not integer.
    """
    floats = declared_types(model)
    return [node for node in model.graph if _selects(node, floats)]


def choosing(model: ir.Model) -> set[ir.Node]:
    """Such nodes, and those that draw random numbers, in the graphs of nodes too."""
    floats = declared_types(model)
    nodes = model.graph.all_nodes()
    return {node for node in nodes if is_random(node) or _selects(node, floats)}


def jumps(model: ir.Model) -> bool:
    """Whether the model has such nodes, anywhere."""
    floats = declared_types(model)
    if any(_selects(node, floats) for node in model.graph.all_nodes()):
        return True
    # Of the values in a function no type is known.
    return any(facts_of(node).jumps for f in model.functions.values() for node in f.all_nodes())


def _selects(node: ir.Node, floats: Mapping[ir.Value, object]) -> bool:
    read = node.inputs[:1] if onnx_name(node) in _OF_FIRST else node.inputs
    if not any(v is not None and v.const_value is None and v in floats for v in read):
        return False
    return facts_of(node).jumps or _makes_whole(node)


def _makes_whole(node: ir.Node) -> bool:
    """Whether a Cast makes integers or truth values of numbers."""
    target = node.attributes.get("to") if onnx_name(node) == "Cast" else None
    return target is not None and not ir.DataType(target.as_int()).is_floating_point()
