"""What each operator becomes when the tensors that it reads are laid out anew.

Each rule is given the order of the axes of the first tensor that is carried, and says in which
order the others have to be, in which the results are, and which attributes and operands change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from normonnx.graph.dims import Dims
from normonnx.operators.attributes import attribute_int, attribute_ints, normalized
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of
from normonnx.rewrite import Context
from normonnx.simplify.transposes.carried import Carried, Rule, first, mapped
from normonnx.simplify.transposes.order import Order, permuted
from normonnx.simplify.transposes.ranks import best, gathered, reduced, squeezed, unsqueezed

_BROADCASTS = 7
"""The opset from which on operands broadcast without being told how."""


def carried(context: Context, node: ir.Node, order: Order) -> Carried | None:
    """What a node becomes with its main operand in another order, None where that is not known."""
    rule = _elementwise if facts_of(node).elementwise else _RULES.get(onnx_name(node))
    if rule is None or not node.inputs or node.inputs[0] is None:
        return None
    if rule is not _elementwise and context.shapes.rank(node.inputs[0]) != len(order):
        return None
    return rule(context, node, order)


def _elementwise(context: Context, node: ir.Node, order: Order) -> Carried | None:
    """Operands of full rank, and constants, are carried; of one element they may stay."""
    assert node.graph is not None
    if context.shapes.rank(node.outputs[0]) != len(order) or len(node.outputs) != 1:
        return None
    if "axis" in node.attributes or context.opset_of(node.graph) < _BROADCASTS:
        return None
    stay = [_may_stay(context, value, len(order)) for value in node.inputs]
    moving = [value for value, stays in zip(node.inputs, stay, strict=True) if not stays]
    if not moving or not all(_may_move(context, value, len(order)) for value in moving):
        return None
    return Carried(tuple(None if stays else order for stays in stay), (order,))


def _may_stay(context: Context, value: ir.Value | None, rank: int) -> bool:
    """Whether an operand has one element, and is the same in any order."""
    dims = context.shapes.dims(value)
    if value is None or dims is None:
        return value is None
    return _is_one(dims) and (context.constants.is_constant(value) or len(dims) < rank)


def _may_move(context: Context, value: ir.Value | None, rank: int) -> bool:
    """Whether an operand has all axes of the result, or is a constant."""
    found = context.shapes.rank(value)
    return found is not None and (found == rank or context.constants.is_constant(value))


def _is_one(dims: Dims) -> bool:
    """Whether a tensor has one element."""
    return all(dim == 1 for dim in dims)


def _along_axis(default: int) -> Rule:
    """An operator with an attribute for the axis of its first operand."""

    def rule(context: Context, node: ir.Node, order: Order) -> Carried | None:
        axis = normalized(attribute_int(node, "axis", default), len(order))
        return first(node, order, attributes={"axis": order.index(axis)})

    return rule


_ALONG_ONE_AXIS = 13
"""The opset from which on Softmax does not flatten what it reads."""


def _softmax(context: Context, node: ir.Node, order: Order) -> Carried | None:
    """The axis is the last one before and behind: runtimes transpose for any other."""
    assert node.graph is not None
    is_along_one = context.opset_of(node.graph) >= _ALONG_ONE_AXIS
    last = len(order) - 1
    axis = normalized(attribute_int(node, "axis", -1 if is_along_one else 1), len(order))
    return first(node, order) if axis == last == order[-1] else None


def _joined(context: Context, node: ir.Node, order: Order) -> Carried | None:
    axis = order.index(normalized(attribute_int(node, "axis", 1), len(order)))
    return Carried((order,) * len(node.inputs), (order,), {"axis": axis})


def _sliced(context: Context, node: ir.Node, order: Order) -> Carried | None:
    by_attributes = len(node.inputs) == 1
    starts = attribute_ints(node, "starts") if by_attributes else _length(context, node.inputs[1])
    axes: Sequence[int] | None = attribute_ints(node, "axes")
    if not by_attributes and len(node.inputs) > 3 and node.inputs[3] is not None:
        array = context.constants.array(node.inputs[3])
        axes = None if array is None else [int(axis) for axis in array.reshape(-1)]
        if axes is None:
            return None
    if starts is None:
        return None
    new = mapped(order, range(len(starts)) if axes is None else axes)
    if by_attributes:
        return first(node, order, attributes={"axes": new})
    kind = context.shapes.dtype(node.inputs[1]) or ir.DataType.INT64
    return first(node, order, given={3: np.array(new, kind.numpy())})


def _length(context: Context, value: ir.Value | None) -> range | None:
    """As many numbers as a vector holds."""
    shape = context.shapes.static(value)
    return range(shape[0]) if shape is not None and len(shape) == 1 else None


def _padded(context: Context, node: ir.Node, order: Order) -> Carried | None:
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        axes = context.constants.array(node.inputs[3])
        if axes is None:
            return None
        new = mapped(order, [int(axis) for axis in axes.reshape(-1)])
        return first(node, order, given={3: np.array(new, axes.dtype)})
    pads: Sequence[int] | None = attribute_ints(node, "pads")
    array = context.constants.array(node.inputs[1]) if len(node.inputs) > 1 else None
    pads = pads if array is None else [int(n) for n in array.reshape(-1)]
    if pads is None or len(pads) != 2 * len(order):
        return None
    half = len(order)
    new = [*permuted(order, pads[:half]), *permuted(order, pads[half:])]
    if array is None:
        return first(node, order, attributes={"pads": new})
    return first(node, order, given={1: np.array(new, array.dtype)})


def _one_for_each(context: Context, node: ir.Node, order: Order) -> Carried | None:
    """Tile and Expand: the second operand holds a number for each axis."""
    array = context.constants.array(node.inputs[1]) if len(node.inputs) == 2 else None
    if array is None or array.size != len(order):
        return None
    new = permuted(order, [int(n) for n in array.reshape(-1)])
    return first(node, order, given={1: np.array(new, array.dtype)})


def _summed_up(context: Context, node: ir.Node, order: Order) -> Carried | None:
    """CumSum."""
    axis = context.constants.array(node.inputs[1])
    if axis is None or axis.size != 1:
        return None
    new = np.array(order.index(normalized(int(axis.item()), len(order))), axis.dtype)
    return first(node, order, given={1: new.reshape(axis.shape)})


def _quantised(context: Context, node: ir.Node, order: Order) -> Carried | None:
    """One scale for all, or one for each place of an axis."""
    if attribute_int(node, "block_size", 0):
        return None
    if context.shapes.rank(node.inputs[1]) == 0:
        return first(node, order)
    return _along_axis(1)(context, node, order)


def _multiplied(context: Context, node: ir.Node, order: Order) -> Carried | None:
    """MatMul: rows by one matrix for all, or matrices of two tensors that keep their last axes."""
    rank, last = len(order), len(order) - 1
    other = context.shapes.rank(node.inputs[1])
    if other == 2 and rank > 2 and order[last] == last:
        return first(node, order)
    if other == rank > 2 and order[last - 1 :] == (last - 1, last):
        return Carried((order, order), (order,))
    return None


def _normalised(context: Context, node: ir.Node, order: Order) -> Carried | None:
    """A norm over the last axes, which stay the last in their order; scale and bias are theirs."""
    axis = normalized(attribute_int(node, "axis", -1), len(order))
    ranks = [context.shapes.rank(value) for value in node.inputs[1:] if value is not None]
    stays = order[axis:] == tuple(range(axis, len(order)))
    fits = all(rank is not None and rank <= len(order) - axis for rank in ranks)
    return first(node, order) if stays and fits and len(node.outputs) == 1 else None


_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), _softmax),
    "LpNormalization": _along_axis(-1),
    "MatMul": _multiplied,
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), _normalised),
    "Split": _along_axis(0),
    "Concat": _joined,
    "Slice": _sliced,
    "Pad": _padded,
    **dict.fromkeys(
        (
            "ReduceL1",
            "ReduceL2",
            "ReduceLogSum",
            "ReduceLogSumExp",
            "ReduceMax",
            "ReduceMean",
            "ReduceMin",
            "ReduceProd",
            "ReduceSum",
            "ReduceSumSquare",
        ),
        reduced,
    ),
    **dict.fromkeys(("ArgMax", "ArgMin"), best),
    "Gather": gathered,
    **dict.fromkeys(("Tile", "Expand"), _one_for_each),
    "CumSum": _summed_up,
    "Squeeze": squeezed,
    "Unsqueeze": unsqueezed,
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _quantised),
}
"""By operator of ONNX's."""
