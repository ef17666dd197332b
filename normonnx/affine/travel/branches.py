"""Several tensors in or out: joined, cut, or added.

m(Concat(x, z))     = Concat(m₁(x), m₂(z))      each branch takes its channels' part
Split(m(x))         = m₁(x₁), m₂(x₂)            likewise
a·(x ± z) + b       = (a·x + b) ± a·z           the scale goes to both, the shift to one
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from normonnx.affine.map import AffineMap
from normonnx.affine.precision import must_have_room
from normonnx.affine.travel.kinds import (
    Push,
    Rest,
    dims_of,
    embedded,
    extent_of,
    rewired,
    source_of,
)
from normonnx.affine.weights import describe
from normonnx.journal import RefusedError
from normonnx.rewrite import Proposal
from normonnx.values.shapes import attribute_int, normalized


def concat_backward(
    proposal: Proposal, node: ir.Node, index: int, m: AffineMap, push: Push
) -> ir.Value:
    if m.axis is None:
        return proposal.like(node, [push(_there(value), m) for value in node.inputs])
    axis = normalized(attribute_int(node, "axis", 1), len(dims_of(proposal, node, node.outputs[0])))
    inputs: list[ir.Value | None] = []
    start = 0
    for value in node.inputs:
        part = m
        if m.axis == axis:
            extent = extent_of(proposal, node, value, axis)
            part = m.cut(start, start + extent)
            start += extent
        inputs.append(push(_there(value), part))
    return proposal.like(node, inputs)


def _there(value: ir.Value | None) -> ir.Value:
    assert value is not None
    return value


def concat_forward(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    """The other branches take the identity."""
    rank = len(dims_of(proposal, node, node.outputs[0]))
    axis = normalized(attribute_int(node, "axis", 1), rank)
    if m.axis is not None and m.axis != axis:
        raise RefusedError(f"{describe(node)} joins along another axis than the map's")
    sizes = [extent_of(proposal, node, value, axis) for value in node.inputs]
    start = sum(sizes[:index])
    whole = embedded(AffineMap(m.a, m.b, axis), sum(sizes), slice(start, start + sizes[index]))
    return [(node.outputs[0], rewired(proposal, node, new, index), whole)]


def _sizes(proposal: Proposal, node: ir.Node, axis: int) -> list[int]:
    return [extent_of(proposal, node, out, axis) for out in node.outputs]


def split_backward(
    proposal: Proposal, node: ir.Node, index: int, m: AffineMap, push: Push
) -> ir.Value:
    """The part that is read through the map; the others get the identity."""
    source = source_of(node)
    axis = normalized(attribute_int(node, "axis", 0), len(dims_of(proposal, node, source)))
    if m.axis != axis:
        raise RefusedError(f"{describe(node)} has other outputs, which the map would reach")
    ends = np.cumsum([0, *_sizes(proposal, node, axis)])
    whole = embedded(m, int(ends[-1]), slice(int(ends[index]), int(ends[index + 1])))
    outputs = proposal.outputs(node, [push(source, whole), *node.inputs[1:]])
    for place, (old, new) in enumerate(zip(node.outputs, outputs, strict=True)):
        if place != index:
            proposal.replace(old, new)
    return outputs[index]


def split_forward(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    if index != 0:
        raise RefusedError(f"{describe(node)} reads it as sizes")
    inputs = [new, *node.inputs[1:]]
    outputs = proposal.outputs(node, inputs)
    if m.axis is None:
        return [(old, fresh, m) for old, fresh in zip(node.outputs, outputs, strict=True)]
    axis = normalized(attribute_int(node, "axis", 0), len(dims_of(proposal, node, node.inputs[0])))
    if axis != m.axis:
        return [(old, fresh, m) for old, fresh in zip(node.outputs, outputs, strict=True)]
    ends = np.cumsum([0, *_sizes(proposal, node, axis)])
    return [
        (old, fresh, m.cut(int(ends[i]), int(ends[i + 1])))
        for i, (old, fresh) in enumerate(zip(node.outputs, outputs, strict=True))
    ]


def sum_backward(
    proposal: Proposal, node: ir.Node, index: int, m: AffineMap, push: Push
) -> ir.Value:
    values = [_there(value) for value in node.inputs]
    for value in values:
        _must_span(proposal, node, value, m)
    if len({id(value) for value in values}) < len(values):
        raise RefusedError(f"{describe(node)} reads one value twice")
    dtype = proposal.context.shapes.dtype(node.outputs[0])
    must_have_room(node, m, dtype, len(values), behind=False)
    first = source_of(node)
    return proposal.like(node, [push(first, m), *(push(value, m.scale) for value in values[1:])])


def _must_span(proposal: Proposal, node: ir.Node, value: ir.Value, m: AffineMap) -> None:
    """A branch that is broadcast along the map's axis has no channels of its own there."""
    if m.axis is None:
        return
    dims, out = dims_of(proposal, node, value), dims_of(proposal, node, node.outputs[0])
    if len(dims) != len(out) or dims[m.axis] != m.a.shape[0]:
        raise RefusedError(f"a branch of {describe(node)} is broadcast along the channels")
