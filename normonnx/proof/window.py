"""What is proved: both sides of a rewrite, cut out down to the values that they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.graph.nesting import subgraphs
from normonnx.sizes.recorded import Recorded
from normonnx.values.constants import Constants

Array = np.ndarray[Any, Any]


class Flaw(Struct, frozen=True):
    """Why there is no certificate."""

    reason: str


class Window(Struct, frozen=True):
    """Both sides of a rewrite and what is known around them.

    Attributes:
        old: values of the graph as it is.
        new: the values that stand for them, in the same order.
        made: the new nodes.
        constants: the constants of the model.
        recorded: the shapes of the model's values at sizes that it accepts.
        exact: float64 (or integer) value of each new constant.
        exact_attributes: float attributes of new nodes before their rounding to float32.
        readings: constants of the original that hold 1/N rounded and count as 1/N, in float64.
        functions: the functions of the model.
        opsets: operator set versions in force where the nodes are, by domain.
    """

    old: tuple[ir.Value, ...]
    new: tuple[ir.Value, ...]
    made: frozenset[ir.Node]
    constants: Constants
    recorded: Recorded
    exact: Mapping[ir.Value, Array]
    exact_attributes: Mapping[ir.Node, Mapping[str, float]]
    readings: Mapping[ir.Value, Array]
    functions: Mapping[ir.OperatorIdentifier, ir.Function]
    opsets: Mapping[str, int]


class Side(Struct, frozen=True):
    """One side of a rewrite.

    Attributes:
        nodes: in order.
        inputs: what they read that is not computed here.
        constants: what they read that is constant.
        outputs: of the side.
    """

    nodes: tuple[ir.Node, ...]
    inputs: tuple[ir.Value, ...]
    constants: Mapping[ir.Value, Array]
    outputs: tuple[ir.Value, ...]


_Ends: TypeAlias = "Callable[[ir.Value, ir.Node], bool]"
"""Whether a side does not go beyond a value, to the node that makes it."""

_FARTHEST = 40
"""How many nodes apart two inputs may be, one of which depends on the other."""


def sides(window: Window) -> tuple[Side, Side]:
    """The old side and the new one, both down to the values that they share.

    The new side ends where its nodes do.
    """
    made = window.made
    return _both(window, lambda _, producer: producer not in made)


def related_sides(window: Window, inputs: Sequence[ir.Value]) -> tuple[Side, Side] | None:
    """The two sides, with those of their inputs computed that depend on others; None for none.

    What differs for any inputs may be the same for inputs that depend on each other as these do.
    """
    between = _between(inputs)
    inside = window.made | between
    return _both(window, lambda _, producer: producer not in inside) if between else None


def _both(window: Window, ends: _Ends) -> tuple[Side, Side]:
    new = _cut(window, window.new, ends)
    shared = frozenset(new.inputs)
    return _cut(window, window.old, lambda value, _: value in shared, shared), new


def _between(values: Sequence[ir.Value]) -> frozenset[ir.Node]:
    """The nodes that lead from some of the values to others."""
    targets, leads = frozenset(values), dict[ir.Node, bool]()

    def visit(value: ir.Value | None, left: int) -> bool:
        """Whether the node that makes a value depends on one of the values."""
        node = None if value is None else value.producer()
        if node is None or not left or subgraphs(node):
            return False
        if node not in leads:
            leads[node] = False
            above = [visit(v, left - 1) for v in node.inputs]
            leads[node] = any(above) or not targets.isdisjoint(node.inputs)
        return leads[node]

    for value in values if len(values) > 1 else ():
        visit(value, _FARTHEST)
    return frozenset(node for node, found in leads.items() if found)


def _cut(
    window: Window,
    outputs: Sequence[ir.Value],
    ends: _Ends,
    shared: frozenset[ir.Value] = frozenset(),
) -> Side:
    """What computes `outputs`; values that are shared with another side are no constants."""
    nodes: dict[ir.Node, None] = {}
    inputs: dict[ir.Value, None] = {}
    constants: dict[ir.Value, Array] = {}
    done: set[ir.Value] = set()
    stack: list[ir.Value | ir.Node] = list(reversed(outputs))
    while stack:
        item = stack.pop()
        if isinstance(item, ir.Node):
            nodes[item] = None
        elif item not in done:
            done.add(item)
            array = None if item in shared else _constant(window, item)
            producer = _made_within(window, item, ends)
            if array is not None:
                constants[item] = array
            elif producer is None:
                inputs[item] = None
            else:
                stack.append(producer)
                stack.extend(v for v in producer.inputs if v is not None)
    return Side(tuple(nodes), tuple(inputs), constants, tuple(outputs))


def _constant(window: Window, value: ir.Value) -> Array | None:
    """The value of a constant: as the rewrite means it, else as the model has it, in float64."""
    if value in window.exact:
        return window.exact[value]
    if value in window.readings:
        return window.readings[value]
    if not window.constants.is_constant(value):
        return None
    array = window.constants.array(value)
    if array is None or array.dtype.kind in "iubOSU":
        return array
    return window.constants.float64(value)


def _made_within(window: Window, value: ir.Value, ends: _Ends) -> ir.Node | None:
    """The node that makes a value, None where it is an input of the window."""
    producer = value.producer()
    if producer is None or ends(value, producer) or window.constants.is_constant(value):
        return None
    return None if subgraphs(producer) or _holds_dimensions(window, value) else producer


def _holds_dimensions(window: Window, value: ir.Value) -> bool:
    """Whether a value is shape arithmetic, fed from the recorded shapes, not computed again."""
    for walk in window.recorded.walks:
        tensor = walk.tensor(value)
        whole = tensor is not None and tensor.dtype.is_integer()
        if not whole or walk.contents(value) is None:
            return False
    return True
