"""Identity and Dropout at inference are nothing at all; a Cast between floats is one, almost.

    m(Cast(x)) = Cast(m(x))

The map moves to the side with at least the precision it had: a fold never rounds more than the
model did. Into a layer before a Cast up it may move, for the layer rounds what it gives to its own
type whether it is scaled or not; only a shift must not be large against that, unless the result is
cast down again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from normonnx.affine.map import AffineMap
from normonnx.affine.precision import BITS, Data, centre_of, must_keep_digits
from normonnx.affine.recognise import Affine, recognise
from normonnx.affine.travel.kinds import Push, Rest, rewired, source_of
from normonnx.affine.weights import describe
from normonnx.journal import RefusedError
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Proposal
from normonnx.values.constants import is_float
from normonnx.values.shapes import attribute_int

_INFERENCE_IS_DEFAULT = 7
"""The operator set from which a Dropout has to be told that it is to drop something."""


def backward(proposal: Proposal, node: ir.Node, index: int, m: AffineMap, push: Push) -> ir.Value:
    _check_inference(proposal, node)
    return push(source_of(node), m)


def forward(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    _check_inference(proposal, node)
    return [(node.outputs[0], new, m)]


def _check_inference(proposal: Proposal, node: ir.Node) -> None:
    """A Dropout drops where it is told so, and before opset 7 where it is not told otherwise."""
    context = proposal.context
    told = len(node.inputs) > 2 and node.inputs[2] is not None
    if context.opset_of(proposal.graph) < _INFERENCE_IS_DEFAULT and onnx_name(node) == "Dropout":
        told = not attribute_int(node, "is_test", 0)
    elif told:
        training = context.constants.array(node.inputs[2])
        told = training is None or bool(training.any())
    if told or any(out.uses() or out.is_graph_output() for out in node.outputs[1:]):
        raise RefusedError(f"{describe(node)} may be in training mode")


def cast_backward(
    proposal: Proposal, node: ir.Node, index: int, m: AffineMap, push: Push
) -> ir.Value:
    source, target = _types(proposal, node)
    if BITS[source] < BITS[target]:
        return _into_a_layer(proposal, node, index, m, push)
    return rewired(proposal, node, push(source_of(node), m))


def _into_a_layer(
    proposal: Proposal, node: ir.Node, index: int, m: AffineMap, push: Push
) -> ir.Value:
    """A layer rounds what it gives to its own type: it may take a map that adds no larger error."""
    shapes = proposal.context.shapes
    source, target = shapes.dtype(node.inputs[0]), shapes.dtype(node.outputs[0])
    assert source is not None
    assert target is not None
    if not m.is_scale and not _is_rounded_again(proposal, node.outputs[0], source):
        must_keep_digits(
            proposal.context,
            Data(centre_of(m), None, np.ones_like(m.a)),
            source_of(node),
            source,
            f"adding the shift in {source.name.lower()}, before {describe(node)},",
        )
    try:
        new = push(source_of(node), m, must_vanish=True)
    except RefusedError as error:
        raise RefusedError(
            f"before {describe(node)} numbers have only {source.name.lower()}'s precision, and "
            f"{error.refusal.reason}",
            error.refusal.remedy,
        ) from error
    return rewired(proposal, node, new)


def _is_rounded_again(proposal: Proposal, value: ir.Value, dtype: ir.DataType) -> bool:
    """Whether what becomes of a value is brought down to a type as short before it is used."""
    readers = [use.node for use in value.uses() if use.node.graph is not None]
    if not readers or value.is_graph_output():
        return False
    return all(_rounds(proposal, node, dtype) for node in readers)


def _rounds(proposal: Proposal, node: ir.Node, dtype: ir.DataType) -> bool:
    if onnx_name(node) == "Cast":
        target = proposal.context.shapes.dtype(node.outputs[0])
        return target is not None and is_float(target) and BITS[target] <= BITS[dtype]
    passes = onnx_name(node) == "Relu" or isinstance(recognise(proposal.context, node), Affine)
    return passes and _is_rounded_again(proposal, node.outputs[0], dtype)


def cast_forward(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    source, target = _types(proposal, node)
    if BITS[target] < BITS[source]:
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
