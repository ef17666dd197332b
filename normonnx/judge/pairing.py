"""Which nodes of two models belong together, and whether they do the same to what they read."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import onnx
import onnx_ir as ir

from normonnx.judge.alignment import defaults_of
from normonnx.operators.attributes import attribute_key

# An attribute that is not stated means the same in every operator set so far.
_NEWEST = onnx.defs.onnx_opset_version()
_GRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


def title_of(node: ir.Node) -> str:
    """How a node is told of."""
    return f"{node.op_type} '{node.name or node.outputs[0].name}'"


def partners(old: Sequence[ir.Node], new: Sequence[ir.Node]) -> dict[ir.Node, ir.Node | None]:
    """For each node of the original that of the other model, where there is one to compare with."""
    named = {names_of(node): node for node in new}
    found = {node: named.get(names_of(node)) for node in old}
    lone = [node for node, partner in found.items() if partner is None]
    return found | _by_order(lone, [node for node in new if node not in set(found.values())])


def is_alike(node: ir.Node, other: ir.Node) -> bool:
    """Whether two nodes are one operator with the same attributes, whatever their graphs do."""
    return kind_of(node) == kind_of(other)


def kind_of(node: ir.Node) -> Hashable:
    """What two nodes have in common that are the same operator with the same attributes."""
    given = dict(defaults_of(node.domain, node.op_type, _NEWEST))
    stated = {name: a for name, a in node.attributes.items() if a.type not in _GRAPHS}
    given |= {name: attribute_key(a) for name, a in stated.items()}
    inputs = [value is not None for value in node.inputs]
    while inputs and not inputs[-1]:
        inputs.pop()
    return node.op_identifier(), tuple(sorted(given.items())), tuple(inputs), len(node.outputs)


def names_of(node: ir.Node) -> tuple[str | None, ...]:
    """The names of what a node gives."""
    return tuple(value.name for value in node.outputs)


def _by_order(old: Sequence[ir.Node], new: Sequence[ir.Node]) -> dict[ir.Node, ir.Node]:
    """Partners of nodes under other names, where both models have as many of a kind."""
    result: dict[ir.Node, ir.Node] = {}
    for kind in dict.fromkeys(map(kind_of, old)):
        lone, free = ([n for n in nodes if kind_of(n) == kind] for nodes in (old, new))
        if len(lone) == len(free):
            result.update(zip(lone, free, strict=True))
    return result
