"""Right graphs that ONNX Runtime computes wrongly, and that a rewrite must not leave behind.

A node that goes may have stood between two that ONNX Runtime fuses. One of its fusions is wrong as
of 1.31, at its extended level and above:

    Transpose(…, swaps the last two axes) → MatMul with a vector   becomes FusedMatMul(transA = 1),
                                                                   which does not transpose

And it refuses at load what it computes while it does not know the rank: a Range whose limits are
vectors of one element.
"""

from __future__ import annotations

import onnx_ir as ir

from normonnx.operators.names import onnx_name
from normonnx.rewrite.proposal import Proposal


def pitfall(proposal: Proposal) -> str:
    """Why ONNX Runtime would not compute what the new nodes say, "" where it would."""
    for node in proposal.nodes:
        if reason := _fused_with_a_vector(proposal, node, node.inputs[0] if node.inputs else None):
            return reason
    for old, new in proposal.replacements:
        if reason := _no_scalar(proposal, old):
            return reason
        for use in old.uses():
            if use.idx or _swaps_last_axes(old):
                continue
            if reason := _fused_with_a_vector(proposal, use.node, new):
                return reason
    return ""


def _no_scalar(proposal: Proposal, old: ir.Value) -> str:
    """Why a Range would no longer be loaded, with what it reads or with a branch that is known."""
    readers = [use.node for use in old.uses()]
    if any(onnx_name(node) == "If" for node in readers):
        readers += [node for graph in proposal.context.graphs() for node in graph]
    for node in readers:
        if onnx_name(node) == "Range" and any(_is_no_scalar(proposal, v) for v in node.inputs):
            name = node.name or node.outputs[0].name
            return f"ONNX Runtime would see that Range '{name}' reads no scalar"
    return ""


def _is_no_scalar(proposal: Proposal, value: ir.Value | None) -> bool:
    tensors = [walk.tensor(value) for walk in proposal.context.recorded.walks]
    return any(tensor is not None and bool(tensor.shape) for tensor in tensors)


def _fused_with_a_vector(proposal: Proposal, node: ir.Node, left: ir.Value | None) -> str:
    if onnx_name(node) != "MatMul" or not _swaps_last_axes(left):
        return ""
    if proposal.context.shapes.rank(node.inputs[1]) != 1:
        return ""
    name = node.name or node.outputs[0].name
    return f"ONNX Runtime fuses a Transpose with MatMul '{name}' by a vector, and wrongly"


def _swaps_last_axes(value: ir.Value | None) -> bool:
    """Whether a value is transposed in its last two axes and in no others."""
    producer = None if value is None else value.producer()
    while producer is not None and onnx_name(producer) == "Identity" and producer.inputs[0]:
        producer = producer.inputs[0].producer()
    if producer is None or onnx_name(producer) != "Transpose":
        return False
    order = producer.attributes.get("perm")
    if order is None or order.is_ref():
        return True  # reversed: of two axes, these
    perm = list(order.as_ints())
    rank = len(perm)
    return perm == [*range(rank - 2), rank - 1, rank - 2]
