"""Products of matrices."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.graph.dims import Dim, Dims, unknown
from normonnx.operators.attributes import attribute_int
from normonnx.operators.broadcasting import broadcast_dims
from normonnx.operators.facts import EVERY, Facts
from normonnx.operators.kernels import product as kernels
from normonnx.operators.known import Known


def matmul(known: Known, node: ir.Node) -> Dims | None:
    """Rows of the left and columns of the right matrix, leading axes against each other."""
    left, right = known.dims(node.inputs[0]), known.dims(node.inputs[1])
    if left is None or right is None or len(left) < 2 or len(right) < 2:
        return None
    return (*broadcast_dims(left[:-2], right[:-2], node), left[-2], right[-1])


def gemm(known: Known, node: ir.Node) -> Dims | None:
    """Rows of the left and columns of the right matrix, each possibly transposed."""
    a, b = known.dims(node.inputs[0]), known.dims(node.inputs[1])
    name = node.outputs[0].name
    rows: Dim = unknown(name, 0)
    columns: Dim = unknown(name, 1)
    if a is not None and len(a) == 2:
        rows = a[1] if attribute_int(node, "transA", 0) else a[0]
    if b is not None and len(b) == 2:
        columns = b[0] if attribute_int(node, "transB", 0) else b[1]
    return rows, columns


FACTS = (
    Facts(name="MatMul", linear_in=(0, 1), dims=matmul, kernel=kernels.matmul, widens=(1,)),
    Facts(name="Gemm", linear_in=(0, 1, 2), dims=gemm, kernel=kernels.gemm, widens=(1,)),
    Facts(name="Einsum", linear_in=EVERY),
    Facts(name="Det"),
)
