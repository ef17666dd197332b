"""A recognised norm as the nodes that are to stand for it.

    [Cast] → [Transpose] → LayerNormalization(x, γ, β) → [Transpose] → [Mul] → [Add]
    [Cast] → [Transpose] → RMSNormalization(x, γ) → [Add β] → [Transpose] → [Mul] → [Add]
    [Transpose] → InstanceNormalization(x, γ, β) → [Transpose] → [Mul] → [Add]
    [Transpose] → GroupNormalization(x, γ, β) → [Transpose] → [Mul] → [Add]
    FusedAddLayerNormalization(x, residual, γ, β, [x_bias]) → [Mul] → [Add]; the sum

What is in brackets is there only where the site needs it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from normonnx.journal import RefusedError
from normonnx.norm.algebra.counts import read_along
from normonnx.norm.match.attach import Operand
from normonnx.norm.match.residual import Residual
from normonnx.norm.match.site import NormSite
from normonnx.norm.write.bodies import name_for
from normonnx.ops.operators import DOMAIN
from normonnx.rewrite import Context, Proposal
from normonnx.targets import AddNormOperator, NormOperator

_NEGATIVE_AXES = 11
"""From which opset on axes are counted from the end."""


def propose(context: Context, sites: Sequence[NormSite]) -> Proposal:
    """The proposal that writes the sites of one root.

    Raises:
        RefusedError: if a scale or bias cannot be stored in the type of its site.
    """
    first = sites[0]
    graph = first.root.graph
    assert isinstance(graph, ir.Graph)
    proposal = Proposal(
        context, graph, key=first.key, rule=first.rule, site=first.root, kind=first.kind
    )
    proposal.least_gain = first.least_gain
    try:
        for site in sites:
            for value, count in read_along(context, site.outputs, site.reads):
                stored = context.constants.array(value)
                assert stored is not None
                proposal.read_as(value, np.full(stored.shape, 1 / count))
            if site.residual is None:
                proposal.replace(site.output, _written(proposal, site))
            else:
                _write_with_sum(proposal, site, site.residual)
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
    operator, arrangement, dtype = site.operator, site.source.arrangement, site.source.dtype
    value = site.x
    if site.source.cast:
        value = _cast(proposal, value, dtype)
    if arrangement.before is not None:
        value = _transpose(proposal, value, arrangement.before)
    inputs = [value, scale]
    if shift is not None and operator.takes_bias:
        inputs.append(shift)
    value = proposal.node(
        _op_type(proposal, site, operator),
        inputs,
        _attributes(proposal, site, operator),
        domain=operator.domain,
        like=value,
    )
    return _finished(proposal, site, value, shift)


def _write_with_sum(proposal: Proposal, site: NormSite, residual: Residual) -> None:
    """Norm and sum as the two outputs of one operator."""
    joined = residual.operator
    scale = _operand(proposal, site, site.affine.scale, "scale")
    bias = site.affine.bias
    shift = None if bias is None else _operand(proposal, site, bias, "bias")
    inputs = [residual.x, residual.other, scale]
    if shift is not None and site.operator.takes_bias:
        inputs.append(shift)
    if residual.x_bias is not None:
        inputs.append(residual.x_bias)
    value = proposal.node(
        _op_type(proposal, site, joined),
        inputs,
        _attributes(proposal, site, joined),
        domain=joined.domain,
        like=residual.total,
        outputs=joined.outputs if residual.is_read else 1,
    )
    node = value.producer()
    assert node is not None
    proposal.replace(site.output, _finished(proposal, site, value, shift))
    if residual.is_read:
        for unwanted in node.outputs[1:-1]:
            unwanted.name = ""
        proposal.replace(residual.total, node.outputs[-1])


def _finished(
    proposal: Proposal, site: NormSite, value: ir.Value, shift: ir.Value | None
) -> ir.Value:
    """What follows the operator."""
    operator, arrangement = site.operator, site.source.arrangement
    if shift is not None and not operator.takes_bias:
        value = proposal.node("Add", [value, shift], like=value)
    if arrangement.after is not None:
        value = _transpose(proposal, value, arrangement.after)
    if site.affine.factor is not None:
        value = proposal.node("Mul", [value, site.affine.factor], like=site.output)
    if site.affine.addend is not None:
        value = proposal.node("Add", [value, site.affine.addend], like=site.output)
    return value


def _op_type(proposal: Proposal, site: NormSite, operator: NormOperator | AddNormOperator) -> str:
    if operator.domain != DOMAIN:
        return operator.name
    return name_for(proposal.context, operator.name, site.source.dtype)


def _attributes(
    proposal: Proposal, site: NormSite, operator: NormOperator | AddNormOperator
) -> dict[str, int | float | None]:
    """What the operator is told beside its inputs."""
    attributes: dict[str, int | float | None] = {"epsilon": site.epsilon}
    if "axis" in operator.attributes:
        arrangement = site.source.arrangement
        first, rank = arrangement.placement.first, len(arrangement.groups)
        from_the_end = arrangement.is_trailing and (
            proposal.context.opset_of(proposal.graph) >= _NEGATIVE_AXES
        )
        attributes["axis"] = first - rank if from_the_end else first
    if "num_groups" in operator.attributes:
        attributes["num_groups"] = site.groups
    if "stash_type" in operator.attributes and site.source.dtype == ir.DataType.DOUBLE:
        # The operator computes its statistics in this type; float32 is the default.
        attributes["stash_type"] = int(ir.DataType.DOUBLE)
    return attributes


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
