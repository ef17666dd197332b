"""Identity and Dropout at inference are nothing at all; a Cast between floats is one, almost.

    m(Cast(x)) = Cast(m(x))

The map moves to the side with at least the precision it had: a fold never rounds more than the
model did.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from normonnx.affine.map import AffineMap
from normonnx.affine.travel.kinds import Push, Rest, rewired, source_of
from normonnx.affine.weights import describe
from normonnx.journal import RefusedError
from normonnx.rewrite import Proposal
from normonnx.values.constants import is_float

_PRECISION = {
    ir.DataType.BFLOAT16: 8,
    ir.DataType.FLOAT16: 11,
    ir.DataType.FLOAT: 24,
    ir.DataType.DOUBLE: 53,
}


def backward(proposal: Proposal, node: ir.Node, index: int, m: AffineMap, push: Push) -> ir.Value:
    _check_inference(node)
    return push(source_of(node), m)


def forward(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    _check_inference(node)
    return [(node.outputs[0], new, m)]


def _check_inference(node: ir.Node) -> None:
    if len(node.inputs) > 2 or any(out.uses() for out in node.outputs[1:]):
        raise RefusedError(f"{describe(node)} may be in training mode")


def cast_backward(
    proposal: Proposal, node: ir.Node, index: int, m: AffineMap, push: Push
) -> ir.Value:
    source, target = _types(proposal, node)
    if _PRECISION[source] < _PRECISION[target]:
        raise RefusedError(
            f"before {describe(node)} numbers have only {source.name.lower()}'s precision"
        )
    return rewired(proposal, node, push(source_of(node), m))


def cast_forward(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    source, target = _types(proposal, node)
    if _PRECISION[target] < _PRECISION[source]:
        raise RefusedError(
            f"behind {describe(node)} numbers have only {target.name.lower()}'s precision"
        )
    return [(node.outputs[0], rewired(proposal, node, new), m)]


def _types(proposal: Proposal, node: ir.Node) -> tuple[ir.DataType, ir.DataType]:
    shapes = proposal.context.shapes
    source, target = shapes.dtype(node.inputs[0]), shapes.dtype(node.outputs[0])
    if source is None or target is None or not is_float(source) or not is_float(target):
        raise RefusedError(f"{describe(node)} converts from or to a type that is no float")
    return source, target
