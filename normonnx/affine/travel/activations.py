"""Activations that are homogeneous: f(a·x) = a·f(x) for a > 0.

    Relu, LeakyRelu, PRelu

The scale passes, the shift stays behind.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from normonnx.affine.absorb import materialise
from normonnx.affine.map import AffineMap
from normonnx.affine.travel.kinds import (
    Push,
    Rest,
    must_be_data,
    must_be_positive,
    rewired,
    source_of,
)
from normonnx.affine.weights import describe
from normonnx.journal import RefusedError
from normonnx.rewrite import Proposal


def backward(proposal: Proposal, node: ir.Node, index: int, m: AffineMap, push: Push) -> ir.Value:
    must_be_positive(m, node)
    new = rewired(proposal, node, push(source_of(node), m.scale, must_vanish=True))
    return materialise(proposal, new, m.shift, node.outputs[0])


def forward(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    must_be_data(node, index)
    must_be_positive(m, node)
    if not m.is_scale:
        raise RefusedError(f"only a scale can cross {describe(node)}, and this has a shift")
    return [(node.outputs[0], rewired(proposal, node, new), m)]
