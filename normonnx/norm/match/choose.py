"""Of the norms around a root, those to replace: what saves most nodes."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir
from msgspec import Struct
from msgspec.structs import replace

from normonnx.norm.algebra.interpret import Interpreter
from normonnx.norm.algebra.normal_form import NormalForm
from normonnx.norm.match.candidates import candidates
from normonnx.norm.match.fit import fit
from normonnx.norm.match.follow import is_modulated, norms_behind
from normonnx.norm.match.savings import dying, is_read_beyond
from normonnx.norm.match.search import NORMALISERS
from normonnx.norm.match.site import NormMiss, NormSite
from normonnx.targets import NormOperator
from normonnx.targets.fused import FIRST_BODY


class Surroundings(Struct, frozen=True):
    """What is looked at around a root.

    Attributes:
        it: the values of the graph as polynomials in one subject.
        root: the node.
        highest: the highest opset that the graph can have; None for any.
        misses: where near misses are noted.
        also: codes of rules to use beside those of the run.
        taken_back: rules whose norm of these values the judge took back.
    """

    it: Interpreter
    root: ir.Node
    highest: int | None
    misses: list[NormMiss]
    also: frozenset[str]
    taken_back: frozenset[str] = frozenset()

    def sites(self, norms: Mapping[ir.Value, NormalForm], values: list[ir.Value]) -> list[NormSite]:
        """Those of the values that can be written."""
        found = [self._site(value, norms[value]) for value in values]
        return [site for site in found if site is not None]

    def _site(self, output: ir.Value, norm: NormalForm) -> NormSite | None:
        """The norm as the operator that saves most, of equals the first."""
        found = [
            fit(self.it, self.root, output, norm, operator) for operator in self._operators(norm)
        ]
        sites = [site for site in found if isinstance(site, NormSite) and self._has(site)]
        if not sites:
            self.misses.extend([miss for miss in found if isinstance(miss, NormMiss)][:1])
            return None
        return max(sites, key=lambda site: site.saves)

    def _has(self, site: NormSite) -> bool:
        """Whether the graph can have the opset; where it can have no function, that is told."""
        highest = self.highest
        return highest is None or highest < FIRST_BODY or site.needs_opset <= highest

    def _operators(self, norm: NormalForm) -> list[NormOperator]:
        """An image is no row: what is made for images comes first there, and else not at all.

        An image has several axes to normalise, or a scale of its own for each channel; or it is
        written as one already. What the judge took back as an image is tried as rows.
        """
        found = candidates(self.it.context, norm.kind, self.highest, also=self.also)
        rows = [operator for operator in found if not operator.is_for_images]
        images = [
            operator
            for operator in found
            if operator.is_for_images and operator.rule not in self.taken_back
        ]
        if len(norm.over) > 1:
            return [*images, *rows]
        plain = all(not monomial for poly in (norm.scale, norm.bias) for monomial in poly)
        return rows if plain and self.root.op_type not in NORMALISERS else [*rows, *images]


def choose(around: Surroundings) -> tuple[NormSite, ...]:
    """The site that saves most, or all the norms that leave the region, if they are asked for.

    A norm whose scale or bias differs by row is only looked at if there is no other: what
    multiplies or is added stays a node of its own either way.
    """
    it = around.it
    norms = norms_behind(it, around.root, around.misses)
    around = replace(around, taken_back=_taken_back(it, norms))
    plain = {value: norm for value, norm in norms.items() if not is_modulated(it, norm)}
    for pool in (plain, norms):
        leaving = [value for value in pool if is_read_beyond(value, pool.keys())]
        sites = _sites(around, pool, leaving)
        if sites:
            return _best(sites, leaving, apart=it.context.allow_duplicate)
    return ()


def _taken_back(it: Interpreter, norms: Mapping[ir.Value, NormalForm]) -> frozenset[str]:
    """The rules of rewrites of these values that the run is told to skip."""
    names = {value.name for value in norms}
    skipped = [key.split(":", 1) for key in it.context.journal.skip]
    return frozenset(rule for rule, name in skipped if name in names)


def _sites(
    around: Surroundings, pool: Mapping[ir.Value, NormalForm], leaving: list[ir.Value]
) -> list[NormSite]:
    """The values of the pool that can be written, the nearest to the root first.

    Where one value leaves, and nothing need stand beside the operator, there is nothing better.
    """
    if len(leaving) != 1:
        return around.sites(pool, list(pool))
    sites = around.sites(pool, leaving)
    if any(site.nodes == 1 for site in sites):
        return sites
    sites += around.sites(pool, [value for value in pool if value not in leaving])
    order = list(pool)
    return sorted(sites, key=lambda site: order.index(site.output))


def _best(sites: list[NormSite], leaving: list[ir.Value], *, apart: bool) -> tuple[NormSite, ...]:
    """The site that saves most, or all that leave where they save more and may be written apart."""
    best = max(sites, key=lambda site: site.saves)
    ends = [site for site in sites if site.output in leaving]
    together = _together(ends) if apart and len(ends) > 1 else 0
    if together > best.saves:
        return tuple(replace(site, residual=None, saves=together) for site in ends)
    return (best,)


def _together(sites: list[NormSite]) -> int:
    """What is saved if all the sites are written."""
    kept = frozenset[ir.Value]().union(*(site.reads for site in sites))
    return dying([out for site in sites for out in site.outputs], kept) - sum(
        site.nodes for site in sites
    )
