"""The scale and bias of a norm go into the layers that read it: off unless asked for.

    f(γ·n(x) + β, W, B)   →   f(n(x), W′, B′)

It saves no node, for a LayerNormalization cannot do without a scale; what it saves is a
multiplication and an addition inside the norm, where a runtime knows that a scale of one is none.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from normonnx.affine.map import AffineMap
from normonnx.affine.weights import float_type, parameter
from normonnx.journal import RefusedError
from normonnx.rewrite import Context, Proposal

RULE = "NX006"

_BIASED = frozenset({"LayerNormalization"})
NORMS = _BIASED | {"RMSNormalization"}


def own_map(context: Context, node: ir.Node) -> AffineMap | None:
    """The map along the last axis that a norm ends with, None where it is none or nothing."""
    scale, bias = context.constants.float64(node.inputs[1]), None
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        bias = context.constants.float64(node.inputs[2])
        if bias is None:
            return None
    rank = context.shapes.rank(node.inputs[0])
    if scale is None or scale.ndim != 1 or rank is None:
        return None
    m = AffineMap.along(rank - 1, a=scale, b=np.zeros_like(scale) if bias is None else bias)
    return None if m.is_identity else m


def without_map(proposal: Proposal, node: ir.Node) -> ir.Value:
    """The norm with a scale of one and no bias."""
    scale = parameter(proposal, node, 1, "scale")
    dtype = float_type(proposal, node.inputs[1], node)
    if any(out.uses() or out.is_graph_output() for out in node.outputs[1:]):
        raise RefusedError("its statistics are read too")
    ones = proposal.constant(np.ones_like(scale), dtype, f"{node.outputs[0].name}_ones")
    exactly = proposal.context.exact_attributes.get(node, {})
    attributes = {**node.attributes, **exactly}
    return proposal.node(
        node.op_type, [node.inputs[0], ones], attributes, like=node.outputs[0], instead_of=node
    )
