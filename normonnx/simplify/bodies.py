"""What is equal for graphs within nodes that compute the same."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import onnx_ir as ir

from normonnx.graph.contents import Contents
from normonnx.graph.nesting import subgraphs, walk
from normonnx.operators.attributes import attribute_key
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of, is_deterministic
from normonnx.rewrite import Context

Known = dict[ir.Value, int]
"""The values of the bodies that something is in, numbered."""


def is_fixed(node: ir.Node) -> bool:
    """Whether a node, and all that is within it, computes the same from the same inputs."""
    if not subgraphs(node):
        return is_deterministic(node) or onnx_name(node) == "Constant"
    if not facts_of(node).control_flow or not onnx_name(node):
        return False
    return all(is_fixed(inner) for graph in subgraphs(node) for inner in walk(graph))


def node_key(
    context: Context, node: ir.Node, contents: Contents, known: Known | None = None
) -> Hashable:
    """What is equal for nodes that compute the same, of those that are fixed.

    Args:
        context: of the run.
        node: one that is fixed, and has no references to attributes.
        contents: numbers the constants.
        known: the values of the bodies that it is in.
    """
    known = known or {}
    attributes = node.attributes.data
    return (
        node.domain,
        node.op_type,
        node.overload,
        len(node.outputs),
        tuple(_value_key(context, value, contents, known) for value in node.inputs),
        tuple(
            (name, _attribute_key(context, attributes[name], contents, known))
            for name in sorted(attributes)
        ),
    )


def _attribute_key(
    context: Context, attribute: ir.Attr, contents: Contents, known: Known
) -> Hashable:
    if attribute.type != ir.AttributeType.GRAPH or attribute.is_ref():
        return attribute_key(attribute)
    return body_key(context, attribute.as_graph(), contents, known)


def body_key(
    context: Context, graph: ir.Graph, contents: Contents, around: Known | None = None
) -> Hashable:
    """What is equal for graphs that compute the same from the same inputs and values around them.

    Args:
        context: of the run.
        graph: one of which all nodes are fixed.
        contents: numbers the constants.
        around: the values of the bodies that it is in.
    """
    known = dict(around or {})
    types = tuple((str(value.type), str(value.shape)) for value in graph.inputs)
    _number(graph.inputs, known)
    keys = []
    for node in graph:
        keys.append(node_key(context, node, contents, known))
        _number(node.outputs, known)
    outs = tuple(_value_key(context, value, contents, known) for value in graph.outputs)
    return (types, tuple(keys), outs)


def _number(values: Iterable[ir.Value], known: Known) -> None:
    for value in values:
        known[value] = len(known)


def _value_key(
    context: Context, value: ir.Value | None, contents: Contents, known: Known
) -> Hashable:
    """Of a constant what it holds, of a value of the body its number, of any other itself."""
    if value is not None and value in known:
        return ("of the body", known[value])
    stored = None if value is None else value.const_value
    if value is not None and stored is not None and context.constants.is_constant(value):
        return ("constant", contents.number(stored))
    return value
