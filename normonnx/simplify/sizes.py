"""NX202: what follows from sizes is written as numbers.

A vector of dimensions that are all known is a constant. A Reshape or Expand whose target is worked
out becomes one with a constant target where that means the same for every size of the inputs: 0
stands for the dimension that was there, −1 for the one dimension that is left. Where other
dimensions are open too, −1 is not written: an empty tensor would leave it undetermined.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from normonnx.graph.dims import Dims
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context
from normonnx.simplify.rule import CHAINS, SHAPES, Found, begin, chained, node_before


def known_numbers(context: Context, node: ir.Node) -> Found | None:
    """An integer tensor of which every element follows from dimensions that are numbers."""
    out = node.outputs[0]
    if context.constants.is_constant(out) or len(node.outputs) > 1 or out.is_graph_output():
        return None
    vector, shape = context.shapes.vector(out), context.shapes.static(out)
    dtype = context.shapes.dtype(out)
    if vector is None or shape is None or dtype is None:
        return None
    if not dtype.is_integer() and dtype != ir.DataType.BOOL:
        return None
    if math.prod(shape) != len(vector) or not all(isinstance(dim, int) for dim in vector):
        return None
    proposal = begin(context, SHAPES, node)
    array = np.array(vector, dtype=dtype.numpy()).reshape(shape)
    proposal.replace(out, proposal.integers(array, str(out.name)))
    return Found(proposal, f"{node.op_type} of known sizes → constant")


def reshape(context: Context, node: ir.Node) -> Found | None:
    """A Reshape to a target that is worked out, as one to a constant."""
    if len(node.inputs) < 2 or context.constants.is_constant(node.inputs[1]):
        return None
    source = node.inputs[0]
    target = target_of(context.shapes.dims(source), context.shapes.dims(node.outputs[0]))
    if target is None:
        return None
    proposal = begin(context, SHAPES, node)
    shape = proposal.integers(target, f"{node.outputs[0].name}_shape")
    proposal.replace(node.outputs[0], proposal.node("Reshape", [source, shape]))
    return Found(proposal, "Reshape to a computed shape → Reshape to a constant one")


def target_of(source: Dims | None, wanted: Dims | None) -> tuple[int, ...] | None:
    """The constant target that reshapes one into the other at every size, None for none.

    Args:
        source: dimensions as they are.
        wanted: dimensions as they are to be.
    """
    if source is None or wanted is None:
        return None
    target: list[int] = []
    for axis, dim in enumerate(wanted):
        is_kept = axis < len(source) and source[axis] == dim
        if isinstance(dim, int) and dim > 0:
            target.append(dim)
        elif is_kept:
            target.append(0)
        elif isinstance(dim, int):
            return None  # a 0 would be read as the dimension that was there
        else:
            target.append(-1)
    open_places = [place for place in target if place < 1]
    if -1 in open_places and len(open_places) > 1:
        return None
    return tuple(target)


def expand(context: Context, node: ir.Node) -> Found | None:
    """An Expand to a target that is worked out, as one to a constant."""
    if len(node.inputs) < 2 or context.constants.is_constant(node.inputs[1]):
        return None
    source, wanted = context.shapes.dims(node.inputs[0]), context.shapes.dims(node.outputs[0])
    if source is None or wanted is None or len(source) > len(wanted):
        return None
    before = (1,) * (len(wanted) - len(source)) + tuple(source)
    target = []
    for one, other in zip(before, wanted, strict=True):
        if one != other and not isinstance(other, int):
            return None
        target.append(other if isinstance(other, int) else 1)
    proposal = begin(context, SHAPES, node)
    shape = proposal.integers(target, f"{node.outputs[0].name}_shape")
    proposal.replace(node.outputs[0], proposal.node("Expand", [node.inputs[0], shape]))
    return Found(proposal, "Expand to a computed shape → Expand to a constant one")


def expands(context: Context, node: ir.Node) -> Found | None:
    """An Expand behind another, as one."""
    before = node_before(node)
    wanted = context.shapes.static(node.outputs[0])
    if before is None or onnx_name(before) != "Expand" or wanted is None:
        return None
    proposal = begin(context, CHAINS, node)
    proposal.least_gain = 1
    shape = proposal.integers(wanted, f"{node.outputs[0].name}_shape")
    proposal.replace(node.outputs[0], proposal.node("Expand", [before.inputs[0], shape]))
    return Found(proposal, chained([before, node], "Expand"))
