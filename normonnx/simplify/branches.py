"""NX207: an If whose condition is known, or whose branches are equal, gives way to one of them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from normonnx.graph.contents import Contents
from normonnx.graph.nesting import subgraphs
from normonnx.journal import RefusedError
from normonnx.operators.names import onnx_name
from normonnx.operators.table import is_deterministic
from normonnx.rewrite import Context, Proposal
from normonnx.simplify.bodies import body_key, is_fixed
from normonnx.simplify.rule import BRANCHES, Found, begin
from normonnx.values.constants import is_float


def taken(context: Context, node: ir.Node) -> Found | None:
    """The nodes of the branch in the place of the If."""
    branch = _branch(context, node)
    if branch is None or any(subgraphs(inner) or not _can_move(inner) for inner in branch):
        return None
    proposal = begin(context, BRANCHES, node)
    try:
        moved = _moved(context, proposal, branch)
    except RefusedError:
        proposal.withdraw()
        return None
    for out, inner in zip(node.outputs, branch.outputs, strict=True):
        new = moved.get(inner, inner)
        if out.is_graph_output() and new.producer() not in proposal.nodes:
            proposal.withdraw()
            return None
        proposal.replace(out, new)
    proposal.least_gain = -len(proposal.nodes)  # the nodes of both branches go with the If
    is_known = context.constants.is_constant(node.inputs[0])
    told = "If of a known condition → its branch" if is_known else "If of equal branches → one"
    return Found(proposal, told)


def _branch(context: Context, node: ir.Node) -> ir.Graph | None:
    """The branch that is taken, or any where both are the same; None for neither."""
    branches = [node.attributes[name].as_graph() for name in ("then_branch", "else_branch")]
    condition = context.constants.array(node.inputs[0])
    if condition is not None:
        return branches[0 if condition.item() else 1] if condition.size == 1 else None
    if not is_fixed(node):
        return None
    contents = Contents()
    one, other = (body_key(context, branch, contents) for branch in branches)
    return branches[0] if one == other else None


def _can_move(node: ir.Node) -> bool:
    return is_deterministic(node) or onnx_name(node) == "Constant"


def _moved(context: Context, proposal: Proposal, branch: ir.Graph) -> dict[ir.Value, ir.Value]:
    """Copies of what a branch computes and holds, by the values that they are copies of."""
    moved = {value: _constant(context, proposal, value) for value in branch.initializers.values()}
    for node in branch:
        if onnx_name(node) == "Constant":
            moved[node.outputs[0]] = _constant(context, proposal, node.outputs[0])
            continue
        given = [None if value is None else moved.get(value, value) for value in node.inputs]
        moved.update(zip(node.outputs, proposal.outputs(node, given), strict=True))
    return moved


def _constant(context: Context, proposal: Proposal, value: ir.Value) -> ir.Value:
    array, dtype = context.constants.array(value), context.constants.dtype(value)
    if array is None or dtype is None:
        raise RefusedError(f"'{value.name}' cannot be read")
    if is_float(dtype):
        exact = context.constants.float64(value)
        return proposal.constant(
            array if exact is None else exact,
            dtype,
            str(value.name),
            maker=lambda: array.astype(np.float64),
        )
    if array.dtype.kind not in "iub" or ir.DataType.from_numpy(array.dtype) != dtype:
        raise RefusedError(f"'{value.name}' is of a type that is left alone")
    return proposal.integers(array, str(value.name))
