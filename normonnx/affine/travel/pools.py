"""Reductions over places or batch that leave the channels alone.

MaxPool, GlobalMaxPool, ReduceMax               order is kept where a > 0
AveragePool, GlobalAveragePool, ReduceMean      an average of a·x + b is a·average + b
ReduceSum                                       Σ a·x = a·Σ x
Resize, Upsample                                interpolation weights sum to one
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx_ir as ir

from normonnx.affine.map import AffineMap
from normonnx.affine.precision import must_have_room
from normonnx.affine.travel.kinds import (
    Push,
    Rest,
    dims_of,
    must_be_data,
    must_be_positive,
    rewired,
    source_of,
)
from normonnx.affine.weights import describe
from normonnx.journal import RefusedError
from normonnx.rewrite import Proposal
from normonnx.values.shapes import attribute_int, attribute_ints, axes_of, normalized

_ORDERED = frozenset({"MaxPool", "GlobalMaxPool", "ReduceMax", "ReduceMin"})


def pool_backward(
    proposal: Proposal, node: ir.Node, index: int, m: AffineMap, push: Push
) -> ir.Value:
    _check_pool(node, m)
    _must_have_room(proposal, node, m, behind=False)
    return rewired(proposal, node, push(source_of(node), m))


def pool_forward(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    _check_pool(node, m)
    _must_have_room(proposal, node, m, behind=True)
    return [(node.outputs[0], rewired(proposal, node, new), m)]


def _check_pool(node: ir.Node, m: AffineMap) -> None:
    if m.axis not in (None, 0, 1):
        raise RefusedError(f"{describe(node)} pools along axis {m.axis}, where the map varies")
    if node.op_type in _ORDERED:
        must_be_positive(m, node)
        if any(out.uses() or out.is_graph_output() for out in node.outputs[1:]):
            raise RefusedError(f"the indices of {describe(node)} are read")
    counted = node.op_type == "AveragePool" and attribute_int(node, "count_include_pad", 0)
    if counted and not m.is_scale and _is_padded(node):
        raise RefusedError(f"{describe(node)} counts its padding, which the shift never reaches")


def _is_padded(node: ir.Node) -> bool:
    """Whether there is padding to count; what a window of ceil mode lacks beyond it never is."""
    auto_pad = node.attributes.get("auto_pad")
    return any(attribute_ints(node, "pads") or ()) or (
        auto_pad is not None and auto_pad.as_string() not in ("NOTSET", "VALID")
    )


def reduce_backward(
    proposal: Proposal, node: ir.Node, index: int, m: AffineMap, push: Push
) -> ir.Value:
    _check_reduce(node, m)
    _must_have_room(proposal, node, m, behind=False)
    if m.axis is None:
        return rewired(proposal, node, push(source_of(node), m))
    kept = _kept_axes(proposal, node)
    axis = m.axis if attribute_int(node, "keepdims", 1) else kept[m.axis]
    if axis not in kept:
        raise RefusedError(f"{describe(node)} reduces axis {axis}, where the map varies")
    return rewired(proposal, node, push(source_of(node), m.on(axis)))


def reduce_forward(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    must_be_data(node, index)
    _check_reduce(node, m)
    _must_have_room(proposal, node, m, behind=True)
    outer = m
    if m.axis is not None:
        kept = _kept_axes(proposal, node)
        if m.axis not in kept:
            raise RefusedError(f"{describe(node)} reduces axis {m.axis}, where the map varies")
        if not attribute_int(node, "keepdims", 1):
            outer = m.on(kept.index(m.axis))
    return [(node.outputs[0], rewired(proposal, node, new), outer)]


def _check_reduce(node: ir.Node, m: AffineMap) -> None:
    if node.op_type in _ORDERED:
        must_be_positive(m, node)
    if node.op_type == "ReduceSum" and not m.is_scale:
        raise RefusedError(f"{describe(node)} adds the shift up as often as it adds elements")


def _must_have_room(proposal: Proposal, node: ir.Node, m: AffineMap, *, behind: bool) -> None:
    """A sum or mean has to hold its terms also with the scale on its other side."""
    if node.op_type not in _ORDERED:
        dtype = proposal.context.shapes.dtype(node.inputs[0])
        must_have_room(node, m, dtype, _terms(proposal, node), behind=behind)


def _terms(proposal: Proposal, node: ir.Node) -> int | None:
    """How many numbers an average or sum takes together, None where that is not known."""
    if node.op_type == "AveragePool":
        return math.prod(attribute_ints(node, "kernel_shape") or ())
    shapes = proposal.context.shapes
    source, target = shapes.static(node.inputs[0]), shapes.static(node.outputs[0])
    if source is not None and target is not None:
        return math.prod(source) // max(math.prod(target), 1)
    dims = shapes.dims(node.inputs[0])
    if dims is None:
        return None
    axes = axes_of(node, shapes)
    if node.op_type == "GlobalAveragePool":
        axes = tuple(range(2, len(dims)))
    reduced = [dims[axis] for axis in axes or range(len(dims))]
    numbers = [dim for dim in reduced if isinstance(dim, int)]
    return math.prod(numbers) if len(numbers) == len(reduced) else None


def _kept_axes(proposal: Proposal, node: ir.Node) -> list[int]:
    rank = len(dims_of(proposal, node, node.inputs[0]))
    axes = axes_of(node, proposal.context.shapes)
    if axes is None:
        if len(node.inputs) > 1 or attribute_int(node, "noop_with_empty_axes", 0):
            raise RefusedError(f"the axes of {describe(node)} are not constant")
        axes = tuple(range(rank))
    reduced = {normalized(axis, rank) for axis in axes}
    return [axis for axis in range(rank) if axis not in reduced]


def resize_backward(
    proposal: Proposal, node: ir.Node, index: int, m: AffineMap, push: Push
) -> ir.Value:
    _check_resize(proposal, node, m)
    return rewired(proposal, node, push(source_of(node), m))


def resize_forward(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    must_be_data(node, index)
    _check_resize(proposal, node, m)
    return [(node.outputs[0], rewired(proposal, node, new), m)]


def _check_resize(proposal: Proposal, node: ir.Node, m: AffineMap) -> None:
    coordinates = node.attributes.get("coordinate_transformation_mode")
    crops = coordinates is not None and coordinates.as_string() == "tf_crop_and_resize"
    if crops and not m.is_identity:
        raise RefusedError(f"{describe(node)} fills in a value outside its box")
    if m.axis is None:
        return
    source = dims_of(proposal, node, node.inputs[0])
    target = dims_of(proposal, node, node.outputs[0])
    if source[m.axis] != target[m.axis]:
        raise RefusedError(f"{describe(node)} may resize axis {m.axis}, where the map varies")
