"""Picking and padding.

Slice, Gather     the picked channels keep their part; backward the others get the identity
Pad               m(Pad[v](x)) = Pad[a·v + b](m(x)), where that is one number for all channels
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from normonnx.affine.map import AffineMap
from normonnx.affine.travel.kinds import (
    Push,
    Rest,
    dims_of,
    embedded,
    extent_of,
    must_be_data,
    rewired,
    source_of,
)
from normonnx.affine.weights import describe
from normonnx.journal import RefusedError
from normonnx.rewrite import Proposal
from normonnx.values.shapes import attribute_int, normalized, slices_of


def slice_backward(
    proposal: Proposal, node: ir.Node, index: int, m: AffineMap, push: Push
) -> ir.Value:
    source = source_of(node)
    cut = _cut(proposal, node, m)
    if cut is None:
        return rewired(proposal, node, push(source, m))
    assert m.axis is not None
    whole = embedded(m, extent_of(proposal, node, source, m.axis), cut)
    return rewired(proposal, node, push(source, whole))


def slice_forward(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    must_be_data(node, index)
    cut = _cut(proposal, node, m)
    part = m
    if cut is not None:
        assert m.axis is not None
        places = np.arange(extent_of(proposal, node, node.inputs[0], m.axis))[cut]
        part = m.take(places)
    return [(node.outputs[0], rewired(proposal, node, new), part)]


def _cut(proposal: Proposal, node: ir.Node, m: AffineMap) -> slice | None:
    """What a Slice takes along the map's axis, None if it leaves that axis whole."""
    if m.axis is None:
        return None
    rank = len(dims_of(proposal, node, node.inputs[0]))
    cuts = slices_of(node, proposal.context.shapes, rank)
    if cuts is None:
        source = dims_of(proposal, node, node.inputs[0])
        if source[m.axis] == dims_of(proposal, node, node.outputs[0])[m.axis]:
            return None
        raise RefusedError(f"where {describe(node)} cuts is not constant")
    return cuts.get(m.axis)


def gather_backward(
    proposal: Proposal, node: ir.Node, index: int, m: AffineMap, push: Push
) -> ir.Value:
    source, indices = source_of(node), node.inputs[1]
    if m.axis is None:
        return rewired(proposal, node, push(source, m))
    axis, width = _gathered(proposal, node)
    if m.axis < axis:
        return rewired(proposal, node, push(source, m))
    if m.axis >= axis + width:
        return rewired(proposal, node, push(source, m.on(m.axis - width + 1)))
    places = _constant_indices(proposal, node, indices, axis)
    if width != 1 or len(np.unique(places)) < places.size:
        raise RefusedError(f"{describe(node)} picks a channel more than once")
    whole = embedded(m.on(axis), extent_of(proposal, node, source, axis), places)
    return rewired(proposal, node, push(source, whole))


def gather_forward(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    must_be_data(node, index)
    outer = m
    if m.axis is not None:
        axis, width = _gathered(proposal, node)
        if m.axis > axis:
            outer = m.on(m.axis + width - 1)
        elif m.axis == axis:
            places = _constant_indices(proposal, node, node.inputs[1], axis)
            if width > 1:
                raise RefusedError(f"{describe(node)} spreads the channels over several axes")
            outer = m.take(places.reshape(-1))
            if width == 0:
                outer = AffineMap.along(None, a=outer.a.flat[0], b=outer.b.flat[0])
    return [(node.outputs[0], rewired(proposal, node, new), outer)]


def _gathered(proposal: Proposal, node: ir.Node) -> tuple[int, int]:
    """The axis that is picked from, and how many axes the indices put in its place."""
    rank = len(dims_of(proposal, node, node.inputs[0]))
    width = len(dims_of(proposal, node, node.inputs[1]))
    return normalized(attribute_int(node, "axis", 0), rank), width


def _constant_indices(
    proposal: Proposal, node: ir.Node, indices: ir.Value | None, axis: int
) -> np.ndarray:
    places = proposal.context.constants.array(indices)
    if places is None:
        raise RefusedError(f"the channels that {describe(node)} picks are not constant")
    extent = extent_of(proposal, node, node.inputs[0], axis)
    return np.where(places < 0, places + extent, places)


def pad_backward(
    proposal: Proposal, node: ir.Node, index: int, m: AffineMap, push: Push
) -> ir.Value:
    inputs, attributes = _padded(proposal, node, m, lambda value: m.a * value + m.b)
    inputs[0] = push(source_of(node), m)
    return proposal.node("Pad", inputs, attributes, like=node.outputs[0])


def pad_forward(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    must_be_data(node, index)
    with np.errstate(all="ignore"):
        inputs, attributes = _padded(proposal, node, m, lambda value: (value - m.b) / m.a)
    inputs[0] = new
    out = proposal.node("Pad", inputs, attributes, like=node.outputs[0])
    return [(node.outputs[0], out, m)]


def _padded(
    proposal: Proposal,
    node: ir.Node,
    m: AffineMap,
    across: Callable[[float], np.ndarray],
) -> tuple[list[ir.Value | None], dict[str, ir.Attr | float]]:
    """Inputs and attributes of the Pad on the other side, with the value it must pad with."""
    inputs: list[ir.Value | None] = list(node.inputs)
    attributes: dict[str, ir.Attr | float] = dict(node.attributes)
    if m.axis is not None:
        source = dims_of(proposal, node, node.inputs[0])
        if source[m.axis] != dims_of(proposal, node, node.outputs[0])[m.axis]:
            raise RefusedError(f"{describe(node)} may pad axis {m.axis}, where the map varies")
    mode = node.attributes.get("mode")
    if mode is not None and mode.as_string() != "constant":
        return inputs, attributes
    value = _pad_value(proposal, node)
    values = np.atleast_1d(across(value))
    if not np.isfinite(values).all() or not (values == values[0]).all():
        raise RefusedError(f"{describe(node)} would have to pad every channel with its own value")
    if values[0] == value:
        return inputs, attributes
    dtype = proposal.context.shapes.dtype(node.inputs[0])
    if len(node.inputs) < 2 or dtype is None:
        attributes["value"] = float(values[0])
        return inputs, attributes
    inputs.extend([None] * (3 - len(inputs)))
    inputs[2] = proposal.constant(values[0], dtype, f"{node.outputs[0].name}_value")
    return inputs, attributes


def _pad_value(proposal: Proposal, node: ir.Node) -> float:
    attribute = node.attributes.get("value")
    if attribute is not None:
        return float(np.float32(attribute.as_float()))
    given = node.inputs[2] if len(node.inputs) > 2 else None
    if given is None:
        return 0.0
    array = proposal.context.constants.float64(given)
    if array is None:
        raise RefusedError(f"the value that {describe(node)} pads with is not a constant")
    return float(array.reshape(-1)[0])
