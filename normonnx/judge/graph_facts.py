"""Facts about a model that change how it can be judged: chance, and jumps."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from normonnx.graph.nesting import subgraphs
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of


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
    """Whether a node draws random numbers."""
    return facts_of(node).random or _drops_out(node)


def _drops_out(node: ir.Node) -> bool:
    """Whether the node is a Dropout that is told to train."""
    if onnx_name(node) != "Dropout" or len(node.inputs) < 3 or node.inputs[2] is None:
        return False
    told = node.inputs[2].const_value
    return told is None or bool(told.numpy().reshape(-1)[0])


def jumps(model: ir.Model) -> bool:
    """Whether the model has operators whose result jumps when their input changes a little."""
    return any(facts_of(node).jumps for node in _all_nodes(model))


def _all_nodes(model: ir.Model) -> Iterator[ir.Node]:
    yield from model.graph.all_nodes()
    for function in model.functions.values():
        yield from function.all_nodes()
