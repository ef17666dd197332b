"""Graphs within graphs: the branches and bodies of control flow, and the functions of a model.

Node attributes are taken from the dictionary inside their container: these walks go over every
node of a model many times, and the container's own iteration takes ten times as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import onnx_ir as ir

_GRAPH, _GRAPHS = ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS


def subgraphs(node: ir.Node) -> Sequence[ir.Graph]:
    """The graphs that a control-flow node carries as attributes."""
    found: list[ir.Graph] = []
    for attribute in node.attributes.data.values():
        kind = attribute.type
        if kind is _GRAPH and not attribute.is_ref():
            found.append(attribute.as_graph())
        elif kind is _GRAPHS and not attribute.is_ref():
            found.extend(attribute.as_graphs())
    return found


def walk(graph: Iterable[ir.Node]) -> Iterator[ir.Node]:
    """All nodes of a graph in its order, each followed by the nodes of its subgraphs."""
    stack: list[Iterator[ir.Node]] = [iter(graph)]
    while stack:
        for node in stack[-1]:
            yield node
            if inner := subgraphs(node):
                stack.extend(iter(subgraph) for subgraph in reversed(inner))
                break
        else:
            stack.pop()


def detach_within(node: ir.Node) -> None:
    """Detach the nodes within a node that goes from what they read of the graphs around it."""
    for graph in subgraphs(node):
        for inner in walk(graph):
            for index in range(len(inner.inputs)):
                inner.replace_input_with(index, None)


def graphs_within(graph: ir.Graph) -> Iterator[ir.Graph]:
    """A graph and all graphs within its nodes, outer ones first; it may change on the way."""
    waiting = [graph]
    while waiting:
        graph = waiting.pop()
        yield graph
        waiting.extend(reversed([inner for node in graph for inner in subgraphs(node)]))


def graphs_of(model: ir.Model) -> Iterator[ir.Graph]:
    """Every graph of a model: the main one, function bodies, and all their subgraphs."""
    for graph in (model.graph, *(function.graph for function in model.functions.values())):
        yield from graphs_within(graph)
