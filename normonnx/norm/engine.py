"""The normalisation engine: every decomposed norm that can be one operator becomes one."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.journal import Refusal, RefusedError
from normonnx.norm.match.recognise import find_sites, recognise
from normonnx.norm.match.residual import broadcast_sum
from normonnx.norm.match.search import NORMALISERS, roots
from normonnx.norm.match.site import NormMiss, NormSite
from normonnx.norm.write.bodies import note_types
from normonnx.norm.write.nodes import propose, summary
from normonnx.norm.write.quantized import note_quantized
from normonnx.rewrite import Context, commit, miss


def wanted_opset(context: Context, *, cap: int | None = None) -> int:
    """The lowest default-domain opset that has the operators of all recognised norms.

    Args:
        context: of the run; the model is only read.
        cap: the highest opset that the model may get; what needs more is written otherwise.

    Returns:
        17 for LayerNorms, 23 where there are RMSNorms too, 0 where there is nothing to write.
    """
    # A function has an opset of its own, which raising the model's does not touch.
    functions = {function.graph for function in context.model.functions.values()}
    wanted = [
        site.needs_opset
        for site in find_sites(context, cap=cap)
        if site.worth and site.rule not in context.rules_off and site.root.graph not in functions
    ]
    return max(wanted, default=0)


def fuse_norms(context: Context) -> None:
    """Write every norm of the model as one operator, and note why where one stays as it is."""
    note_types(context)
    found = [_fused(context, root) for root in roots(context)]
    if context.target.has_library:
        note_quantized(context)
    for near in found:
        if near is not None and near.root.graph is not None:  # it has not gone with another norm
            miss(
                context,
                key=near.key,
                rule=near.rule,
                site=near.root,
                kind=near.kind,
                refusal=Refusal(near.reason, near.remedy),
            )


def _fused(context: Context, root: ir.Node) -> NormMiss | None:
    """Write the norms around a root; why not, where there is something to say."""
    if not isinstance(root.graph, ir.Graph):  # it has gone with a norm before it
        return None
    found = recognise(context, root)
    opset = context.opset_of(root.graph)
    if isinstance(found, tuple) and found[0].needs_opset > opset:
        found = recognise(context, root, highest=opset)
    near = None
    if not isinstance(found, tuple) or not found[0].worth:
        near = _by_choice(context, root)
    if near is None:
        near = _written(context, found) if isinstance(found, tuple) else found
    return near


def _by_choice(context: Context, root: ir.Node) -> NormMiss | None:
    """A norm for which there is an operator that is written only if it is asked for."""
    chosen = context.rules_on | context.rules_off
    also = frozenset(op.rule for op in context.target.operators if op.by_choice) - chosen
    asked = recognise(context, root, also=also) if also else None
    if not isinstance(asked, tuple) or not asked[0].worth or asked[0].rule not in also:
        return None
    refusal = asked[0].operator.by_choice
    assert refusal is not None
    return NormMiss(asked[0].kind, root, refusal.reason, refusal.remedy)


def _written(context: Context, sites: tuple[NormSite, ...]) -> NormMiss | None:
    """Write the sites of one root; where that is refused, why."""
    root, kind = sites[0].root, sites[0].kind
    refusal = _refusal(context, sites)
    if refusal is not None:
        return NormMiss(kind, root, refusal.reason, refusal.remedy)
    for operator in context.target.operators:
        context.journal.near_misses.pop(f"{operator.rule}:{_name(root)}", None)
    if sites[0].residual is None:
        _note_sum(context, sites[0])
    return None


def _note_sum(context: Context, site: NormSite) -> None:
    """Say why the sum in front of a norm that was written is not taken along."""
    add = broadcast_sum(context, site.operator, site.source)
    joined = context.target.sum_for(site.operator)
    if add is None or joined is None:
        return
    own = str(add.name or add.outputs[0].name)
    refusal = Refusal(
        f"one side of Add '{own}' is repeated to fit the other, and {joined.name} takes two of one "
        "shape: the sum is written and read once more",
        "expand the smaller side where it is made",
    )
    key = f"{site.rule}:{add.outputs[0].name}"
    miss(context, key=key, rule=site.rule, site=add, kind="sum in front of a norm", refusal=refusal)


def _refusal(context: Context, sites: tuple[NormSite, ...]) -> Refusal | None:
    """Write the sites of one root, or say why not."""
    root, first = sites[0].root, sites[0]
    assert isinstance(root.graph, ir.Graph)
    if root.op_type in NORMALISERS and not first.worth:
        return None
    if first.residual is None:
        refusal = first.operator.refuses_opset(context.opset_of(root.graph))
        if refusal is not None:
            return refusal
    try:
        proposal = propose(context, sites)
    except RefusedError as refused:
        return refused.refusal
    result = commit(proposal, summary=summary(proposal))
    return result if isinstance(result, Refusal) else None


def _name(root: ir.Node) -> str:
    return str(root.outputs[0].name)
