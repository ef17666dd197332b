"""Values that are the same by how they are made: the same operators, attributes and inputs."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.graph.contents import Contents
from normonnx.operators.attributes import attribute_key
from normonnx.operators.names import onnx_name
from normonnx.operators.table import is_deterministic
from normonnx.proof.window import Window

_FARTHEST = 8
"""How many nodes up two values are followed until they have to meet."""


def made_the_same(window: Window) -> bool:
    """Whether each new value is made as the one that it stands for."""
    contents = Contents()
    return all(
        _same(window, contents, old, new, _FARTHEST)
        for old, new in zip(window.old, window.new, strict=True)
    )


def _same(
    window: Window, contents: Contents, one: ir.Value | None, other: ir.Value | None, left: int
) -> bool:
    if one is None or other is None or one is other:
        return one is other
    first, second = one.producer(), other.producer()
    if first is None or second is None:
        return first is second and _same_constant(window, contents, one, other)
    if first is second or not left or not _same_operator(first, second):
        return False
    places = [list(node.outputs).index(v) for node, v in ((first, one), (second, other))]
    return places[0] == places[1] and all(
        _same(window, contents, a, b, left - 1)
        for a, b in zip(first.inputs, second.inputs, strict=True)
    )


def _same_constant(window: Window, contents: Contents, one: ir.Value, other: ir.Value) -> bool:
    """Whether both are stored with the same bits, and mean these."""
    for value in (one, other):
        meant = value in window.exact or value in window.readings
        if meant or value.const_value is None or not window.constants.is_constant(value):
            return False
        if str(value.name) in window.constants.exact:
            return False
    stored = [value.const_value for value in (one, other) if value.const_value is not None]
    return contents.number(stored[0]) == contents.number(stored[1])


def _same_operator(one: ir.Node, other: ir.Node) -> bool:
    mine, theirs = one.attributes.data, other.attributes.data
    return (
        one.op_identifier() == other.op_identifier()
        and is_deterministic(one)
        and is_deterministic(other)
        and onnx_name(one) != "Constant"
        and len(one.inputs) == len(other.inputs)
        and len(one.outputs) == len(other.outputs)
        and mine.keys() == theirs.keys()
        and not any(attribute.is_ref() for attribute in (*mine.values(), *theirs.values()))
        and all(attribute_key(mine[name]) == attribute_key(theirs[name]) for name in mine)
    )
