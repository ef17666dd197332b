"""NX205 too: elements that are taken out of what was taken out along the same axis."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

from normonnx.operators.attributes import attribute_int, normalized, slices_of
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context, Proposal
from normonnx.simplify.rule import CHAINS, Found, begin, chained, in_place_of, node_before

Array = np.ndarray[Any, Any]
_Selection: TypeAlias = "tuple[int, Array | slice]"
"""An axis, and the places along it."""

_ALL = (1 << 31) - 1
"""An end this far, or farther, is the end."""
_LEAST = -(1 << 62)

_MOST = 1 << 16
"""So many places are written down."""


def selections(context: Context, node: ir.Node) -> Found | None:
    """A Gather or Slice behind another along the same axis, as one."""
    before = node_before(node)
    if before is None or len(before.outputs[0].uses()) != 1 or before.outputs[0].is_graph_output():
        return None
    one, other = _selection(context, before), _selection(context, node)
    if one is None or other is None or one[0] != other[0]:
        return None
    axis, first = one
    if isinstance(first, np.ndarray) and first.ndim != 1:
        return None
    dims = context.shapes.dims(before.inputs[0])
    length = None if dims is None else dims[axis]
    places = _composed(first, other[1], length if isinstance(length, int) else None)
    if places is None:
        return None
    proposal = begin(context, CHAINS, node)
    new, name = _taken(proposal, before.inputs[0], axis, places, str(node.outputs[0].name))
    proposal.replace(node.outputs[0], new)
    return Found(proposal, chained([before, node], name))


def _selection(context: Context, node: ir.Node) -> _Selection | None:
    """What a Gather or a Slice of one axis takes; None for any other, or one that is not known."""
    rank = context.shapes.rank(node.inputs[0])
    if rank is None:
        return None
    if onnx_name(node) == "Gather":
        indices = context.constants.array(node.inputs[1])
        if indices is None or indices.size > _MOST:
            return None
        return normalized(attribute_int(node, "axis", 0), rank), indices
    if onnx_name(node) != "Slice" or len(node.inputs) < 2:
        return None
    cuts = slices_of(node, context.shapes, rank)
    return None if cuts is None or len(cuts) != 1 else next(iter(cuts.items()))


def _composed(
    first: Array | slice, second: Array | slice, length: int | None
) -> Array | slice | None:
    """The places of the second among those of the first, None where that depends on a length."""
    if isinstance(first, slice):
        if length is None:
            return _both_ends(first, second) if isinstance(second, slice) else None
        taken = range(length)[first]
        if isinstance(second, slice):
            return _as_slice(taken[second])
        if len(taken) > _MOST:
            return None
        first = np.array(taken, dtype=np.int64)
    if isinstance(second, slice):
        return first[second]
    if np.any((second < -first.size) | (second >= first.size)):
        return None
    return first[second]


def _both_ends(first: slice, second: slice) -> slice | None:
    """Of an axis of any length: what is left when elements are cut off twice at either end."""
    if first.step != 1 or second.step != 1 or first.start < 0 or second.start < 0:
        return None
    start, one, other = first.start + second.start, first.stop, second.stop
    if one is None or other is None:
        return None
    if one >= _ALL:
        return slice(start, other if other < 0 or other >= _ALL else first.start + other, 1)
    if other >= _ALL:
        return slice(start, one, 1)
    if one < 0 and other < 0:
        return slice(start, one + other, 1)
    return None if one < 0 or other < 0 else slice(start, min(one, first.start + other), 1)


def _as_slice(places: range) -> slice:
    """Places of a known axis as what a Slice is told."""
    if not places:
        return slice(0, 0, 1)
    return slice(places.start, places.stop if places.stop >= 0 else _LEAST, places.step)


def _taken(
    proposal: Proposal, source: ir.Value | None, axis: int, places: Array | slice, hint: str
) -> tuple[ir.Value, str]:
    """What takes places along an axis, and its operator."""
    if isinstance(places, slice):
        told = {"starts": places.start, "ends": places.stop, "axes": axis, "steps": places.step}
        given = [proposal.integers([n], f"{hint}_{name}") for name, n in told.items()]
        return proposal.node("Slice", [source, *given]), "Slice"
    indices = proposal.integers(places.astype(np.int64), f"{hint}_indices")
    return proposal.node("Gather", [source, indices], {"axis": axis}), "Gather"


def joined_parts(context: Context, node: ir.Node) -> Found | None:
    """A Concat of all parts of a Split, in their order and along its axis, is what was split."""
    split = None if node.inputs[0] is None else node.inputs[0].producer()
    if split is None or onnx_name(split) != "Split" or split.graph is not node.graph:
        return None
    rank = context.shapes.rank(split.inputs[0])
    if rank is None or list(node.inputs) != list(split.outputs):
        return None
    axes = [attribute_int(one, "axis", default) for one, default in ((split, 0), (node, 1))]
    if normalized(axes[0], rank) != normalized(axes[1], rank):
        return None
    source = split.inputs[0]
    return None if source is None else in_place_of(context, CHAINS, node, source)


def split_parts(context: Context, node: ir.Node) -> Found | None:
    """A Split of a Concat into what was joined gives what was joined."""
    concat = node_before(node)
    if concat is None or onnx_name(concat) != "Concat" or len(concat.inputs) != len(node.outputs):
        return None
    rank = context.shapes.rank(node.inputs[0])
    if rank is None or any(out.is_graph_output() for out in node.outputs):
        return None
    axes = [attribute_int(one, "axis", default) for one, default in ((concat, 1), (node, 0))]
    if normalized(axes[0], rank) != normalized(axes[1], rank):
        return None
    proposal = begin(context, CHAINS, node)
    for out, part in zip(node.outputs, concat.inputs, strict=True):
        dims = context.shapes.dims(part)
        if part is None or dims is None or dims != context.shapes.dims(out):
            proposal.withdraw()
            return None
        if out.uses():
            proposal.replace(out, part)
    return Found(proposal, "Concat·Split → nothing")
