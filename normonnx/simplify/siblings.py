"""NX205 too: Slices that share a tensor out among them are one Split."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.operators.attributes import slices_of
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context
from normonnx.simplify.rule import CHAINS, Found, begin

_WITH_SIZES = 2
"""The opset from which on Split takes the sizes of its parts."""
_SIZES_AS_INPUT = 13


def split(context: Context, node: ir.Node) -> Found | None:
    """The Slices that read what this one reads, where they are its parts along one axis."""
    source = node.inputs[0]
    dims = context.shapes.dims(source)
    cut = _cut(context, node)
    if source is None or dims is None or cut is None or not isinstance(dims[cut[0]], int):
        return None
    axis = cut[0]
    parts = _parts(context, source, axis, node)
    places = sorted(parts)
    if len(places) < 2 or not _is_whole(places, dims[axis]):
        return None
    assert node.graph is not None
    opset = context.opset_of(node.graph)
    if opset < _WITH_SIZES:
        return None
    proposal = begin(context, CHAINS, node)
    sizes = [end - start for start, end in places]
    as_input = opset >= _SIZES_AS_INPUT
    given = [proposal.integers(sizes, f"{node.outputs[0].name}_sizes")] if as_input else []
    attributes = {"axis": axis} if as_input else {"axis": axis, "split": sizes}
    first = proposal.node("Split", [source, *given], attributes, outputs=len(places))
    made = first.producer()
    assert made is not None
    for place, new in zip(places, made.outputs, strict=True):
        proposal.replace(parts[place].outputs[0], new)
    return Found(proposal, "Slices of one tensor → Split")


def _parts(
    context: Context, source: ir.Value, axis: int, node: ir.Node
) -> dict[tuple[int, int], ir.Node]:
    """The Slices of a tensor along an axis, in the graph of one of them, by where they lie."""
    parts: dict[tuple[int, int], ir.Node] = {}
    for use in source.uses():
        other = use.node
        if onnx_name(other) != "Slice" or use.idx or other.graph is not node.graph:
            continue
        found = _cut(context, other)
        if found is not None and found[0] == axis:
            parts.setdefault((found[1], found[2]), other)
    return parts


def _cut(context: Context, node: ir.Node) -> tuple[int, int, int] | None:
    """The axis of a Slice that takes consecutive elements of one, and where it begins and ends."""
    dims = context.shapes.dims(node.inputs[0])
    cuts = None if dims is None else slices_of(node, context.shapes, len(dims))
    if dims is None or cuts is None or len(cuts) != 1:
        return None
    [(axis, cut)] = cuts.items()
    length = dims[axis] if axis < len(dims) else None
    if not isinstance(length, int) or length < 0:  # as behind a Pad that takes away too much
        return None
    start, end, step = cut.indices(length)
    return (axis, start, end) if step == 1 and start < end else None


def _is_whole(places: list[tuple[int, int]], length: object) -> bool:
    """Whether the places follow each other from the first element to the last."""
    starts = [start for start, _ in places]
    ends = [end for _, end in places]
    return starts[0] == 0 and ends[-1] == length and starts[1:] == ends[:-1]
