"""The shapes of what If, Loop and Scan give; a body is walked until its states stay alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import onnx_ir as ir

from normonnx.operators.names import onnx_name
from normonnx.sizes.tensor import Tensor, Tensors

Array = np.ndarray[Any, Any]
Attributes = Mapping[str, ir.Attr]

_SEVERAL = 2
"""How often a Loop runs whose count is not known."""

_MOST_TURNS = 8
"""How often a body is walked whose states have another shape in each turn, if not to its end."""

_MOST_COUNTED = 32
"""A body that runs so often is walked to its end."""


class Inside(Protocol):
    """The walk that meets the node."""

    def tensor(self, value: ir.Value | None) -> Tensor | None:
        """The shape and type of a value, None if they are not known."""

    def contents(self, value: ir.Value | None) -> Array | None:
        """The elements of a small value that follow from constants and shapes."""

    def enter(self, body: ir.Graph, inputs: Tensors, *, taken: bool | None = True) -> Tensors:
        """Walk a subgraph that reads these, and hand back what it gives.

        What does not fit is an error where it is taken, and noted where it is not or may not be.
        """

    def again(self, body: ir.Graph, inputs: Tensors) -> Tensors:
        """Walk a body another time; nothing is known of what differs from the time before."""


Rule: TypeAlias = "Callable[[Inside, ir.Node, Attributes], Tensors]"


def _if(walk: Inside, node: ir.Node, attributes: Attributes) -> Tensors:
    """Both branches are walked; what the If gives is what the one that is taken gives."""
    found = walk.contents(node.inputs[0])
    taken = None if found is None else bool(found.reshape(-1)[0])
    avoided = None if taken is None else not taken
    then = walk.enter(attributes["then_branch"].as_graph(), (), taken=taken)
    other = walk.enter(attributes["else_branch"].as_graph(), (), taken=avoided)
    if taken is not None:
        return then if taken else other
    return [a if a is not None else b for a, b in zip(then, other, strict=True)]


def _loop(walk: Inside, node: ir.Node, attributes: Attributes) -> Tensors:
    carried = [walk.tensor(value) for value in node.inputs[2:]]
    counted = [Tensor((), ir.DataType.INT64), Tensor((), ir.DataType.BOOL)]
    body = attributes["body"].as_graph()
    count = walk.contents(node.inputs[0])
    turns = _SEVERAL if count is None else int(count.reshape(-1)[0])
    runs = turns if count is not None and _never_stops(node, body) else None
    states, gathered = _turned(walk, body, counted, carried, (), skipped=1, turns=runs)
    return [*states, *(_stacked(tensor, 0, turns) for tensor in gathered)]


def _never_stops(node: ir.Node, body: ir.Graph) -> bool:
    """Whether the condition of a Loop is true before every turn."""
    first, left = node.inputs[1], _behind_identities(body.outputs[0])
    return all(
        value is None or value is body.inputs[1] or _is_true(value) for value in (first, left)
    )


def _behind_identities(value: ir.Value) -> ir.Value:
    producer = value.producer()
    while producer is not None and onnx_name(producer) == "Identity" and producer.inputs[0]:
        value = producer.inputs[0]
        producer = value.producer()
    return value


def _is_true(value: ir.Value) -> bool:
    """Whether it is stored, and true; an input of the graph may be given otherwise."""
    stored = None if value.is_graph_input() else ir.convenience.get_const_tensor(value)
    return stored is not None and bool(stored.numpy().all())


def _scan(walk: Inside, node: ir.Node, attributes: Attributes) -> Tensors:
    if "num_scan_inputs" not in attributes or node.inputs[0] is None:
        return [None] * len(node.outputs)
    scanned = attributes["num_scan_inputs"].as_int()
    tensors = [walk.tensor(value) for value in node.inputs]
    split = len(tensors) - scanned
    along = _axes(attributes, "scan_input_axes", scanned)
    if "directions" in attributes or any(tensor is None for tensor in tensors[split:]):
        return [None] * len(node.outputs)  # a Scan of opset 8, which has a batch in front
    turns, slices = 0, []
    for tensor, axis in zip(tensors[split:], along, strict=True):
        assert tensor is not None
        shape = list(tensor.shape)
        turns = shape.pop(axis)
        slices.append(Tensor(tuple(shape), tensor.dtype))
    body = attributes["body"].as_graph()
    states, gathered = _turned(walk, body, (), tensors[:split], slices, skipped=0, turns=turns)
    along = _axes(attributes, "scan_output_axes", len(gathered))
    stacked = zip(gathered, along, strict=True)
    return [*states, *(_stacked(tensor, axis, turns) for tensor, axis in stacked)]


def _turned(
    walk: Inside,
    body: ir.Graph,
    before: Tensors,
    states: Tensors,
    after: Tensors,
    *,
    skipped: int,
    turns: int | None,
) -> tuple[Tensors, Tensors]:
    """The states of a body in the end and what it gives each turn, None where that is not known.

    Args:
        walk: the walk that meets it.
        body: the graph that is run again and again.
        before: what it reads in front of the states.
        states: what it reads the first time, and then what it gave the time before.
        after: what it reads behind them.
        skipped: how many outputs it has in front of the states.
        turns: how often it is run, None where that is not known: then a state is known that every
            turn leaves as it was.
    """
    count = len(states)
    given = walk.enter(body, [*before, *states, *after])[skipped:]
    current, left, gathered = list(states), list(given[:count]), list(given[count:])
    known, done = _agreed(current, left), 1
    most = turns if turns is not None and turns <= _MOST_COUNTED else _MOST_TURNS
    while left != current and done < most:
        current = left
        given = walk.again(body, [*before, *current, *after])[skipped:]
        left, gathered = list(given[:count]), _agreed(gathered, given[count:])
        known, done = _agreed(known, left), done + 1
    if turns == 0:
        return states, gathered
    is_last = turns is not None and (done == turns or left == current)
    return left if is_last else known, gathered


def _agreed(one: Tensors, other: Tensors) -> list[Tensor | None]:
    return [a if a == b else None for a, b in zip(one, other, strict=True)]


def _axes(attributes: Attributes, name: str, count: int) -> Sequence[int]:
    given = attributes.get(name)
    return [0] * count if given is None else list(given.as_ints())


def _stacked(tensor: Tensor | None, axis: int, count: int) -> Tensor | None:
    """What is gathered along a new axis from every turn of a body."""
    if tensor is None:
        return None
    shape = list(tensor.shape)
    shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, count)
    return Tensor(tuple(shape), tensor.dtype)


RULES: Mapping[str, Rule] = {"If": _if, "Loop": _loop, "Scan": _scan}
