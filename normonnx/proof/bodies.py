"""Nodes that are the same operator, and the same graphs within it, node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import onnx_ir as ir

from normonnx.graph.nesting import subgraphs
from normonnx.operators.attributes import attribute_key
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of, is_deterministic

Pair: TypeAlias = "tuple[ir.Value, ir.Value]"
_Known: TypeAlias = "dict[ir.Value, ir.Value]"
"""The values of one body, each with the one of the other that is the same."""

_CONTROL_FLOW = frozenset({"If", "Loop", "Scan"})


def same_operator(one: ir.Node, other: ir.Node, known: _Known | None = None) -> list[Pair] | None:
    """What has to be the same beside its inputs for two nodes to compute the same.

    Args:
        one: a node.
        other: another one.
        known: what is the same in the bodies that they are in.

    Returns:
        Pairs of values that the graphs within them read from around them; None where the nodes are
        not the same operator with the same attributes.
    """
    mine, theirs = one.attributes.data, other.attributes.data
    if (
        one.op_identifier() != other.op_identifier()
        or not _is_fixed(one)
        or not _is_fixed(other)
        or len(one.inputs) != len(other.inputs)
        or len(one.outputs) != len(other.outputs)
        or mine.keys() != theirs.keys()
        or any(attribute.is_ref() for attribute in (*mine.values(), *theirs.values()))
    ):
        return None
    needed: list[Pair] = []
    for name, attribute in mine.items():
        if attribute.type == ir.AttributeType.GRAPH:
            if theirs[name].type != ir.AttributeType.GRAPH:
                return None
            found = same_bodies(attribute.as_graph(), theirs[name].as_graph(), known)
            if found is None:
                return None
            needed += found
        elif attribute_key(attribute) != attribute_key(theirs[name]):
            return None
    return needed


def _is_fixed(node: ir.Node) -> bool:
    """Whether a node computes the same each time, as far as its own operator goes."""
    if subgraphs(node):
        return facts_of(node).control_flow and onnx_name(node) in _CONTROL_FLOW
    return is_deterministic(node)


def same_bodies(one: ir.Graph, other: ir.Graph, around: _Known | None = None) -> list[Pair] | None:
    """What has to be the same around two graphs for them to compute the same from the same inputs.

    Returns:
        Pairs of values that they read; None where they are not the same nodes in the same order.
    """
    known = dict(around or {})
    sizes = [(len(g.inputs), len(g), len(g.outputs)) for g in (one, other)]
    if sizes[0] != sizes[1] or not all(map(_same_type, one.inputs, other.inputs)):
        return None
    known.update(zip(one.inputs, other.inputs, strict=True))
    needed: list[Pair] = []
    for first, second in zip(one, other, strict=True):
        found = _same_node(first, second, known)
        if found is None:
            return None
        needed += found
    given = _same_values(one.outputs, other.outputs, known)
    return None if given is None else needed + given


def _same_node(first: ir.Node, second: ir.Node, known: _Known) -> list[Pair] | None:
    """What two nodes of bodies need; what they make is the same from here on."""
    if onnx_name(first) == onnx_name(second) == "Constant":
        return _noted(first, second, known, list(zip(first.outputs, second.outputs, strict=True)))
    within = same_operator(first, second, known)
    read = _same_values(first.inputs, second.inputs, known)
    if within is None or read is None:
        return None
    return _noted(first, second, known, within + read)


def _noted(first: ir.Node, second: ir.Node, known: _Known, needed: list[Pair]) -> list[Pair]:
    known.update(zip(first.outputs, second.outputs, strict=True))
    return needed


def _same_values(
    ones: Sequence[ir.Value | None], others: Sequence[ir.Value | None], known: _Known
) -> list[Pair] | None:
    """The pairs that come from around two bodies; None where the bodies' own are not the same."""
    needed: list[Pair] = []
    own = set(known.values())
    for one, other in zip(ones, others, strict=True):
        if one is None or other is None:
            if one is not other:
                return None
        elif one in known or other in own:
            if known.get(one) is not other:
                return None
        else:
            needed.append((one, other))
    return needed


def _same_type(one: ir.Value, other: ir.Value) -> bool:
    return one.type == other.type and str(one.shape) == str(other.shape)
