"""A recognised norm as the nodes that are to stand for it.

    [Cast] → [Transpose] → LayerNormalization(x, γ, β) → [Transpose] → [Mul] → [Add]
    [Cast] → [Transpose] → RMSNormalization(x, γ) → [Add β] → [Transpose] → [Mul] → [Add]

What is in brackets is there only where the site needs it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from normonnx.norm.attach import Operand
from normonnx.norm.site import OPERATOR, NormSite
from normonnx.rewrite import Context, Proposal, RefusedError


def propose(context: Context, sites: Sequence[NormSite]) -> Proposal:
    """The proposal that writes the sites of one root with the operators of the default domain.

    Raises:
        RefusedError: if a scale or bias cannot be stored in the type of its site.
    """
    first = sites[0]
    graph = first.root.graph
    assert isinstance(graph, ir.Graph)
    proposal = Proposal(
        context, graph, key=first.key, rule=first.rule, site=first.root, kind=first.kind
    )
    try:
        for site in sites:
            proposal.replace(site.output, _written(proposal, site))
    except RefusedError:
        proposal.withdraw()
        raise
    return proposal


def summary(proposal: Proposal) -> str:
    """The rewrite in one line."""
    return f"decomposed {proposal.kind} → {'·'.join(node.op_type for node in proposal.nodes)}"


def _written(proposal: Proposal, site: NormSite) -> ir.Value:
    """The new value of the site's output."""
    scale = _operand(proposal, site, site.affine.scale, "scale")
    bias = site.affine.bias
    shift = None if bias is None else _operand(proposal, site, bias, "bias")
    plan, dtype = site.source.plan, site.source.dtype
    value = site.x
    if site.source.cast:
        value = _cast(proposal, value, dtype)
    if plan.before is not None:
        value = _transpose(proposal, value, plan.before)
    inputs = [value, scale]
    if shift is not None and site.kind == "LayerNorm":
        inputs.append(shift)
    attributes = {
        "axis": plan.first - len(plan.groups),
        "epsilon": site.epsilon,
        # The operator computes its statistics in this type; float32 is the default.
        "stash_type": int(dtype) if dtype == ir.DataType.DOUBLE else None,
    }
    value = proposal.node(OPERATOR[site.kind], inputs, attributes, like=value)
    if shift is not None and site.kind == "RMSNorm":
        value = proposal.node("Add", [value, shift], like=value)
    if plan.after is not None:
        value = _transpose(proposal, value, plan.after)
    if site.affine.factor is not None:
        value = proposal.node("Mul", [value, site.affine.factor], like=site.output)
    if site.affine.addend is not None:
        value = proposal.node("Add", [value, site.affine.addend], like=site.output)
    return value


def _cast(proposal: Proposal, value: ir.Value, dtype: ir.DataType) -> ir.Value:
    shapes = proposal.context.shapes
    new = proposal.node("Cast", [value], {"to": int(dtype)})
    shapes.set(new, shapes.dims(value), dtype)
    return new


def _transpose(proposal: Proposal, value: ir.Value, perm: tuple[int, ...]) -> ir.Value:
    shapes = proposal.context.shapes
    dims = shapes.dims(value)
    new = proposal.node("Transpose", [value], {"perm": list(perm)})
    shapes.set(new, None if dims is None else [dims[axis] for axis in perm], shapes.dtype(value))
    return new


def _operand(proposal: Proposal, site: NormSite, operand: Operand, what: str) -> ir.Value:
    if operand.value is not None:
        return operand.value
    assert operand.array is not None
    exact = np.ascontiguousarray(operand.array)
    return proposal.constant(exact, site.source.dtype, f"{site.output.name}_{what}")
