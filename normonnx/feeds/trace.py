"""Where the elements of a value end up: its readers behind operators that only move elements."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

import numpy as np
import onnx_ir as ir
from msgspec import Struct
from msgspec.structs import replace

from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of

_IN_PLACE = frozenset(("Identity", "Cast", "CastLike", "Dropout"))
_PASSED_ON = frozenset(("Cast", "CastLike", "Clip"))
"""Operators whose output holds about what their first input holds, although not its elements."""
_MOST_READINGS = 400


class Way(Struct, frozen=True):
    """What happened to the elements on the way to a reader.

    Attributes:
        offset: what was added to them.
        truncated: whether they were made integers.
        direct: whether they are still in the layout of the value.
    """

    offset: int = 0
    truncated: bool = False
    direct: bool = True


class Reading(Struct, frozen=True):
    """One place where the elements are read: input number ``index`` of ``node``."""

    node: ir.Node
    index: int
    way: Way


Functions = Mapping[ir.OperatorIdentifier, ir.Function]


def readings(value: ir.Value, functions: Functions) -> Iterator[Reading]:
    """The readings of a value, nearest first, those behind moving operators included.

    Args:
        value: the value to follow.
        functions: the functions of the model, which are followed into.
    """
    seen: set[tuple[ir.Node, int, int]] = set()
    waiting = deque([(value, Way())])
    while waiting and len(seen) < _MOST_READINGS:
        current, way = waiting.popleft()
        for node, index in current.uses():
            key = (node, index, way.offset)
            if key not in seen:
                seen.add(key)
                yield Reading(node, index, way)
                waiting.extend(_beyond(node, index, way, functions))


def _beyond(
    node: ir.Node, index: int, way: Way, functions: Functions
) -> list[tuple[ir.Value, Way]]:
    """The values that hold the elements after this node."""
    function = functions.get(node.op_identifier())
    if function is not None:
        return [(function.inputs[index], way)]
    name = onnx_name(node)
    if index in facts_of(node).moves or (name in _PASSED_ON and index == 0):
        moved = Way(
            way.offset, way.truncated or _makes_integers(node), way.direct and name in _IN_PLACE
        )
        return [(value, moved) for value in node.outputs]
    if name in ("Add", "Sub"):
        return _shifted(node, index, way)
    if name == "Loop" and index >= 2:
        return [(node.attributes["body"].as_graph().inputs[index], replace(way, direct=False))]
    return []


def _makes_integers(node: ir.Node) -> bool:
    if onnx_name(node) != "Cast":
        return False
    return ir.DataType(node.attributes["to"].as_int()).is_integer()


def _shifted(node: ir.Node, index: int, way: Way) -> list[tuple[ir.Value, Way]]:
    """Behind an Add or Sub of a constant whole number."""
    subtracts = onnx_name(node) == "Sub"
    if subtracts and index == 1:
        return []
    step = number(node.inputs[1 - index])
    if step is None or step != int(step):
        return []
    signed = -int(step) if subtracts else int(step)
    return [(node.outputs[0], replace(way, offset=way.offset + signed))]


def constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    """The tensor that a value is, seen through Constant, Identity and Cast, or None."""
    while value is not None:
        if value.const_value is not None:
            return value.const_value
        producer = value.producer()
        if producer is None:
            return None
        if onnx_name(producer) == "Constant" and "value" in producer.attributes:
            return producer.attributes["value"].as_tensor()
        value = producer.inputs[0] if onnx_name(producer) in ("Identity", "Cast") else None
    return None


def number(value: ir.Value | None) -> float | None:
    """The value of a constant of one element, or None."""
    tensor = constant(value)
    if tensor is None or tensor.size != 1 or tensor.dtype == ir.DataType.STRING:
        return None
    return float(np.asarray(tensor.numpy()).reshape(-1)[0])
