"""NX205 too: nodes that keep all elements in their order, one behind another."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from normonnx.operators.attributes import attribute_int, attribute_ints, axes_of, normalized
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context, Proposal
from normonnx.simplify.rule import CHAINS, Found, begin, chained, in_place_of, node_before
from normonnx.simplify.sizes import target_of

_VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze"})
"""Operators that keep all elements in their order."""


def _keeps_elements(context: Context, node: ir.Node) -> bool:
    """Whether a node keeps all elements in their order: of Transposes, what moves axes of 1."""
    if onnx_name(node) != "Transpose":
        return onnx_name(node) in _VIEWS
    dims = context.shapes.dims(node.inputs[0])
    if dims is None:
        return False
    perm = attribute_ints(node, "perm") or tuple(reversed(range(len(dims))))
    long = [axis for axis in perm if dims[axis] != 1]
    return long == sorted(long)


def views(context: Context, node: ir.Node) -> Found | None:
    """A Reshape, Flatten, Squeeze or Unsqueeze behind another: one Reshape, or none."""
    before = node_before(node)
    if before is None or not (_keeps_elements(context, before) and _keeps_elements(context, node)):
        return None
    source = before.inputs[0]
    assert source is not None
    dims, wanted = context.shapes.dims(source), context.shapes.dims(node.outputs[0])
    if dims is not None and dims == wanted:
        return in_place_of(context, CHAINS, node, source)
    target = target_of(dims, wanted)
    assert node.graph is not None
    if target is None or context.opset_of(node.graph) < _RESHAPE_WITH_INPUT:
        return _same_kind(context, before, node)
    proposal = begin(context, CHAINS, node)
    shape = proposal.integers(target, f"{node.outputs[0].name}_shape")
    proposal.replace(node.outputs[0], proposal.node("Reshape", [source, shape]))
    return Found(proposal, chained([before, node], "Reshape"))


_RESHAPE_WITH_INPUT = 5
_AXES_AS_INPUT = 13


def _same_kind(context: Context, before: ir.Node, node: ir.Node) -> Found | None:
    """Two Unsqueezes, or two Squeezes, as one with the axes of both."""
    axes = _axes_of_both(context, before, node) if before.op_type == node.op_type else None
    if axes is None:
        return None
    proposal = begin(context, CHAINS, node)
    assert node.graph is not None
    as_input = context.opset_of(node.graph) >= _AXES_AS_INPUT
    inputs = [before.inputs[0]]
    if as_input:
        inputs.append(proposal.integers(axes, f"{node.outputs[0].name}_axes"))
    new = proposal.node(node.op_type, inputs, None if as_input else {"axes": axes})
    proposal.replace(node.outputs[0], new)
    return Found(proposal, chained([before, node], node.op_type))


def _axes_of_both(context: Context, before: ir.Node, node: ir.Node) -> list[int] | None:
    """The axes that two Unsqueezes put in, or two Squeezes take out, as one of them would."""
    first, second = axes_of(before, context.shapes), axes_of(node, context.shapes)
    came, between, left = (
        context.shapes.rank(value) for value in (before.inputs[0], node.inputs[0], node.outputs[0])
    )
    if first is None or second is None or came is None or between is None or left is None:
        return None
    if node.op_type == "Unsqueeze":
        outer, others = [normalized(axis, left) for axis in second], first
    elif node.op_type == "Squeeze":
        outer, others = [normalized(axis, came) for axis in first], second
    else:
        return None
    rest = [axis for axis in range(max(came, left)) if axis not in outer]
    return sorted([*outer, *(rest[normalized(axis, between)] for axis in others)])


def kept_axes(context: Context, node: ir.Node) -> Found | None:
    """A reduction whose axes are taken out, or put in, behind it does so itself."""
    before = node_before(node)
    if before is None or not onnx_name(before).startswith(("Reduce", "Arg")):
        return None
    source, between = context.shapes.dims(before.inputs[0]), context.shapes.dims(node.inputs[0])
    axes = _reduced(context, before)
    if source is None or between is None or axes is None or not _read_once(node.inputs[0]):
        return None
    keeps = len(between) == len(source)
    short = tuple(dim for axis, dim in enumerate(source) if axis not in axes)
    full = tuple(1 if axis in axes else dim for axis, dim in enumerate(source))
    if context.shapes.dims(node.outputs[0]) != (short if keeps else full):
        return None
    proposal = begin(context, CHAINS, node)
    inputs, places = _from_the_front(proposal, before, sorted(axes)) if keeps else ([], {})
    attributes = {**before.attributes, **places, "keepdims": int(not keeps)}
    new = proposal.node(before.op_type, inputs or before.inputs, attributes, instead_of=before)
    proposal.replace(node.outputs[0], new)
    return Found(proposal, chained([before, node], before.op_type))


def _from_the_front(
    proposal: Proposal, node: ir.Node, axes: list[int]
) -> tuple[list[ir.Value | None], dict[str, Any]]:
    """The inputs and axes of a reduction that drops them, counted from the front.

    ONNX Runtime drops none that is counted from the end where the tensor is empty.
    """
    inputs = list(node.inputs)
    if "axis" in node.attributes:
        return inputs, {"axis": axes[0]}
    if "axes" in node.attributes:
        return inputs, {"axes": axes}
    given = proposal.context.constants.array(inputs[1]) if len(inputs) > 1 and inputs[1] else None
    if given is not None and (given < 0).any():
        inputs[1] = proposal.integers(axes, "axes")
    return inputs, {}


def _read_once(value: ir.Value | None) -> bool:
    return value is not None and len(value.uses()) == 1 and not value.is_graph_output()


def _reduced(context: Context, node: ir.Node) -> set[int] | None:
    """The axes that a reduction takes together, None where they are not known."""
    rank = context.shapes.rank(node.inputs[0])
    if rank is None:
        return None
    if onnx_name(node).startswith("Arg"):
        return {normalized(attribute_int(node, "axis", 0), rank)}
    axes = axes_of(node, context.shapes)
    if axes is None and len(node.inputs) > 1 and node.inputs[1] is not None:
        return None
    if not axes:
        return None if attribute_int(node, "noop_with_empty_axes", 0) else set(range(rank))
    return {normalized(axis, rank) for axis in axes}
