"""Operators that only move elements: the axis of the map moves with them.

Transpose                          perm
Reshape, Flatten, (Un)Squeeze      the axis is found again by counting elements
Expand                             an axis that is not expanded stays
DepthToSpace, SpaceToDepth         channels are laid out by blocks
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from normonnx.affine.map import AffineMap, through_reshape
from normonnx.affine.travel.kinds import (
    Push,
    Rest,
    dims_of,
    must_be_data,
    rewired,
    source_of,
)
from normonnx.affine.weights import describe
from normonnx.journal import RefusedError
from normonnx.rewrite import Proposal
from normonnx.values.shapes import attribute_int, attribute_ints


def backward(proposal: Proposal, node: ir.Node, index: int, m: AffineMap, push: Push) -> ir.Value:
    inner = _across(proposal, node, m, backward=True)
    return rewired(proposal, node, push(source_of(node), inner))


def forward(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    must_be_data(node, index)
    outer = _across(proposal, node, m, backward=False)
    return [(node.outputs[0], rewired(proposal, node, new), outer)]


def _across(proposal: Proposal, node: ir.Node, m: AffineMap, *, backward: bool) -> AffineMap:
    """The map on the other side."""
    if m.axis is None:
        return m
    if node.op_type == "Transpose":
        perm = attribute_ints(node, "perm")
        if perm is None:
            perm = tuple(reversed(range(len(dims_of(proposal, node, node.inputs[0])))))
        return m.on(perm[m.axis] if backward else perm.index(m.axis))
    source = dims_of(proposal, node, node.inputs[0])
    target = dims_of(proposal, node, node.outputs[0])
    if node.op_type == "Expand":
        offset = len(target) - len(source)
        axis = m.axis - offset if backward else m.axis + offset
        inner = axis if backward else m.axis
        if inner < 0 or source[inner] != target[inner + offset]:
            raise RefusedError(f"{describe(node)} expands axis {m.axis}, where the map varies")
        return m.on(axis)
    if node.op_type in ("DepthToSpace", "SpaceToDepth"):
        return _blocks(node, m, backward=backward)
    pair = (source, target) if backward else (target, source)
    moved = through_reshape(m, *pair)
    if moved is None:
        raise RefusedError(f"{describe(node)} does not keep the channels of axis {m.axis} together")
    return moved


def _blocks(node: ir.Node, m: AffineMap, *, backward: bool) -> AffineMap:
    """Deep channels are (block, c) or, in CRD mode, (c, block); the flat ones are c."""
    if m.axis != 1:
        raise RefusedError(f"{describe(node)} rearranges axis {m.axis}, where the map varies")
    block = attribute_int(node, "blocksize", 1) ** 2
    mode = node.attributes.get("mode")
    blocks_first = mode is None or mode.as_string() == "DCR"
    deep = backward == (node.op_type == "DepthToSpace")
    if deep:
        spread = np.tile if blocks_first else np.repeat
        return AffineMap.along(1, a=spread(m.a, block), b=spread(m.b, block))
    shape, axis = ((block, -1), 0) if blocks_first else ((-1, block), 1)
    a, b = (np.take(part.reshape(shape), 0, axis=axis) for part in (m.a, m.b))
    spread = np.tile if blocks_first else np.repeat
    if not (np.array_equal(spread(a, block), m.a) and np.array_equal(spread(b, block), m.b)):
        raise RefusedError(f"the map differs between the blocks that {describe(node)} merges")
    return AffineMap.along(1, a=a, b=b)
