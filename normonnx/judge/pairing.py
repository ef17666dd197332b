"""Which nodes of two models belong together, and whether they do the same to what they read."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import onnx
import onnx_ir as ir

from normonnx.judge.alignment import defaults_of
from normonnx.operators.attributes import attribute_key
from normonnx.operators.names import onnx_name

# An attribute that is not stated means the same in every operator set so far.
_NEWEST = onnx.defs.onnx_opset_version()
_EXTREMES = frozenset(("ArgMax", "ArgMin"))
_GROWING = ("Sigmoid", "Exp", "Log", "Sqrt", "Tanh", "Erf")
_ALONG = ("Softmax", "LogSoftmax")
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


def chosen_from(old: ir.Node, new: ir.Node) -> tuple[ir.Value, ir.Value] | None:
    """What two nodes choose from, where one reads it through what changes no choice.

    They are ArgMax, ArgMin, or a TopK that hands out places only. None where both read it alike.
    """
    first, second = old.inputs[0], new.inputs[0]
    if not (_says_where(old) and _says_where(new)) or first is None or second is None:
        return None
    before, after = _rising(first, old), _rising(second, new)
    if before is None and after is not None:
        return first, after
    return (before, second) if before is not None and after is None else None


def _says_where(node: ir.Node) -> bool:
    """Whether a node tells the places that it chooses, and nobody reads what lies there."""
    if onnx_name(node) == "TopK":
        values = node.outputs[0]
        return not values.uses() and not values.is_graph_output()
    return onnx_name(node) in _EXTREMES


def _rising(value: ir.Value, node: ir.Node) -> ir.Value | None:
    """What a value is made of that grows with it along the axis of a node, None where nothing."""
    producer = value.producer()
    if producer is None or onnx_name(producer) not in (*_GROWING, *_ALONG):
        return None
    along = _axis(node, -1 if onnx_name(node) == "TopK" else 0)
    if onnx_name(producer) in _ALONG and _axis(producer, -1) != along:
        rank = _rank(node)
        if rank is None or (_axis(producer, -1) - along) % rank:
            return None
    return producer.inputs[0]


def _rank(node: ir.Node) -> int | None:
    """The rank of what is chosen from, told by the shape of the choice."""
    shape, keep = node.outputs[-1].shape, node.attributes.get("keepdims")
    if shape is None or onnx_name(node) == "TopK":
        return None if shape is None else len(shape)
    return len(shape) + (keep is not None and not keep.as_int())


def _axis(node: ir.Node, default: int) -> int:
    attribute = node.attributes.get("axis")
    return default if attribute is None else attribute.as_int()


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
