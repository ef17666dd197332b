"""What the graphs of If, Loop and Scan are given, from what their node reads, and what they leave.

What differs from turn to turn, or between the branches, is not known; nor is what nothing says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx_ir as ir
from msgspec import Struct

from normonnx.graph.dims import Dims, unknown
from normonnx.graph.nesting import subgraphs
from normonnx.operators.attributes import attribute_ints
from normonnx.operators.known import Known
from normonnx.operators.names import onnx_name


class _Body(Struct, frozen=True):
    """The body of a Loop or Scan.

    Attributes:
        counters: what it is given of the turns.
        states: each as it is given, the value that is read for the first turn, and as it is left.
        slices: what it is given in turn, the value that it is cut from, and along which axis.
        gathered: what it leaves in each turn, and the axis along which that is put together.
    """

    counters: Sequence[ir.Value]
    states: Sequence[tuple[ir.Value, ir.Value | None, ir.Value]]
    slices: Sequence[tuple[ir.Value, ir.Value | None, int]]
    gathered: Sequence[tuple[ir.Value, int]]


def _body_of(node: ir.Node) -> _Body | None:
    """The body of a node; None for another node, or a Scan of opset 8, with its batch in front."""
    name, body = onnx_name(node), node.attributes.get("body")
    if name not in ("Loop", "Scan") or body is None or body.is_ref():
        return None
    given, left, read = list(body.as_graph().inputs), list(body.as_graph().outputs), node.inputs
    axes: Sequence[int] = ()
    if name == "Loop":
        counters, given, read, left = given[:2], given[2:], read[2:], left[1:]
    else:
        counters, scanned = [], node.attributes.get("num_scan_inputs")
        if scanned is None or "directions" in node.attributes:
            return None
        axes = attribute_ints(node, "scan_input_axes") or (0,) * scanned.as_int()
    states = len(read) - len(axes)
    gathered = left[states:]
    along = attribute_ints(node, "scan_output_axes") or (0,) * len(gathered)
    return _Body(
        counters,
        list(zip(given[:states], read, left, strict=False)),
        list(zip(given[states:], read[states:], axes, strict=False)),
        list(zip(gathered, along, strict=False)),
    )


def given_to_body(known: Known, node: ir.Node) -> Iterator[tuple[ir.Value, Dims | None]]:
    """The inputs of the body of a node in its first turn, if it has one, with their dimensions."""
    body = _body_of(node)
    if body is None:
        return
    yield from ((value, ()) for value in body.counters)
    yield from ((given, known.dims(first)) for given, first, _ in body.states)
    for given, read, axis in body.slices:
        dims = known.dims(read)
        yield given, None if dims is None else _without(dims, axis)


def _without(dims: Dims, axis: int) -> Dims:
    axis %= max(len(dims), 1)
    return tuple(dim for place, dim in enumerate(dims) if place != axis)


def changed_by_body(known: Known, node: ir.Node) -> Iterator[tuple[ir.Value, Dims]]:
    """The states that a body that was followed leaves of another size, as every turn is given them.

    A state of which nothing is known behind the body is taken to keep its dimensions. One that
    does not is no danger: the proof knows no size of it.
    """
    body = _body_of(node)
    for given, _, last in () if body is None else body.states:
        dims = known.dims(given)
        kept = _common(given, (dims, known.dims(last)))
        if kept is not None and kept != dims:
            yield given, kept


def left_by_graphs(known: Known, node: ir.Node) -> Iterator[tuple[ir.Value, Dims | None]]:
    """The outputs of a node whose graphs were followed, each with its dimensions."""
    body = _body_of(node)
    if body is not None:
        yield from _left_by_body(known, node, body)
    elif onnx_name(node) == "If":
        branches = [graph.outputs for graph in subgraphs(node)]
        for out, *ends in zip(node.outputs, *branches, strict=False):
            yield out, _common(out, [known.dims(end) for end in ends])


def _left_by_body(
    known: Known, node: ir.Node, body: _Body
) -> Iterator[tuple[ir.Value, Dims | None]]:
    count = len(body.states)
    for out, (given, _, last) in zip(node.outputs, body.states, strict=False):
        dims = _common(given, (known.dims(given), known.dims(last)))
        yield out, None if dims is None else _renamed(given, out, dims)
    for out, (left, axis) in zip(node.outputs[count:], body.gathered, strict=False):
        dims = known.dims(left)
        if dims is not None:
            place = axis % (len(dims) + 1)
            yield out, (*dims[:place], unknown(out.name, place), *dims[place:])


def _common(value: ir.Value, several: Sequence[Dims | None]) -> Dims | None:
    """What a value has that has the one dimensions or the other."""
    known = [dims for dims in several if dims is not None]
    if not known or len(known) < len(several) or len({len(dims) for dims in known}) > 1:
        return None
    axes = zip(*known, strict=True)
    return tuple(
        first if all(dim == first for dim in others) else unknown(value.name, place)
        for place, (first, *others) in enumerate(axes)
    )


def _renamed(inner: ir.Value, outer: ir.Value, dims: Dims) -> Dims:
    """What is not known of a state is not known of what is left of it, which may differ."""
    return tuple(
        unknown(outer.name, place) if dim == unknown(inner.name, place) else dim
        for place, dim in enumerate(dims)
    )
