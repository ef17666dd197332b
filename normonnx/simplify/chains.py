"""NX205: a chain of nodes that lay elements out anew, as fewer of them."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.operators.attributes import attribute_int, attribute_ints, normalized
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context
from normonnx.simplify.rule import CHAINS, Found, begin, chained, in_place_of, node_before


def transposes(context: Context, node: ir.Node) -> Found | None:
    """Two Transposes as one, or as none."""
    before = node_before(node)
    if before is None or onnx_name(before) != "Transpose":
        return None
    rank = context.shapes.rank(before.inputs[0])
    if rank is None:
        return None
    reverse = tuple(reversed(range(rank)))
    first = attribute_ints(before, "perm") or reverse
    second = attribute_ints(node, "perm") or reverse
    perm = [first[axis] for axis in second]
    source = before.inputs[0]
    assert source is not None
    if perm == list(range(rank)):
        return in_place_of(context, CHAINS, node, source)
    proposal = begin(context, CHAINS, node)
    proposal.replace(node.outputs[0], proposal.node("Transpose", [source], {"perm": perm}))
    return Found(proposal, chained([before, node], "Transpose"))


def casts(context: Context, node: ir.Node) -> Found | None:
    """A Cast behind one that loses nothing reads what that one read."""
    before = node_before(node)
    if before is None or onnx_name(before) != "Cast":
        return None
    source = before.inputs[0]
    came, between = context.shapes.dtype(source), attribute_int(before, "to", 0)
    assert source is not None
    if came is None or not _holds(ir.DataType(between), came):
        return None
    wanted = attribute_int(node, "to", 0)
    if came == wanted:
        return in_place_of(context, CHAINS, node, source)
    if wanted == ir.DataType.STRING:
        return None  # 1 and 1.0 are written differently
    proposal = begin(context, CHAINS, node)
    proposal.replace(node.outputs[0], proposal.like(node, [source]))
    return Found(proposal, chained([before, node], "Cast"))


_INTEGER_BITS = {
    ir.DataType.FLOAT16: 11,
    ir.DataType.BFLOAT16: 8,
    ir.DataType.FLOAT: 24,
    ir.DataType.DOUBLE: 53,
}
"""Whole numbers of so many bits are held exactly."""

_WIDER = {
    ir.DataType.FLOAT16: {ir.DataType.FLOAT, ir.DataType.DOUBLE},
    ir.DataType.BFLOAT16: {ir.DataType.FLOAT, ir.DataType.DOUBLE},
    ir.DataType.FLOAT: {ir.DataType.DOUBLE},
}


def _holds(wide: ir.DataType, narrow: ir.DataType) -> bool:
    """Whether a type holds every number of another exactly."""
    if wide == narrow or narrow == ir.DataType.BOOL:
        return (wide != ir.DataType.STRING and wide != ir.DataType.BOOL) or wide == narrow
    if narrow in _WIDER:
        return wide in _WIDER[narrow]
    if not narrow.is_integer():
        return False
    bits = narrow.bitwidth - narrow.is_signed()
    if wide in _INTEGER_BITS:
        return bits <= _INTEGER_BITS[wide] and wide not in (ir.DataType.FLOAT16,)
    if not wide.is_integer() or (narrow.is_signed() and not wide.is_signed()):
        return False
    return bits <= wide.bitwidth - wide.is_signed()


def slices(context: Context, node: ir.Node) -> Found | None:
    """Two Slices along different axes as one."""
    before = node_before(node)
    if before is None or onnx_name(before) != "Slice" or len(before.outputs[0].uses()) != 1:
        return None
    if before.outputs[0].is_graph_output() or len(before.inputs) < 2 or len(node.inputs) < 2:
        return None
    rank = context.shapes.rank(before.inputs[0])
    parts = [_cuts(context, one, rank) for one in (before, node)]
    if rank is None or parts[0] is None or parts[1] is None or set(parts[0]) & set(parts[1]):
        return None
    both = {**parts[0], **parts[1]}
    proposal = begin(context, CHAINS, node)
    hint = str(node.outputs[0].name)
    columns = zip(*((s, e, axis, step) for axis, (s, e, step) in sorted(both.items())), strict=True)
    names = ("starts", "ends", "axes", "steps")
    given = [
        proposal.integers(list(column), f"{hint}_{name}")
        for name, column in zip(names, columns, strict=True)
    ]
    proposal.replace(node.outputs[0], proposal.node("Slice", [before.inputs[0], *given]))
    return Found(proposal, chained([before, node], "Slice"))


def _cuts(
    context: Context, node: ir.Node, rank: int | None
) -> dict[int, tuple[int, int, int]] | None:
    """Start, end and step by axis, if all of them are constant."""
    arrays = [context.constants.array(v) for v in node.inputs[1:]]
    if (
        rank is None
        or len(arrays) < 2
        or any(
            array is None and value is not None
            for array, value in zip(arrays, node.inputs[1:], strict=True)
        )
    ):
        return None
    lists = [None if array is None else [int(n) for n in array.reshape(-1)] for array in arrays]
    starts, ends, axes, steps = [*lists, None, None][:4]
    if starts is None or ends is None:
        return None
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    return {
        normalized(axis, rank): (start, end, step)
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True)
    }


def concats(context: Context, node: ir.Node) -> Found | None:
    """A Concat that another one alone reads, along the same axis, becomes part of it."""
    rank = context.shapes.rank(node.outputs[0])
    if rank is None:
        return None
    axis = normalized(attribute_int(node, "axis", 1), rank)
    inner = [_inner_concat(node, value, axis, rank) for value in node.inputs]
    if not any(inner):
        return None
    inputs: list[ir.Value | None] = []
    for value, one in zip(node.inputs, inner, strict=True):
        inputs.extend([value] if one is None else one.inputs)
    proposal = begin(context, CHAINS, node)
    proposal.replace(node.outputs[0], proposal.node("Concat", inputs, {"axis": axis}))
    return Found(proposal, "Concat·Concat → Concat")


def _inner_concat(node: ir.Node, value: ir.Value | None, axis: int, rank: int) -> ir.Node | None:
    producer = None if value is None else value.producer()
    if value is None or producer is None or onnx_name(producer) != "Concat":
        return None
    if producer.graph is not node.graph or value.is_graph_output() or len(value.uses()) != 1:
        return None
    return producer if normalized(attribute_int(producer, "axis", 1), rank) == axis else None
