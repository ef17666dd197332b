"""NX208: products of matrices take the Transposes around them, and an added vector."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from normonnx.journal import RefusedError
from normonnx.operators.attributes import attribute_int, attribute_ints
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context, Proposal
from normonnx.simplify.rule import PRODUCTS, Found, begin
from normonnx.values.constants import is_float

_GEMM_BROADCASTS = 7
"""The opset from which on Gemm broadcasts what it adds without being told."""

_SINGLE_AND_DOUBLE = (ir.DataType.FLOAT, ir.DataType.DOUBLE)
"""The types that every runtime has a Gemm for."""


def transposed_product(context: Context, node: ir.Node) -> Found | None:
    """A Transpose of a MatMul of Transposes: (Aᵀ·Bᵀ)ᵀ = B·A."""
    product = _sole(node.inputs[0], "MatMul", node.graph)
    if product is None or not _swaps(context, node):
        return None
    sources = [_untransposed(context, value, node.graph) for value in product.inputs]
    if all(source is None for source in sources):
        return None
    proposal = begin(context, PRODUCTS, node)
    proposal.least_gain = 1
    try:
        given = [
            _transposed(context, proposal, value) if source is None else source
            for value, source in zip(product.inputs, sources, strict=True)
        ]
    except RefusedError:
        proposal.withdraw()
        return None
    proposal.replace(node.outputs[0], proposal.node("MatMul", list(reversed(given))))
    return Found(proposal, "Transpose·MatMul·Transpose → MatMul")


def _sole(value: ir.Value | None, op_type: str, graph: object) -> ir.Node | None:
    """The node of an operator that makes a value which nobody else reads."""
    node = None if value is None else value.producer()
    if value is None or node is None or onnx_name(node) != op_type or node.graph is not graph:
        return None
    return node if len(value.uses()) == 1 and not value.is_graph_output() else None


def _swaps(context: Context, node: ir.Node) -> bool:
    """Whether a Transpose swaps the last two axes and nothing else."""
    rank = context.shapes.rank(node.inputs[0])
    if rank is None or rank < 2:
        return False
    perm = attribute_ints(node, "perm") or tuple(reversed(range(rank)))
    return perm == (*range(rank - 2), rank - 1, rank - 2)


def _untransposed(context: Context, value: ir.Value | None, graph: object) -> ir.Value | None:
    """What a Transpose of the last two axes reads, None for anything else."""
    node = None if value is None else value.producer()
    if node is None or onnx_name(node) != "Transpose" or node.graph is not graph:
        return None
    return node.inputs[0] if _swaps(context, node) else None


def _transposed(context: Context, proposal: Proposal, value: ir.Value | None) -> ir.Value:
    """A constant with its last two axes swapped."""
    exact = context.constants.float64(value)
    dtype = context.shapes.dtype(value)
    if value is None or exact is None or exact.ndim < 2 or dtype is None or not is_float(dtype):
        raise RefusedError("it is no constant matrix")
    swapped = np.swapaxes(exact, -1, -2)
    return proposal.constant(swapped, dtype, str(value.name), maker=lambda: swapped)


def added_bias(context: Context, node: ir.Node) -> Found | None:
    """A MatMul of two matrices and an Add of a vector, as a Gemm."""
    for index in (0, 1):
        product = _sole(node.inputs[index], "MatMul", node.graph)
        if product is not None and _is_gemm(context, node, product, node.inputs[1 - index]):
            proposal = begin(context, PRODUCTS, node)
            proposal.least_gain = 1
            new = proposal.node("Gemm", [*product.inputs, node.inputs[1 - index]])
            proposal.replace(node.outputs[0], new)
            return Found(proposal, "MatMul·Add → Gemm")
    return None


def _is_gemm(context: Context, node: ir.Node, product: ir.Node, bias: ir.Value | None) -> bool:
    assert node.graph is not None
    made, added = context.shapes.dims(node.outputs[0]), context.shapes.dims(bias)
    ranks = [context.shapes.rank(value) for value in product.inputs]
    return (
        ranks == [2, 2]
        and made is not None
        and added is not None
        and made == context.shapes.dims(product.outputs[0])
        and context.constants.is_constant(bias)
        and added in ((made[-1],), (1, made[-1]))
        and context.shapes.dtype(bias) in _SINGLE_AND_DOUBLE
        and context.opset_of(node.graph) >= _GEMM_BROADCASTS
    )


def transposed_operand(context: Context, node: ir.Node) -> Found | None:
    """A Gemm that reads a Transpose reads what that reads, transposed by itself."""
    for index, name in ((0, "transA"), (1, "transB")):
        source = _untransposed(context, node.inputs[index], node.graph)
        if source is None or _sole(node.inputs[index], "Transpose", node.graph) is None:
            continue
        proposal = begin(context, PRODUCTS, node)
        proposal.least_gain = 1
        given = list(node.inputs)
        given[index] = source
        flipped = {**node.attributes, name: 1 - attribute_int(node, name, 0)}
        proposal.replace(node.outputs[0], proposal.node("Gemm", given, flipped))
        return Found(proposal, "Transpose·Gemm → Gemm")
    return None
