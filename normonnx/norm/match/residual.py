"""The sum before a norm, where the operator can take it along.

    [Add x_bias] → Add(x, residual) ─┬─ norm            becomes     one operator with two outputs
                                     └─ read elsewhere

A transformer normalises the sum of a branch and the residual stream, which is read again later.
ONNX Runtime's Skip operators and those of the domain normonnx take both and give both.
"""

from __future__ import annotations

import onnx_ir as ir
from msgspec import Struct

from normonnx.norm.match.source import Source
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context
from normonnx.targets import AddNormOperator, NormOperator


class Residual(Struct, frozen=True):
    """The sum that a norm takes along.

    Attributes:
        operator: what adds and normalises.
        total: the sum.
        x: one side of it.
        other: the other side, the residual stream or not.
        x_bias: a constant that was added to x, along the normalised axes, or None.
        is_read: whether the sum is read by others, too.
    """

    operator: AddNormOperator
    total: ir.Value
    x: ir.Value
    other: ir.Value
    x_bias: ir.Value | None
    is_read: bool = True


def find_residual(
    context: Context,
    operator: NormOperator,
    source: Source,
    shape: tuple[int, ...] | None,
    graph: ir.Graph | ir.Function | None,
) -> Residual | None:
    """The sum that is normalised, if there is one and an operator of the target takes it.

    Args:
        context: of the run.
        operator: what the norm alone would be written with.
        source: what it would read.
        shape: of its scale.
        graph: where the norm is; a sum that is made around a branch stays there.
    """
    joined = context.target.sum_for(operator)
    add = _add(source.value)
    if joined is None or add is None or add.graph is not graph or not _takes(joined, source):
        return None
    sides = _sides(context, joined, add, source)
    if sides is None:
        return None
    x, other = sides
    if not _is_of_the_sum(context, other, source):
        return Residual(joined, source.value, x, other, None)
    if source.arrangement.is_trailing:
        for one, stream in ((x, other), (other, x)):
            found = _bias(context, add, one, shape)
            if found is not None:
                return Residual(joined, source.value, found[0], stream, found[1])
    return Residual(joined, source.value, x, other, None)


def _add(value: ir.Value) -> ir.Node | None:
    """The Add that computes a value, or None."""
    node = value.producer()
    return node if node is not None and node.op_type == "Add" and node.domain == "" else None


def _takes(joined: AddNormOperator, source: Source) -> bool:
    """Whether the operator can read what the norm would, as it is."""
    arrangement = source.arrangement
    if source.cast or arrangement.before is not None:
        return False
    over = frozenset(label for group in arrangement.placement.span for label in group)
    return joined.takes(source.dtype, arrangement.groups, over)


def _is_of_the_sum(context: Context, side: ir.Value, source: Source) -> bool:
    """Whether one side of the sum is no constant, and has its shape and type."""
    dims = context.shapes.dims(source.value)
    return (
        dims is not None
        and context.shapes.dims(side) == dims
        and context.shapes.dtype(side) == source.dtype
        and not context.constants.is_constant(side)
    )


def _sides(
    context: Context, joined: AddNormOperator, add: ir.Node, source: Source
) -> tuple[ir.Value, ir.Value] | None:
    """Both sides of a sum that an operator takes, the one that may be repeated last."""
    x, other = add.inputs
    if x is None or other is None or x is other:
        return None
    if not _is_of_the_sum(context, x, source):
        x, other = other, x
    if not _is_of_the_sum(context, x, source):
        return None
    repeated = joined.repeats and _is_one_sample(context, other, source)
    return (x, other) if repeated or _is_of_the_sum(context, other, source) else None


def _is_one_sample(context: Context, side: ir.Value, source: Source) -> bool:
    """Whether one side of the sum, no constant of one row, is added to each sample of the other."""
    dims, own = context.shapes.dims(source.value), context.shapes.dims(side)
    if dims is None or len(dims) != 3 or own not in (dims[1:], (1, *dims[1:])):
        return False
    return context.shapes.dtype(side) == source.dtype


def broadcast_sum(context: Context, operator: NormOperator, source: Source) -> ir.Node | None:
    """The Add in front of a norm that an operator would take along, but that it broadcasts."""
    joined, add = context.target.sum_for(operator), _add(source.value)
    if joined is None or add is None or not _takes(joined, source):
        return None
    sides = [side for side in add.inputs if side is not None]
    alike = [side for side in sides if _is_of_the_sum(context, side, source)]
    varies = not any(map(context.constants.is_constant, sides))
    return add if len(alike) == 1 and len(sides) == 2 and varies else None


def _bias(
    context: Context, add: ir.Node, value: ir.Value, shape: tuple[int, ...] | None
) -> tuple[ir.Value, ir.Value] | None:
    """What a constant of the shape of the scale was added to, and the constant."""
    node = _add(value)
    alone = not value.is_graph_output() and set(value.consumers()) == {add}
    if node is None or not alone or node.graph is not add.graph:
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
    stored = producer is None or onnx_name(producer) == "Constant"
    return stored and context.constants.is_constant(value)
