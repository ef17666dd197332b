"""The sum before a norm, where the operator can take it along.

    [Add x_bias] → Add(x, residual) ─┬─ norm            becomes     one operator with two outputs
                                     └─ read elsewhere

A transformer normalises the sum of a branch and the residual stream, which is read again later.
ONNX Runtime's Skip operators and those of the domain normonnx take both and give both.
"""

from __future__ import annotations

import onnx_ir as ir
from msgspec import Struct

from normonnx.norm.operators import FUSED_LAYER, FUSED_RMS, LAYER, RMS, Operator
from normonnx.norm.source import Source
from normonnx.ops.operators import DOMAIN
from normonnx.rewrite import Context

MICROSOFT = "com.microsoft"

_SKIP_TYPES = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16})
_SKIP_RANKS = frozenset({2, 3})


class Joint(Struct, frozen=True):
    """An operator that adds before it normalises.

    Attributes:
        name: its op_type.
        domain: of the operator.
        outputs: how many outputs it has if the sum is wanted; the sum is the last.
        types: what it is for.
        ranks: of how many axes X may have; None for any.
    """

    name: str
    domain: str
    outputs: int
    types: frozenset[ir.DataType] | None = None
    ranks: frozenset[int] | None = None


_JOINTS: dict[tuple[str, str], Joint] = {
    (DOMAIN, FUSED_LAYER.name): Joint("FusedAddLayerNormalization", DOMAIN, 2),
    (DOMAIN, FUSED_RMS.name): Joint("FusedAddRMSNormalization", DOMAIN, 2),
    ("ort", LAYER.name): Joint("SkipLayerNormalization", MICROSOFT, 4, _SKIP_TYPES, _SKIP_RANKS),
    ("ort", RMS.name): Joint(
        "SkipSimplifiedLayerNormalization", MICROSOFT, 4, _SKIP_TYPES, _SKIP_RANKS
    ),
}
"""By target and the operator that would normalise alone."""


class Residual(Struct, frozen=True):
    """The sum that a norm takes along.

    Attributes:
        joint: the operator that does both.
        total: the sum.
        x: one side of it.
        other: the other side, the residual stream or not.
        x_bias: a constant that was added to x, along the normalised axes, or None.
        is_read: whether the sum is read by others, too.
    """

    joint: Joint
    total: ir.Value
    x: ir.Value
    other: ir.Value
    x_bias: ir.Value | None
    is_read: bool = True


def find_residual(
    context: Context, operator: Operator, source: Source, shape: tuple[int, ...] | None
) -> Residual | None:
    """The sum that is normalised, if there is one and an operator of the target takes it.

    Args:
        context: of the run.
        operator: what the norm alone would be written with.
        source: what it would read.
        shape: of its scale.
    """
    joint = _JOINTS.get((context.target, operator.name))
    total, add = source.value, source.value.producer()
    if joint is None or add is None or add.op_type != "Add" or add.domain != "":
        return None
    dims = context.shapes.dims(total)
    plan = source.plan
    trailing = dims is not None and plan.seat.first + len(plan.seat.span) == len(dims)
    if dims is None or source.cast or plan.before is not None or not _takes(joint, source, dims):
        return None
    if joint.domain == MICROSOFT and not (trailing and len(plan.seat.span) == 1):
        return None
    x, other = add.inputs
    if x is None or other is None or x is other:
        return None
    for side in (x, other):
        known = context.shapes.dims(side) == dims and context.shapes.dtype(side) == source.dtype
        if not known or context.constants.is_constant(side):
            return None
    for one, stream in ((x, other), (other, x)):
        found = _bias(context, add, one, shape) if trailing else None
        if found is not None:
            return Residual(joint, total, found[0], stream, found[1])
    return Residual(joint, total, x, other, None)


def _takes(joint: Joint, source: Source, dims: tuple[object, ...]) -> bool:
    return (joint.types is None or source.dtype in joint.types) and (
        joint.ranks is None or len(dims) in joint.ranks
    )


def _bias(
    context: Context, add: ir.Node, value: ir.Value, shape: tuple[int, ...] | None
) -> tuple[ir.Value, ir.Value] | None:
    """What a constant of the shape of the scale was added to, and the constant."""
    node = value.producer()
    alone = not value.is_graph_output() and set(value.consumers()) == {add}
    if node is None or node.op_type != "Add" or node.domain != "" or not alone:
        return None
    if node.graph is not add.graph:
        return None
    for x, bias in (tuple(node.inputs), tuple(reversed(node.inputs))):
        if x is None or bias is None or not _is_plain_constant(context, bias):
            continue
        if context.shapes.dims(bias) == shape and context.shapes.dims(x) == context.shapes.dims(
            value
        ):
            return x, bias
    return None


def _is_plain_constant(context: Context, value: ir.Value) -> bool:
    """A constant that can be handed on as it is."""
    producer = value.producer()
    stored = producer is None or producer.op_type == "Constant"
    return stored and context.constants.is_constant(value)
