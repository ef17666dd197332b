"""Convolutions."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.graph.dims import Dim, Dims, times, unknown
from normonnx.operators.attributes import attribute_int
from normonnx.operators.facts import Facts
from normonnx.operators.kernels import convolution as kernels
from normonnx.operators.known import Known
from normonnx.operators.windows import window_extents


def convolved(known: Known, node: ir.Node) -> Dims | None:
    """Rank and channels follow from the weight, extents from the window."""
    weight, source = known.dims(node.inputs[1]), known.dims(node.inputs[0])
    if weight is None:
        return None
    extents = window_extents(node, source, weight[2:]) if source else None
    return _with(node, source, weight, weight[0], extents)


def transposed(known: Known, node: ir.Node) -> Dims | None:
    """Rank and channels follow from the weight, extents are left open."""
    weight, source = known.dims(node.inputs[1]), known.dims(node.inputs[0])
    if weight is None:
        return None
    channels = times((weight[1], attribute_int(node, "group", 1)))
    return _with(node, source, weight, channels, None)


def _with(
    node: ir.Node, source: Dims | None, weight: Dims, channels: Dim, extents: Dims | None
) -> Dims:
    name = node.outputs[0].name
    batch: Dim = source[0] if source else unknown(name, 0)
    if extents is None:
        extents = tuple(unknown(name, axis) for axis in range(2, len(weight)))
    return batch, channels, *extents


FACTS = (
    Facts(name="Conv", linear_in=(0, 1, 2), dims=convolved, kernel=kernels.conv),
    Facts(
        name="ConvTranspose",
        linear_in=(0, 1, 2),
        dims=transposed,
        kernel=kernels.conv_transpose,
    ),
    Facts(name="DeformConv", linear_in=(0, 1, 3, 4)),
    Facts(name="Col2Im", linear_in=(0,)),
)
