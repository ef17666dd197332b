"""Values that are the same by how they are made: the same operators, attributes and inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.graph.contents import differing
from normonnx.operators.attributes import attribute_key
from normonnx.operators.names import onnx_name
from normonnx.operators.table import is_deterministic
from normonnx.proof.window import Window

Array = np.ndarray[Any, Any]

_MOST_PAIRS = 100_000
"""So many pairs of values are compared at most."""


def made_the_same(window: Window) -> bool:
    """Whether each new value is made as the one that it stands for.

    An If whose condition is constant stands for the branch that is taken.
    """
    pending = list(zip(window.old, window.new, strict=True))
    seen: set[tuple[ir.Value, ir.Value]] = set()
    while pending:
        one, other = pending.pop()
        one = _behind_branches(window, one)
        if one is other or (one, other) in seen:
            continue
        seen.add((one, other))
        if len(seen) > _MOST_PAIRS:
            return False
        below = _made_of(window, one, other)
        if below is None:
            return False
        pending.extend(below)
    return True


def _made_of(
    window: Window, one: ir.Value, other: ir.Value
) -> list[tuple[ir.Value, ir.Value]] | None:
    """The pairs that have to be the same for two values to be so; None where they are not."""
    first, second = one.producer(), other.producer()
    if _is_stored(one) or _is_stored(other):
        same = _is_stored(one) and _is_stored(other) and _same_constant(window, one, other)
        return [] if same else None
    assert first is not None
    assert second is not None
    if first is second or not _same_operator(first, second):
        return None
    places = [list(node.outputs).index(v) for node, v in ((first, one), (second, other))]
    pairs = list(zip(first.inputs, second.inputs, strict=True))
    if places[0] != places[1] or any((a is None) != (b is None) for a, b in pairs):
        return None
    return [(a, b) for a, b in pairs if a is not None and b is not None]


def _behind_branches(window: Window, value: ir.Value) -> ir.Value:
    """What a value is where it comes from an If of which one branch is always taken."""
    node = value.producer()
    while node is not None and onnx_name(node) == "If":
        condition = window.constants.array(node.inputs[0])
        if condition is None or condition.size != 1:
            break
        branch = node.attributes["then_branch" if condition.item() else "else_branch"].as_graph()
        value = branch.outputs[list(node.outputs).index(value)]
        node = value.producer()
    return value


def _is_stored(value: ir.Value) -> bool:
    producer = value.producer()
    return producer is None or onnx_name(producer) == "Constant"


def _same_constant(window: Window, one: ir.Value, other: ir.Value) -> bool:
    """Whether both are constants of the same type, shape and bits, and mean the same numbers."""
    pairs = [[how(window, value) for value in (one, other)] for how in (_held, _meant)]
    return all(
        first is not None
        and second is not None
        and first.dtype == second.dtype
        and first.shape == second.shape
        and not differing(first, second).any()
        for first, second in pairs
    )


def _held(window: Window, value: ir.Value) -> Array | None:
    """What a constant holds."""
    if value not in window.exact:
        return window.constants.array(value)
    return None if value.const_value is None else value.const_value.numpy()


def _meant(window: Window, value: ir.Value) -> Array | None:
    """What was rounded to a constant, or what it holds."""
    for known in (window.readings, window.exact):
        if value in known:
            return np.asarray(known[value])
    array = window.constants.float64(value)
    held = window.constants.array(value)
    return array if held is None or held.dtype.kind not in "iub" else held


def _same_operator(one: ir.Node, other: ir.Node) -> bool:
    mine, theirs = one.attributes.data, other.attributes.data
    return (
        one.op_identifier() == other.op_identifier()
        and is_deterministic(one)
        and onnx_name(one) != "Constant"
        and len(one.inputs) == len(other.inputs)
        and len(one.outputs) == len(other.outputs)
        and mine.keys() == theirs.keys()
        and not any(attribute.is_ref() for attribute in (*mine.values(), *theirs.values()))
        and all(attribute_key(mine[name]) == attribute_key(theirs[name]) for name in mine)
    )
