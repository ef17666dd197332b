"""Reductions along axes, and what runs along one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from normonnx.graph.dims import Dims
from normonnx.operators import vectors
from normonnx.operators.attributes import attribute_int, axes_of, normalized
from normonnx.operators.broadcasting import same
from normonnx.operators.facts import Facts
from normonnx.operators.kernels import reduction as kernels
from normonnx.operators.kernels.call import Kernel
from normonnx.operators.known import Known


def reduced(known: Known, node: ir.Node) -> Dims | None:
    """The dimensions of the input, those of the axes being 1 or gone."""
    dims = known.dims(node.inputs[0])
    if dims is None:
        return None
    axes = axes_of(node, known)
    if axes is None:
        if len(node.inputs) > 1 or attribute_int(node, "noop_with_empty_axes", 0):
            return None
        axes = tuple(range(len(dims)))
    places = {normalized(axis, len(dims)) for axis in axes}
    if attribute_int(node, "keepdims", 1):
        return tuple(1 if axis in places else dim for axis, dim in enumerate(dims))
    return tuple(dim for axis, dim in enumerate(dims) if axis not in places)


_KERNELS: Mapping[str, Kernel | None] = {
    **dict.fromkeys("ReduceL1 ReduceLogSum ReduceLogSumExp".split()),
    "ReduceL2": kernels.reduction(kernels.euclidean),
    "ReduceMax": kernels.reduction(kernels.largest, integers=True),
    "ReduceMin": kernels.reduction(kernels.smallest, integers=True),
    "ReduceSumSquare": kernels.reduction(kernels.sum_of_squares),
}

FACTS = (
    *(Facts(name=n, reduces=True, dims=reduced, kernel=k) for n, k in _KERNELS.items()),
    Facts(
        name="ReduceMean",
        reduces=True,
        linear_in=(0,),
        dims=reduced,
        kernel=kernels.reduction(np.mean),
    ),
    Facts(
        name="ReduceSum",
        reduces=True,
        linear_in=(0,),
        dims=reduced,
        kernel=kernels.reduction(np.sum, integers=True),
    ),
    Facts(
        name="ReduceProd",
        reduces=True,
        dims=reduced,
        vector=vectors.product,
        kernel=kernels.reduction(np.prod, integers=True),
    ),
    Facts(name="ArgMax", reduces=True, jumps=True),
    Facts(name="ArgMin", reduces=True, jumps=True),
    Facts(name="CumProd", dims=same),
    Facts(name="CumSum", linear_in=(0,), dims=same, kernel=kernels.cumulative_sum),
)
