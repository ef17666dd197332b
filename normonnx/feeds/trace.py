"""Where the elements of a value end up: its readers behind operators that only move elements."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

import numpy as np
import onnx_ir as ir
from msgspec import Struct
from msgspec.structs import replace

from normonnx.feeds.ranges import Range
from normonnx.feeds.steps import Step, step_of
from normonnx.operators.kernels import Array
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of

_IN_PLACE = frozenset(("Identity", "Cast", "CastLike", "Dropout"))
_PASSED_ON = frozenset(("Cast", "CastLike"))
"""Operators whose output holds about what their first input holds, although not its elements."""
_LAID_OUT_ANEW = frozenset(("AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool"))
_MOST_READINGS = 400
_NUMBERS = frozenset(("FLOAT", "FLOATS", "INT", "INTS"))


class Way(Struct, frozen=True):
    """What happened to the elements on the way to a reader.

    Attributes:
        steps: what changed them, in order.
        truncated: whether they were made integers.
        direct: whether they are still in the layout of the value.
        negated: whether true became false.
    """

    steps: tuple[Step, ...] = ()
    truncated: bool = False
    direct: bool = True
    negated: bool = False

    def back(self, wanted: Range) -> Range:
        """Where the elements must lie so that what is read lies in a range."""
        for step in reversed(self.steps):
            wanted = step.back(wanted)
        return wanted

    def ahead(self, number: float) -> float | None:
        """What is read of a number, where that can be told."""
        result: float | None = number
        for step in self.steps:
            result = None if result is None else step.ahead(result)
        return result


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
    seen: set[tuple[ir.Node, int, Way]] = set()
    known: dict[tuple[ir.Node, int], Step | None] = {}
    waiting = deque([(value, Way())])
    while waiting and len(seen) < _MOST_READINGS:
        current, way = waiting.popleft()
        for node, index in current.uses():
            if (node, index, way) in seen:
                continue
            seen.add((node, index, way))
            yield Reading(node, index, way)
            if (node, index) not in known:
                known[node, index] = step_of(node, index, numbers)
            waiting.extend(_beyond(node, index, way, known[node, index], functions))


def _beyond(
    node: ir.Node, index: int, way: Way, step: Step | None, functions: Functions
) -> list[tuple[ir.Value, Way]]:
    """The values that hold the elements after this node."""
    function = functions.get(node.op_identifier())
    if function is not None:
        return [(function.inputs[index], way)]
    name = onnx_name(node)
    if step is not None:
        direct = way.direct and name not in _LAID_OUT_ANEW and not facts_of(node).reduces
        return [(node.outputs[0], replace(way, steps=(*way.steps, step), direct=direct))]
    if name == "Not":
        return [(node.outputs[0], replace(way, negated=not way.negated))]
    if index in facts_of(node).moves or (name in _PASSED_ON and index == 0):
        truncated = way.truncated or _makes_integers(node)
        moved = replace(way, truncated=truncated, direct=way.direct and name in _IN_PLACE)
        return [(value, moved) for value in node.outputs]
    if name == "Loop" and index >= 2:
        return [(node.attributes["body"].as_graph().inputs[index], replace(way, direct=False))]
    return []


def _makes_integers(node: ir.Node) -> bool:
    if onnx_name(node) != "Cast":
        return False
    return ir.DataType(node.attributes["to"].as_int()).is_integer()


def constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    """The tensor that a value is, seen through Constant, Identity and Cast, or None."""
    while value is not None:
        if value.const_value is not None:
            return value.const_value
        producer = value.producer()
        if producer is None:
            return None
        if onnx_name(producer) == "Constant":
            return _stored(producer)
        value = producer.inputs[0] if onnx_name(producer) in ("Identity", "Cast") else None
    return None


def _stored(node: ir.Node) -> ir.TensorProtocol | None:
    """What a Constant holds, in whichever attribute that is."""
    for attribute in node.attributes.values():
        if attribute.is_ref():
            return None
        if attribute.type == ir.AttributeType.TENSOR:
            return attribute.as_tensor()
        if attribute.type.name in _NUMBERS:
            return ir.tensor(attribute.value)
    return None


def numbers(value: ir.Value | None) -> Array | None:
    """The numbers of a constant, or None where it is none, or texts."""
    tensor = constant(value)
    if tensor is None or tensor.dtype == ir.DataType.STRING:
        return None
    return np.asarray(tensor.numpy())


def number(value: ir.Value | None) -> float | None:
    """The value of a constant of one element, or None."""
    found = numbers(value)
    return None if found is None or found.size != 1 else float(found.reshape(-1)[0])
