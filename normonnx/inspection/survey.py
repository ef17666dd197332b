"""The sites of a model: what the pipeline would rewrite, what it would leave, what is done already.

The pipeline runs on a copy, as `optimize` does, except that it reads no large weight: where only
that stands in the way, the rewrite counts as one that would be made.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir
from msgspec.structs import replace

from normonnx import pipeline
from normonnx.affine.absorb import ABSORB
from normonnx.affine.feed import FEED
from normonnx.facts import facts_of
from normonnx.graph.interface import required_inputs
from normonnx.graph.nesting import walk
from normonnx.inspection import parameters
from normonnx.inspection.parameters import Parameters
from normonnx.inspection.ports import ports
from normonnx.inspection.scopes import owners_of, scope_of
from normonnx.journal import NearMiss, Rewrite
from normonnx.norm.match.recognise import find_sites
from normonnx.norm.match.site import NormSite
from normonnx.operators.names import norm_name, onnx_name
from normonnx.ops.operators import OPERATORS
from normonnx.options import Options
from normonnx.pipeline import Outcome
from normonnx.report import Inspection, Site
from normonnx.report.inspected import FUSED
from normonnx.steps import InlineFunctions, Workspace
from normonnx.values.unread import is_left_unread

_KIND_OF_OPERATOR = {
    "BatchNormalization": "BatchNorm",
    **{name: "RMSNorm" if one.rms else "LayerNorm" for name, one in OPERATORS.items()},
    "GroupNorm": "GroupNorm",
    "GroupNormalization": "GroupNorm",
    "InstanceNormalization": "InstanceNorm",
    "LayerNormalization": "LayerNorm",
    "LpNormalization": "LpNorm",
    "MeanVarianceNormalization": "InstanceNorm",
    "RMSNormalization": "RMSNorm",
    "SimplifiedLayerNormalization": "RMSNorm",
    "SkipGroupNorm": "GroupNorm",
    "SkipLayerNormalization": "LayerNorm",
    "SkipSimplifiedLayerNormalization": "RMSNorm",
}
_KIND_OF_RULE = {
    "NX005": "parallel branches",
    "NX101": "LayerNorm",
    "NX102": "RMSNorm",
    "NX103": "GroupNorm",
    "NX104": "InstanceNorm",
}
_NAMES = {**_KIND_OF_OPERATOR, "norm": "like a norm"}
_LAYERS = (frozenset(ABSORB) | frozenset(FEED)) - frozenset(_KIND_OF_OPERATOR)
_NO_RULE = "no rule takes it"


def survey(model: ir.Model, name: str, options: Options) -> Inspection:
    """List every normalisation of a model.

    Args:
        model: any valid model; never changed, and its large external weights are not read.
        name: what to call it.
        options: what may be written and assumed.
    """
    options = replace(options, simplify=False)  # which is about no norm, and reads all weights
    outcome = pipeline.run(model, options, read_large=False)
    return Inspection(
        name,
        facts_of(model),
        tuple(_Survey(model, options, outcome).sites()),
        outcome.notes,
        ports(required_inputs(model)),
        ports(model.graph.outputs),
        dict(model.opset_imports),
    )


class _Survey:
    """The original model, and what the pipeline did with a copy of it."""

    def __init__(self, model: ir.Model, options: Options, outcome: Outcome) -> None:
        original = model.clone()
        work = Workspace(original, options, read_large=False)
        work.run([InlineFunctions(work)])
        self._context = work.context
        self._owners = owners_of(original)
        self._journal = outcome.journal
        self._norms = {site.key: site for site in find_sites(self._context)}
        self._nodes: list[ir.Node] = []
        self._by_output: dict[str, ir.Node] = {}
        self._by_name: dict[str, ir.Node] = {}
        for body in (original.graph, *(f.graph for f in original.functions.values())):
            for node in walk(body):
                self._nodes.append(node)
                if node.name:
                    self._by_name.setdefault(node.name, node)
                self._by_output.update({str(out.name): node for out in node.outputs})

    def sites(self) -> list[Site]:
        """All of them, in the order of the model's nodes."""
        found: dict[ir.Node | str, Site] = {}
        for rewrite in self._journal.rewrites:
            for gone, site in self._rewritten(rewrite):
                found.setdefault(gone, site)
        for miss in self._journal.near_misses.values():
            kept = self._node(miss.key, miss.site)
            found.setdefault(kept or miss.key, self._missed(miss, kept))
        for node in self._nodes:
            if node not in found and norm_name(node) in _KIND_OF_OPERATOR:
                found[node] = self._operator(node)
        place: dict[ir.Node | str, int] = {node: i for i, node in enumerate(self._nodes)}
        return [found[key] for key in sorted(found, key=lambda k: place.get(k, len(place)))]

    def _node(self, key: str, name: str) -> ir.Node | None:
        """The node of the original that a rewrite or near miss is about."""
        return self._by_name.get(name) or self._by_output.get(key.partition(":")[2])

    def _rewritten(self, rewrite: Rewrite) -> Iterator[tuple[ir.Node, Site]]:
        """The norms that a rewrite takes away; none where it goes on with an earlier one's work."""
        gone = [
            self._by_name[name]
            for operator, name in rewrite.removed
            if operator == "BatchNormalization" and name in self._by_name
        ]
        site = self._node(rewrite.key, rewrite.site)
        for node in dict.fromkeys([*([] if site is None else [site]), *gone]):
            found = Site(
                rewrite.rule,
                _KIND_OF_RULE.get(rewrite.rule) or _kind_of(node),
                _name(node),
                rewritten=True,
                outcome=rewrite.summary,
                verdict=_verdict(rewrite),
            )
            yield node, self._filled(found, node, self._norms.get(rewrite.key))

    def _missed(self, miss: NearMiss, node: ir.Node | None) -> Site:
        taker = _taker(miss, node) if is_left_unread(miss.reason) else ""
        kind = _NAMES.get(miss.kind, miss.kind)
        if node is not None and norm_name(node) in _KIND_OF_OPERATOR:
            kind = _kind_of(node)
        return self._filled(
            Site(
                miss.rule,
                kind,
                miss.site,
                rewritten=bool(taker),
                outcome=miss.reason,
                remedy="" if taker else miss.remedy,
                verdict=f"folds into {taker}" if taker else "stays",
            ),
            node,
            self._norms.get(miss.key),
        )

    def _operator(self, node: ir.Node) -> Site:
        is_batch = onnx_name(node) == "BatchNormalization"
        return self._filled(
            Site(
                "",
                _kind_of(node),
                _name(node),
                rewritten=False,
                outcome=_NO_RULE if is_batch else "one operator already",
                verdict="stays" if is_batch else FUSED,
            ),
            node,
            None,
        )

    def _filled(self, site: Site, node: ir.Node | None, norm: NormSite | None) -> Site:
        """The site with its place and parameters."""
        found = Parameters()
        if norm is not None:
            found = parameters.of_site(self._context, norm)
        elif node is not None:
            found = parameters.of_node(self._context, node)
        return site.at(
            path="" if node is None else scope_of(node, self._owners),
            form=_form(site, node),
            axes=found.axes,
            channels=found.channels,
            epsilon=found.epsilon,
            dtype=found.dtype,
        )


