"""What the body of a Loop or Scan is given, from what its node reads, and what it leaves.

A state is taken to keep its shape from turn to turn. One that does not is no danger: the proof
knows no size of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from normonnx.graph.dims import Dims, unknown
from normonnx.operators.attributes import attribute_ints
from normonnx.operators.known import Known
from normonnx.operators.names import onnx_name


def given_to_body(known: Known, node: ir.Node) -> Iterator[tuple[ir.Value, Dims | None]]:
    """The inputs of the body of a node, if it is such a one, each with its dimensions."""
    name = onnx_name(node)
    body = node.attributes.get("body")
    if name not in ("Loop", "Scan") or body is None or body.is_ref():
        return
    inputs = body.as_graph().inputs
    if name == "Loop":
        scalar: Dims = ()
        yield from zip(inputs, (scalar, scalar, *map(known.dims, node.inputs[2:])), strict=False)
        return
    scanned = node.attributes.get("num_scan_inputs")
    if scanned is None or "directions" in node.attributes:  # a batch in front, in opset 8
        return
    states = len(node.inputs) - scanned.as_int()
    axes = attribute_ints(node, "scan_input_axes") or (0,) * scanned.as_int()
    yield from zip(inputs, map(known.dims, node.inputs[:states]), strict=False)
    for value, read, axis in zip(inputs[states:], node.inputs[states:], axes, strict=False):
        dims = known.dims(read)
        yield value, None if dims is None else _without(dims, axis)


def _without(dims: Dims, axis: int) -> Dims:
    axis %= max(len(dims), 1)
    return tuple(dim for place, dim in enumerate(dims) if place != axis)


def left_by_body(known: Known, node: ir.Node) -> Iterator[tuple[ir.Value, Dims | None]]:
    """The outputs of a node with a body that was followed, each with its dimensions."""
    name = onnx_name(node)
    body = node.attributes.get("body")
    if name not in ("Loop", "Scan") or body is None or body.is_ref():
        return
    left, states = list(body.as_graph().outputs), list(node.inputs)
    if name == "Loop":
        left, states = left[1:], states[2:]
    elif (scanned := node.attributes.get("num_scan_inputs")) is None or scanned.as_int() < 1:
        return
    else:
        states = states[: -scanned.as_int()]
    for out, last, first in zip(node.outputs, left, states, strict=False):
        dims = known.dims(last)
        yield out, dims if dims == known.dims(first) else None
    axes = attribute_ints(node, "scan_output_axes") or (0,) * len(left)
    gathered = zip(node.outputs[len(states) :], left[len(states) :], axes, strict=False)
    for out, last, axis in gathered:
        dims = known.dims(last)
        if dims is not None:
            place = axis % (len(dims) + 1)
            yield out, (*dims[:place], unknown(out.name, place), *dims[place:])
