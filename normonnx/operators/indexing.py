"""What picks elements by place, by condition or by size."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.graph.dims import Dims
from normonnx.operators import vectors
from normonnx.operators.attributes import attribute_int, normalized
from normonnx.operators.broadcasting import broadcast
from normonnx.operators.facts import Facts
from normonnx.operators.kernels import arithmetic, indexing, placement
from normonnx.operators.known import Known


def gathered(known: Known, node: ir.Node) -> Dims | None:
    """The dimensions of the indices in the place of the axis."""
    data, indices = known.dims(node.inputs[0]), known.dims(node.inputs[1])
    if data is None or indices is None:
        return None
    axis = normalized(attribute_int(node, "axis", 0), len(data))
    return (*data[:axis], *indices, *data[axis + 1 :])


FACTS = (
    Facts(
        name="Gather",
        moves=(0,),
        linear_in=(0,),
        dims=gathered,
        vector=vectors.gather,
        kernel=placement.gather,
        widens=(0,),
    ),
    Facts(name="GatherElements", moves=(0,), linear_in=(0,), kernel=indexing.gather_elements),
    Facts(name="GatherND", moves=(0,), linear_in=(0,), kernel=indexing.gather_nd),
    Facts(name="Compress", moves=(0,), linear_in=(0,)),
    Facts(
        name="Where",
        elementwise=True,
        moves=(1, 2),
        linear_in=(1, 2),
        linear_jointly=True,
        dims=broadcast,
        vector=vectors.chosen,
        kernel=arithmetic.where,
    ),
    # These may combine what they write with what was there (reduction): they only move by default.
    Facts(name="Scatter", moves=(0, 2), kernel=indexing.scatter_elements),
    Facts(name="ScatterElements", moves=(0, 2), kernel=indexing.scatter_elements),
    Facts(name="ScatterND", moves=(0, 2), kernel=indexing.scatter_nd),
    Facts(name="TensorScatter", moves=(0, 1)),
    Facts(name="OneHot", moves=(2,), linear_in=(2,), kernel=indexing.one_hot),
    *(Facts(name=name, jumps=True) for name in ("NonMaxSuppression", "NonZero", "TopK", "Unique")),
)
