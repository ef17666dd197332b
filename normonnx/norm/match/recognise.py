"""From a root to the norms around it: which upstream value is x, and which values to replace.

Several upstream values are tried as x, the farthest first. Every value downstream of the root that
has a normal form and fits an operator is a candidate; the one whose replacement saves most nodes is
taken, the nearest one among equals. Where several norms share their statistics (two scales, or a
value that is read elsewhere too), all of them are taken if that saves more and copies are allowed.
"""

from __future__ import annotations

import onnx_ir as ir
from msgspec import Struct, field

from normonnx.norm.algebra.interpret import Interpreter
from normonnx.norm.algebra.layout import Cuts
from normonnx.norm.algebra.polynomial import IntractableError
from normonnx.norm.algebra.rules import PART_RULES, RULES
from normonnx.norm.algebra.scalars import Scalars
from normonnx.norm.match.choose import Surroundings, choose
from normonnx.norm.match.follow import SURE, is_sure
from normonnx.norm.match.search import roots, subjects
from normonnx.norm.match.site import NormMiss, NormSite
from normonnx.rewrite import Context


def find_sites(context: Context, *, cap: int | None = None) -> list[NormSite]:
    """Every norm of the model that can be written as one operator, in the order of its graphs.

    Args:
        context: of the run; the model is only read.
        cap: the highest opset that the model may get; None for any. A function keeps its own.
    """
    functions = {id(function.graph) for function in context.model.functions.values()}
    sites: dict[ir.Value, NormSite] = {}
    for root in roots(context):
        if not isinstance(root.graph, ir.Graph):
            continue
        own = context.opset_of(root.graph) if id(root.graph) in functions else cap
        found = recognise(context, root, highest=own)
        if isinstance(found, tuple):
            sites.update({site.output: site for site in found})
    return list(sites.values())


def recognise(
    context: Context,
    root: ir.Node,
    *,
    highest: int | None = None,
    also: frozenset[str] = frozenset(),
) -> tuple[NormSite, ...] | NormMiss | None:
    """The norms around a root, or why there is none, or None where nothing looks like one.

    Args:
        context: of the run.
        root: the node.
        highest: the highest opset that its graph can have; None for any.
        also: codes of rules to use beside those of the run.
    """
    graph = root.graph
    if not isinstance(graph, ir.Graph):
        return None
    misses: list[NormMiss] = []
    surely = False
    useless: tuple[NormSite, ...] = ()
    trial = _Trial(context, graph, root, Scalars(context), highest, also)
    for subject in subjects(context, root, trial.scalars):
        found = trial.of(subject)
        if found.is_worth:
            return found.sites
        surely = surely or found.is_sure
        useless = useless or found.sites
        # Of the values that follow from the root, the farthest is what was meant.
        misses.extend(reversed(found.misses))
    told = [miss for miss in misses if miss.reason and (not surely or miss.weight >= SURE)]
    return useless or max(told, key=lambda miss: miss.weight, default=None)


class _Found(Struct):
    """What a root is with one value as x."""

    sites: tuple[NormSite, ...] = ()
    misses: list[NormMiss] = field(default_factory=list)
    is_sure: bool = False

    @property
    def is_worth(self) -> bool:
        """Whether writing it is a gain."""
        return bool(self.sites) and self.sites[0].worth


class _Trial(Struct, frozen=True):
    """A root on which one value after another is tried as x."""

    context: Context
    graph: ir.Graph
    root: ir.Node
    scalars: Scalars
    highest: int | None
    also: frozenset[str]

    def of(self, subject: ir.Value) -> _Found:
        """The root with this value as x.

        Where an axis of it was taken apart, it is looked at again with a label for each part.
        """
        found = _Found()
        cuts: Cuts | None = {}
        while cuts is not None and not found.is_worth:
            found = _Found(is_sure=found.is_sure)
            try:
                it = self._interpreter(subject, cuts)
            except IntractableError as error:
                found.misses.append(_unknown(self.context, self.root, str(error)))
                return found
            self._look(it, found)
            cuts = it.labels.wanted
        return found

    def _interpreter(self, subject: ir.Value, cuts: Cuts) -> Interpreter:
        return Interpreter(
            self.context,
            self.graph,
            subject,
            rules=RULES,
            part_rules=PART_RULES,
            scalars=self.scalars,
            cuts=cuts,
        )

    def _look(self, it: Interpreter, found: _Found) -> None:
        try:
            around = Surroundings(it, self.root, self.highest, found.misses, self.also)
            found.sites = choose(around)
            found.is_sure = found.is_sure or is_sure(it, self.root)
        except IntractableError:
            reason = next(iter(it.refusals.values()), "")
            found.misses = [NormMiss("norm", self.root, reason, weight=1)]


def _unknown(context: Context, root: ir.Node, reason: str) -> NormMiss:
    """A subject of which too little is known."""
    for function in context.model.functions.values():
        if any(root.graph is graph for graph in (function.graph, *function.subgraphs())):
            return NormMiss(
                "norm",
                root,
                f"{reason}, as the body of the function {function.domain}::{function.name} states "
                "neither shapes nor types",
                "inline the function first, as onnx.inliner does",
                0,
            )
    return NormMiss("norm", root, reason, "state the shapes of the inputs", 0)
