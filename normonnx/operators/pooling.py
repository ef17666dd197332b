"""Pooling, over windows, regions and all of a channel."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.graph.dims import Dims, unknown
from normonnx.operators.attributes import attribute_ints
from normonnx.operators.facts import Facts
from normonnx.operators.kernels import pooling as kernels
from normonnx.operators.kernels import reduction, regions
from normonnx.operators.known import Known
from normonnx.operators.windows import window_extents


def pooled(known: Known, node: ir.Node) -> Dims | None:
    """Batch and channels stay, extents follow from the window."""
    source, kernel = known.dims(node.inputs[0]), attribute_ints(node, "kernel_shape")
    if source is None or kernel is None:
        return None
    extents = window_extents(node, source, kernel)
    if extents is None:
        extents = tuple(unknown(node.outputs[0].name, axis) for axis in range(2, len(source)))
    return (*source[:2], *extents)


def pooled_to_one(known: Known, node: ir.Node) -> Dims | None:
    """Batch and channels stay, extents become 1."""
    dims = known.dims(node.inputs[0])
    return None if dims is None else (*dims[:2], *(1 for _ in dims[2:]))


FACTS = (
    Facts(
        name="AveragePool",
        linear_in=(0,),
        dims=pooled,
        kernel=kernels.average_pool,
    ),
    Facts(name="MaxPool", dims=pooled, kernel=kernels.max_pool),
    Facts(name="LpPool", dims=pooled),
    Facts(
        name="GlobalAveragePool",
        linear_in=(0,),
        reduces=True,
        dims=pooled_to_one,
        kernel=reduction.global_average_pool,
    ),
    Facts(
        name="GlobalMaxPool",
        reduces=True,
        dims=pooled_to_one,
        kernel=kernels.global_max_pool,
    ),
    Facts(
        name="GlobalLpPool",
        reduces=True,
        dims=pooled_to_one,
        kernel=kernels.global_lp_pool,
    ),
    Facts(name="MaxRoiPool", kernel=regions.max_roi_pool),
    Facts(name="RoiAlign"),
    Facts(name="MaxUnpool", moves=(0,), linear_in=(0,)),
)
