"""The normalisation engine: every decomposed norm that can be one operator becomes one."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.journal import Refusal, RefusedError
from normonnx.norm.bodies import note_types
from normonnx.norm.quantized import note_quantized
from normonnx.norm.recognise import find_sites, recognise
from normonnx.norm.search import NORMALISERS, roots
from normonnx.norm.site import NormMiss, NormSite
from normonnx.norm.write import propose, summary
from normonnx.ops.operators import DOMAIN
from normonnx.rewrite import Context, commit, miss

_GROUP_NORM = "NX103"
_RULES = ("NX101", "NX102", _GROUP_NORM, "NX104")


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
    missed: list[NormMiss] = []
    note_types(context)
    for root in roots(context):
        if not isinstance(root.graph, ir.Graph):  # it has gone with a norm before it
            continue
        found = recognise(context, root)
        opset = context.opset_of(root.graph)
        if isinstance(found, tuple) and found[0].needs_opset > opset:
            found = recognise(context, root, highest=opset)
        near = None
        if not isinstance(found, tuple) or not found[0].worth:
            near = _by_choice(context, root)
        if near is None:
            near = _fuse(context, found) if isinstance(found, tuple) else found
        missed.extend(filter(None, [near]))
    if context.target == DOMAIN:
        note_quantized(context)
    for near in missed:
        if near.root.graph is not None:  # it has not gone with another norm
            miss(
                context,
                key=near.key,
                rule=near.rule,
                site=near.root,
                kind=near.kind,
                refusal=Refusal(near.reason, near.remedy),
            )


def _by_choice(context: Context, root: ir.Node) -> NormMiss | None:
    """A norm for which there is an operator that is written only if it is asked for."""
    if _GROUP_NORM in context.rules_on | context.rules_off:
        return None
    asked = recognise(context, root, also=frozenset({_GROUP_NORM}))
    if not isinstance(asked, tuple) or not asked[0].worth or asked[0].rule != _GROUP_NORM:
        return None
    return NormMiss(
        asked[0].kind,
        root,
        "GroupNormalization is off by default: ONNX Runtime's CPU provider takes it apart, and "
        "needs about twice as long as for InstanceNormalization between Reshapes",
        f"--rule {_GROUP_NORM} writes it, for a runtime with a kernel for it",
    )


def _fuse(context: Context, sites: tuple[NormSite, ...]) -> NormMiss | None:
    root, kind = sites[0].root, sites[0].kind
    refusal = _refusal(context, sites)
    if refusal is not None:
        return NormMiss(kind, root, refusal.reason, refusal.remedy)
    for rule in _RULES:
        context.journal.near_misses.pop(f"{rule}:{_name(root)}", None)
    return None


def _refusal(context: Context, sites: tuple[NormSite, ...]) -> Refusal | None:
    """Write the sites of one root, or say why not."""
    root = sites[0].root
    assert isinstance(root.graph, ir.Graph)
    if root.op_type in NORMALISERS and not sites[0].worth:
        return None
    opset, first = context.opset_of(root.graph), sites[0]
    if opset < first.needs_opset:
        return Refusal(
            f"{first.operator.name} needs opset {first.needs_opset}, the model has {opset}",
            f"allow opset {first.needs_opset} (--opset {first.needs_opset}, or no cap)",
        )
    try:
        proposal = propose(context, sites)
    except RefusedError as refused:
        return refused.refusal
    result = commit(proposal, summary=summary(proposal))
    return result if isinstance(result, Refusal) else None


def _name(root: ir.Node) -> str:
    return str(root.outputs[0].name)
