"""What is known of a value's dimensions and type, and of the integer tensors that hold dimensions.

onnx's own shape inference comes first. What it leaves open is refined by a few rules of ours that
follow shape arithmetic symbolically (Shape, Gather, Concat, ReduceProd, Mul … feeding a Reshape or
an Expand), so that `Reshape(x, [batch·seq, 32])` and its way back are understood.

A dimension is an int or a product of symbols with an integer factor. A dimension of which nothing
is known is a symbol of its own, so two equal dimensions are provably equal.

Nothing is written into the model: this is a table beside it.
"""

from __future__ import annotations

from normonnx.graph.dims import Dim, Dims, Product, divide, times
from normonnx.operators.attributes import (
    attribute_int,
    attribute_ints,
    axes_of,
    normalized,
    slices_of,
)
from normonnx.values.shapes.contradiction import CONTRADICTIONS
from normonnx.values.shapes.table import Shapes

__all__ = [
    "CONTRADICTIONS",
    "Dim",
    "Dims",
    "Product",
    "Shapes",
    "attribute_int",
    "attribute_ints",
    "axes_of",
    "divide",
    "normalized",
    "slices_of",
    "times",
]
