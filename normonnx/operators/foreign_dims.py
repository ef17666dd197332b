"""Dimensions and types of what operators beside ONNX's own domain compute."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.graph.dims import Dims
from normonnx.operators.attributes import attribute_int, attribute_ints
from normonnx.operators.broadcasting import broadcast_dims
from normonnx.operators.known import Known, Rule


def last_axis(attribute: str) -> Rule:
    """The dimensions of the first input, the last one being an attribute."""

    def rule(known: Known, node: ir.Node) -> Dims | None:
        dims, size = known.dims(node.inputs[0]), attribute_int(node, attribute, 0)
        return (*dims[:-1], size) if dims and size > 0 else None

    return rule


def fused_matmul(known: Known, node: ir.Node) -> Dims | None:
    """Leading axes against each other, then rows and columns, either side transposed if told."""
    left, right = known.dims(node.inputs[0]), known.dims(node.inputs[1])
    batches = ("transBatchA", "transBatchB")
    if left is None or right is None or any(attribute_int(node, name, 0) for name in batches):
        return None
    if len(left) < 2 or len(right) < 2:
        return None
    rows = left[-1] if attribute_int(node, "transA", 0) else left[-2]
    columns = right[-2] if attribute_int(node, "transB", 0) else right[-1]
    return (*broadcast_dims(left[:-2], right[:-2], node), rows, columns)


def both(known: Known, node: ir.Node) -> Dims | None:
    """The two tensors of a quantised sum or product against each other."""
    left, right = known.dims(node.inputs[0]), known.dims(node.inputs[3])
    return None if left is None or right is None else broadcast_dims(left, right, node)


def halved(known: Known, node: ir.Node) -> Dims | None:
    """The dimensions of the first input, the last one halved."""
    dims = known.dims(node.inputs[0])
    last = dims[-1] if dims else None
    return (*dims[:-1], last // 2) if dims and isinstance(last, int) else None


def per_target(attribute: str, default: int) -> Rule:
    """One row for each of the first input, with as many columns as an attribute says."""

    def rule(known: Known, node: ir.Node) -> Dims | None:
        dims, columns = known.dims(node.inputs[0]), attribute_int(node, attribute, default)
        return (dims[0], columns) if dims and len(dims) == 2 and columns > 0 else None

    return rule


def picked_columns(known: Known, node: ir.Node) -> Dims | None:
    """The dimensions of the first input, the last one as many as there are indices."""
    dims, indices = known.dims(node.inputs[0]), known.static(node.inputs[1])
    if dims is None or indices is None or len(dims) < 2:
        return None
    count = 1
    for size in indices:
        count *= size
    return (*dims[:-1], count)


def one_hot_categories(known: Known, node: ir.Node) -> Dims | None:
    """The dimensions of the input with an axis of the categories behind them."""
    dims, numbers = known.dims(node.inputs[0]), attribute_ints(node, "cats_int64s")
    return (*dims, len(numbers)) if dims and numbers else None
