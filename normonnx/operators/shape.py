"""Dimensions as numbers, and tensors made from numbers."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.graph.dims import Dims
from normonnx.operators import vectors
from normonnx.operators.facts import Facts
from normonnx.operators.kernels import shape as kernels
from normonnx.operators.known import Known


def as_long_as_the_vector(known: Known, node: ir.Node) -> Dims | None:
    """One axis, as long as the vector that the output is."""
    vector = vectors.shape(known, node)
    return None if vector is None else (len(vector),)


def as_asked(known: Known, node: ir.Node) -> Dims | None:
    """The dimensions that the input holds."""
    wanted = known.vector(node.inputs[0])
    return wanted if wanted is not None and all(map(vectors.is_size, wanted)) else None


FACTS = (
    Facts(
        name="Shape",
        reads_shape_only=True,
        dims=as_long_as_the_vector,
        vector=vectors.shape,
        kernel=kernels.shape,
    ),
    Facts(name="Size", reads_shape_only=True, vector=vectors.size, kernel=kernels.size),
    Facts(name="ConstantOfShape", dims=as_asked, vector=vectors.filled),
    Facts(name="Range", kernel=kernels.count),
    *(Facts(name=name) for name in ("Constant", "EyeLike")),
)
