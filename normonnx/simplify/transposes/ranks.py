"""What an operator that takes axes out, or puts some in, becomes in another order of axes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from normonnx.operators.attributes import attribute_int, axes_of, normalized
from normonnx.rewrite import Context
from normonnx.simplify.transposes.carried import Carried, first, mapped
from normonnx.simplify.transposes.order import Order, among, without


def reduced(context: Context, node: ir.Node, order: Order) -> Carried | None:
    axes = axes_of(node, context.shapes)
    told = len(node.inputs) > 1 and node.inputs[1] is not None
    if told and (axes is None or not context.constants.is_constant(node.inputs[1])):
        return None
    keeps = bool(attribute_int(node, "keepdims", 1))
    if not axes:
        takes_none = attribute_int(node, "noop_with_empty_axes", 0)
        return first(node, order, order if keeps or takes_none else ())
    new = mapped(order, axes)
    out = order if keeps else without(order, {normalized(axis, len(order)) for axis in axes})
    if told:
        return first(node, order, out, given={1: np.array(new, np.int64)})
    return first(node, order, out, attributes={"axes": new})


def best(context: Context, node: ir.Node, order: Order) -> Carried | None:
    """ArgMax and ArgMin."""
    axis = normalized(attribute_int(node, "axis", 0), len(order))
    out = order if attribute_int(node, "keepdims", 1) else without(order, {axis})
    return first(node, order, out, attributes={"axis": order.index(axis)})


def gathered(context: Context, node: ir.Node, order: Order) -> Carried | None:
    axis = normalized(attribute_int(node, "axis", 0), len(order))
    rank = context.shapes.rank(node.inputs[1])
    if rank not in (0, 1):
        return None
    out = order if rank else without(order, {axis})
    return first(node, order, out, attributes={"axis": order.index(axis)})


def squeezed(context: Context, node: ir.Node, order: Order) -> Carried | None:
    axes = axes_of(node, context.shapes)
    if axes is None or (len(node.inputs) > 1 and not context.constants.is_constant(node.inputs[1])):
        return None
    out = without(order, {normalized(axis, len(order)) for axis in axes})
    new = mapped(order, axes)
    if len(node.inputs) > 1:
        return first(node, order, out, given={1: np.array(new, np.int64)})
    return first(node, order, out, attributes={"axes": new})


def unsqueezed(context: Context, node: ir.Node, order: Order) -> Carried | None:
    axes = axes_of(node, context.shapes)
    if axes is None or (len(node.inputs) > 1 and not context.constants.is_constant(node.inputs[1])):
        return None
    rank = len(order) + len(axes)
    return first(node, order, among(order, {normalized(axis, rank) for axis in axes}))
