"""The normalisation engine: every decomposed norm that can be one operator becomes one."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.norm.recognise import OPERATOR, NormMiss, NormSite, find_sites, recognise
from normonnx.norm.search import roots
from normonnx.norm.write import propose, summary
from normonnx.rewrite import Context, Refusal, RefusedError, commit, miss

_NO_GAIN = Refusal("it would not make the graph smaller")


def wanted_opset(context: Context, *, cap: int | None = None) -> int:
    """The lowest default-domain opset that has the operators of all recognised norms.

    Args:
        context: of the run; the model is only read.
        cap: norms that would need a higher opset than this do not count.

    Returns:
        17 for LayerNorms, 23 where there are RMSNorms too, 0 where there is nothing to write.
    """
    # A function has an opset of its own, which raising the model's does not touch.
    functions = {function.graph for function in context.model.functions.values()}
    wanted = [
        site.needs_opset
        for site in find_sites(context)
        if site.saves > 0 and site.root.graph not in functions
    ]
    return max((opset for opset in wanted if cap is None or opset <= cap), default=0)


def fuse_norms(context: Context) -> None:
    """Write every norm of the model as one operator, and note why where one stays as it is."""
    missed: list[NormMiss] = []
    for root in roots(context):
        found = recognise(context, root)  # None where it has gone with a norm before it
        if isinstance(found, NormMiss):
            missed.append(found)
        elif found is not None:
            missed.extend(filter(None, [_fuse(context, site) for site in found]))
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


def _fuse(context: Context, site: NormSite) -> NormMiss | None:
    refusal = _refusal(context, site)
    if refusal is None:
        for rule in ("NX101", "NX102"):
            context.journal.near_misses.pop(f"{rule}:{_name(site.root)}", None)
        return None
    return NormMiss(site.kind, site.root, refusal.reason, refusal.remedy)


def _refusal(context: Context, site: NormSite) -> Refusal | None:
    """Write the site, or say why not."""
    assert isinstance(site.root.graph, ir.Graph)
    opset = context.opset_of(site.root.graph)
    if opset < site.needs_opset:
        return Refusal(
            f"{OPERATOR[site.kind]} needs opset {site.needs_opset}, the model has {opset}",
            f"allow opset {site.needs_opset} (--opset {site.needs_opset}, or no cap)",
        )
    if site.saves <= 0:
        return _NO_GAIN
    try:
        proposal = propose(context, site)
        result = commit(proposal, summary=summary(site, proposal))
    except RefusedError as refused:
        return refused.refusal
    return result if isinstance(result, Refusal) else None


def _name(root: ir.Node) -> str:
    return str(root.outputs[0].name)
