"""Dimensions of what keeps its shape, or broadcasts its inputs against each other."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.graph.dims import Dim, Dims, at_least_one, unknown
from normonnx.operators.known import Known


def same(known: Known, node: ir.Node) -> Dims | None:
    """The dimensions of the first input."""
    return known.dims(node.inputs[0])


def broadcast(known: Known, node: ir.Node) -> Dims | None:
    """All inputs against each other; before opset 7 the second is part of the first's axes."""
    if "broadcast" in node.attributes:
        return known.dims(node.inputs[0])
    result: Dims = ()
    for value in node.inputs:
        if value is None:
            continue
        dims = known.dims(value)
        if dims is None:
            return None
        result = broadcast_dims(result, dims, node)
    return result


def broadcast_dims(left: Dims, right: Dims, node: ir.Node) -> Dims:
    """Two shapes against each other; where neither is known to give way, something unknown."""
    rank = max(len(left), len(right))
    a = (1,) * (rank - len(left)) + tuple(left)
    b = (1,) * (rank - len(right)) + tuple(right)
    return tuple(
        _broadcast_dim(x, y, unknown(node.outputs[0].name, axis))
        for axis, (x, y) in enumerate(zip(a, b, strict=True))
    )


def _broadcast_dim(x: Dim, y: Dim, otherwise: Dim) -> Dim:
    if y in (x, 1, at_least_one(x)):
        return x
    if x in (1, at_least_one(y)):
        return y
    return next((dim for dim in (x, y) if isinstance(dim, int)), otherwise)
