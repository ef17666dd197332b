"""The shapes of what If, Loop and Scan give; a body is walked until its states stay alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import onnx_ir as ir

from normonnx.sizes.tensor import Tensor, Tensors

Array = np.ndarray[Any, Any]
Attributes = Mapping[str, ir.Attr]

_SEVERAL = 2
"""How often a Loop runs whose count is not known."""

_MOST_TURNS = 8
"""How often a body is walked whose states have another shape in each turn."""


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
    states, gathered = _turned(walk, body, counted, carried, (), skipped=1)
    count = walk.contents(node.inputs[0])
    turns = _SEVERAL if count is None else int(count.reshape(-1)[0])
    return [*states, *(_stacked(tensor, 0, turns) for tensor in gathered)]


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
    states, gathered = _turned(walk, body, (), tensors[:split], slices, skipped=0)
    along = _axes(attributes, "scan_output_axes", len(gathered))
    stacked = zip(gathered, along, strict=True)
    return [*states, *(_stacked(tensor, axis, turns) for tensor, axis in stacked)]


def _turned(
    walk: Inside, body: ir.Graph, before: Tensors, states: Tensors, after: Tensors, *, skipped: int
) -> tuple[Tensors, Tensors]:
    """The states of a body and what it gives each turn, None where the turns do not agree."""
    count = len(states)
    given = walk.enter(body, [*before, *states, *after])[skipped:]
    known, gathered, current = list(states), list(given[count:]), list(states)
    for _ in range(_MOST_TURNS):
        left = list(given[:count])
        known = [a if a == b else None for a, b in zip(known, left, strict=True)]
        if left == current:
            break
        current = left
        given = walk.again(body, [*before, *current, *after])[skipped:]
        gathered = [a if a == b else None for a, b in zip(gathered, given[count:], strict=True)]
    return known, gathered


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
