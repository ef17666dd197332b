"""Values that are the same by how they are made: the same operators, attributes and inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.graph.contents import differing
from normonnx.operators.names import onnx_name
from normonnx.proof.bodies import same_bodies, same_operator
from normonnx.proof.window import Window

Array = np.ndarray[Any, Any]

_MOST_PAIRS = 100_000
"""So many pairs of values are compared at most."""


def made_the_same(window: Window) -> bool:
    """Whether each new value is made as the one that it stands for.

    An If whose condition is constant stands for the branch that is taken, and one whose branches
    are the same for either.
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
    within = None if first is second else same_operator(first, second)
    if within is None:
        return None
    places = [list(node.outputs).index(v) for node, v in ((first, one), (second, other))]
    pairs = list(zip(first.inputs, second.inputs, strict=True))
    if places[0] != places[1] or any((a is None) != (b is None) for a, b in pairs):
        return None
    return within + [(a, b) for a, b in pairs if a is not None and b is not None]


def _behind_branches(window: Window, value: ir.Value) -> ir.Value:
    """What a value is where it comes from an If of which one branch is always taken, or either."""
    node = value.producer()
    while node is not None and onnx_name(node) == "If":
        branch = _branch(window, node)
        if branch is None:
            break
        value = branch.outputs[list(node.outputs).index(value)]
        node = value.producer()
    return value


def _branch(window: Window, node: ir.Node) -> ir.Graph | None:
    """The branch of an If that is taken, or any where both are the same; None for neither."""
    branches = [node.attributes[name].as_graph() for name in ("then_branch", "else_branch")]
    condition = window.constants.array(node.inputs[0])
    if condition is not None and condition.size == 1:
        return branches[0 if condition.item() else 1]
    needed = same_bodies(branches[0], branches[1])
    if needed is None:
        return None
    same = all(a is b or (_is_stored(a) and _same_constant(window, a, b)) for a, b in needed)
    return branches[0] if same else None


def _is_stored(value: ir.Value) -> bool:
    producer = value.producer()
    return producer is None or onnx_name(producer) == "Constant"


def _same_constant(window: Window, one: ir.Value, other: ir.Value) -> bool:
    """Whether both are constants of the same type, shape and bits, and mean the same number."""
    held, meant = [], []
    for value in (one, other):
        if value in window.readings or not (
            value in window.exact or window.constants.is_constant(value)
        ):
            return False
        stored = value.const_value if value in window.exact else None
        array = window.constants.array(value) if stored is None else stored.numpy()
        held.append(array)
        exact = window.exact.get(value, window.constants.exact.get(str(value.name)))
        meant.append(array if exact is None else exact)
    return _alike(*held) and _alike(*(_wide(array) for array in meant))


def _alike(one: Array | None, other: Array | None) -> bool:
    """Whether two arrays have the same type, shape and bits."""
    return (
        one is not None
        and other is not None
        and one.dtype == other.dtype
        and one.shape == other.shape
        and not differing(one, other).any()
    )


def _wide(array: Array | None) -> Array | None:
    """A constant as float64 where it is a number with a fraction."""
    if array is None or array.dtype.kind in "iubOSU":
        return array
    return array.astype(np.float64)