def _name(node: ir.Node) -> str:
    return str(node.name or node.outputs[0].name)


def _form(site: Site, node: ir.Node | None) -> str:
    if node is not None and norm_name(node) in _KIND_OF_OPERATOR:
        return "operator"
    return (
        "arithmetic" if site.kind in ("affine arithmetic", "parallel branches") else "spelled out"
    )


def _kind_of(node: ir.Node) -> str:
    """GroupNorm is written as an InstanceNormalization between two Reshapes by torch.onnx."""
    if onnx_name(node) == "InstanceNormalization" and node.inputs[0] is not None:
        readers = list(node.outputs[0].consumers())
        before = node.inputs[0].producer()
        ends = [before, *readers]
        if all(end is not None and onnx_name(end) == "Reshape" for end in ends) and readers:
            return "GroupNorm"
    return _KIND_OF_OPERATOR.get(norm_name(node), "affine arithmetic")


def _verdict(rewrite: Rewrite) -> str:
    """Such as ``folds into Conv 'conv1'``."""
    if rewrite.rule.startswith("NX1"):
        norms = [operator for operator, _ in rewrite.added if operator in _KIND_OF_OPERATOR]
        return f"fuses into {' and '.join(dict.fromkeys(norms)) or 'fewer nodes'}"
    layers = [(operator, name) for operator, name in rewrite.removed if operator in _LAYERS]
    if not layers:
        return "merges with its neighbours"
    if rewrite.rule == "NX005":
        return f"merges into one {layers[0][0]}"
    if len(layers) > 1:
        return f"folds into {len(layers)} layers"
    operator, name = layers[0]
    return f"folds into {operator} '{name}'" if name else f"folds into {operator}"


def _taker(miss: NearMiss, node: ir.Node | None) -> str:
    """The layer whose weight was left unread, by the weight's name in the reason."""
    if node is None:
        return "a layer"
    graph = node.graph
    for other in graph if isinstance(graph, ir.Graph) else ():
        if onnx_name(other) in _LAYERS and any(
            value is not None and f"'{value.name}'" in miss.reason for value in other.inputs
        ):
            return f"{other.op_type} '{_name(other)}'"
    return "a layer"
