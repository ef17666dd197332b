"""Where the elements of a value end up: its readers behind operators that only move elements."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

import numpy as np
import onnx_ir as ir
from msgspec import Struct
from msgspec.structs import replace

# (operator, input) → the outputs hold the elements of that input, perhaps among others
_MOVING: dict[str, tuple[int, ...]] = {
    "Identity": (0,),
    "Cast": (0,),
    "CastLike": (0,),
    "Reshape": (0,),
    "Flatten": (0,),
    "Unsqueeze": (0,),
    "Squeeze": (0,),
    "Transpose": (0,),
    "Expand": (0,),
    "Slice": (0,),
    "Split": (0,),
    "Tile": (0,),
    "Dropout": (0,),
    "Gather": (0,),
    "Pad": (0,),
    "Clip": (0,),
    "Where": (1, 2),
    "SequenceAt": (0,),
}
_IN_PLACE = frozenset(("Identity", "Cast", "CastLike", "Dropout"))
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
    if node.op_type == "Concat" or index in _MOVING.get(node.op_type, ()):
        truncated = way.truncated
        if node.op_type == "Cast":
            truncated |= ir.DataType(node.attributes["to"].as_int()).is_integer()
        direct = way.direct and node.op_type in _IN_PLACE
        return [(v, Way(way.offset, truncated, direct)) for v in node.outputs]
    if node.op_type in ("Add", "Sub") and (node.op_type, index) != ("Sub", 1):
        step = number(node.inputs[1 - index])
        if step is None or step != int(step):
            return []
        signed = int(step) if node.op_type == "Add" else -int(step)
        return [(node.outputs[0], replace(way, offset=way.offset + signed))]
    if node.op_type == "Loop" and index >= 2:
        return [(node.attributes["body"].as_graph().inputs[index], replace(way, direct=False))]
    return []


def constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    """The tensor that a value is, seen through Constant, Identity and Cast, or None."""
    while value is not None:
        if value.const_value is not None:
            return value.const_value
        producer = value.producer()
        if producer is None:
            return None
        if producer.op_type == "Constant" and "value" in producer.attributes:
            return producer.attributes["value"].as_tensor()
        value = producer.inputs[0] if producer.op_type in ("Identity", "Cast") else None
    return None


def number(value: ir.Value | None) -> float | None:
    """The value of a constant of one element, or None."""
    tensor = constant(value)
    if tensor is None or tensor.size != 1 or tensor.dtype == ir.DataType.STRING:
        return None
    return float(np.asarray(tensor.numpy()).reshape(-1)[0])
