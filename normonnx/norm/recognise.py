"""From a root to the norms around it: which values have a normal form, and which to replace.

Several upstream values are tried as x, the farthest first. Every value downstream of the root that
has a normal form and fits the operator is a candidate; the one whose replacement saves most nodes
is taken, the nearest one among equals. Where several norms share their statistics (two scales, or a
value that is read elsewhere too), all of them are taken if that saves more.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import onnx_ir as ir
from msgspec import Struct
from msgspec.structs import replace

from normonnx.norm.attach import Affine, Operand, Place, attach, shape_of
from normonnx.norm.gain import dead, dying, is_read_beyond
from normonnx.norm.interpret import Interpreter
from normonnx.norm.layout import Cuts
from normonnx.norm.normal_form import Mismatch, NormalForm, normal_form
from normonnx.norm.operators import FIRST_BODY, GROUP, SPATIAL, Operator, candidates
from normonnx.norm.polynomial import IntractableError
from normonnx.norm.residual import find_residual
from normonnx.norm.rules import RULES
from normonnx.norm.scalars import Scalars
from normonnx.norm.search import NORMALISERS, roots, subjects
from normonnx.norm.site import NormMiss, NormSite
from normonnx.norm.source import find_source
from normonnx.rewrite import Context

_MAX_FOLLOWED = 40

_SURE = 10
"""Weight of a near miss whose subject is surely the right one; then no other subject counts."""

_LENGTH = "it divides by the root of a sum of squares, not of their mean (L2 norm)"

_MAX_SPREAD = 1 << 14
"""How many numbers the scale and bias may get that save a few nodes around an operator."""

_EPSILON = {ir.DataType.DOUBLE: 1e-9}
"""How far epsilon may be from a float32 number, by type; 1e-6 in the others."""


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
    scalars = Scalars(context)
    for subject in subjects(context, root, scalars):
        chosen: tuple[NormSite, ...] = ()
        own: list[NormMiss] = []
        cuts: Cuts | None = {}
        while cuts is not None:
            chosen, own = (), []
            try:
                it = Interpreter(context, graph, subject, rules=RULES, scalars=scalars, cuts=cuts)
            except IntractableError as error:
                misses.append(_unknown(context, root, str(error)))
                break
            try:
                chosen = _chosen(_Around(it, root, highest, own, also))
                surely = surely or _is_sure(it, root)
            except IntractableError:
                own = [NormMiss("norm", root, next(iter(it.refusals.values()), ""), weight=1)]
            if chosen and chosen[0].worth:
                return chosen
            # Where an axis of the subject was taken apart, look again with a label for each part.
            cuts = it.labels.wanted
        useless = useless or chosen
        # Of the values that follow from the root, the farthest is what was meant.
        misses.extend(reversed(own))
    told = [miss for miss in misses if miss.reason and (not surely or miss.weight >= _SURE)]
    return useless or max(told, key=lambda miss: miss.weight, default=None)


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


def _norms(it: Interpreter, root: ir.Node, misses: list[NormMiss]) -> dict[ir.Value, NormalForm]:
    """Which of the values that follow from the root have a normal form, the nearest first."""
    norms: dict[ir.Value, NormalForm] = {}
    pending = [root.outputs[0]]
    seen = set(pending)
    for value in itertools.islice(_drain(pending), _MAX_FOLLOWED):
        norm = normal_form(it.algebra, it.form(value).poly)
        if isinstance(norm, Mismatch):
            misses.append(_mismatch(it, root, norm))
        elif norm is not None:
            norms[value] = norm
            if _is_modulated(it, norm):
                continue
        for node in value.consumers():
            out = node.outputs[0] if node.outputs else value
            if node.graph is not it.graph or out in seen:
                continue
            seen.add(out)
            if it.rooted(out):
                pending.append(out)
            elif out in it.refusals:
                misses.append(_mismatch(it, root, Mismatch("", (out,))))
    return norms


def _is_modulated(it: Interpreter, norm: NormalForm) -> bool:
    """Whether scale or bias have a part that no operator takes: one that differs by row."""
    return it.is_modulated(norm.scale, norm.over) or it.is_modulated(norm.bias, norm.over)


def _drain(pending: list[ir.Value]) -> Iterator[ir.Value]:
    while pending:
        yield pending.pop(0)


def _mismatch(it: Interpreter, root: ir.Node, mismatch: Mismatch) -> NormMiss:
    """A near miss: the heavier, the surer it is that the subject was the right one."""
    reasons = [it.refusals[value] for value in mismatch.blamed if value in it.refusals]
    weight = 2 if mismatch.weak else 3 if mismatch.blamed else 4
    weight += _SURE if _is_sure(it, root) else 0
    reason = reasons[0] if reasons else mismatch.reason
    if reasons and _is_length(it, root):
        reason = f"{_LENGTH}; and {reason}"
    return NormMiss("norm", root, reason, weight=weight)


def _is_length(it: Interpreter, root: ir.Node) -> bool:
    """Whether the root is √(N·q), or its inverse: the length of a row, with nothing added."""
    squared = it.algebra.squared_length(it.form(root.outputs[0]).poly)
    if squared is None:
        return False
    moment, factor = squared
    length = it.labels.length(sorted(moment.over))
    return length is not None and length > 1 and math.isclose(factor, length, rel_tol=1e-5)


def _is_sure(it: Interpreter, root: ir.Node) -> bool:
    """Whether the root is one of moments of the subject, all of it understood."""
    own = it.form(root.outputs[0]).poly
    return it.algebra.has_second_moment(own) and not it.algebra.refused(own)


class _Around(Struct, frozen=True):
    """What is looked at around a root: how it is read, what may be written, what was missed."""

    it: Interpreter
    root: ir.Node
    highest: int | None
    misses: list[NormMiss]
    also: frozenset[str]
    taken_back: frozenset[str] = frozenset()

    def site(self, output: ir.Value, norm: NormalForm) -> NormSite | None:
        """The norm as the operator that saves most, of equals the first."""
        found = [
            _site(self.it, self.root, output, norm, operator) for operator in self._operators(norm)
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

    def _operators(self, norm: NormalForm) -> list[Operator]:
        """An image is no row: what is made for images comes first there, and else not at all.

        An image has several axes to normalise, or a scale of its own for each channel; or it is
        written as one already. What the judge took back as an image is tried as rows.
        """
        found = candidates(self.it.context, norm.kind, self.highest, also=self.also)
        images = [
            operator
            for operator in found
            if operator in SPATIAL and operator.rule not in self.taken_back
        ]
        rows = [operator for operator in found if operator not in SPATIAL]
        if len(norm.over) > 1:
            return [*images, *rows]
        plain = all(not monomial for poly in (norm.scale, norm.bias) for monomial in poly)
        return rows if plain and self.root.op_type not in NORMALISERS else [*rows, *images]

    def sites(self, norms: dict[ir.Value, NormalForm], values: list[ir.Value]) -> list[NormSite]:
        """Those of the values that can be written."""
        found = [self.site(value, norms[value]) for value in values]
        return [site for site in found if site is not None]


def _site(
    it: Interpreter, root: ir.Node, output: ir.Value, norm: NormalForm, operator: Operator
) -> NormSite | NormMiss:
    def miss(reason: str, remedy: str = "") -> NormMiss:
        return NormMiss(operator.title, root, reason, remedy, weight=_SURE + 5)

    length = it.labels.length(sorted(norm.over))
    if norm.kind == "RMSNorm" and length is not None and length > 1:
        made_up = any(math.isclose(abs(c), 1.0, rel_tol=1e-5) for c in norm.scale.values())
        if math.isclose(norm.root_scale, length, rel_tol=1e-5) and not made_up:
            return miss(_LENGTH)
    source = find_source(it, root, output, norm.over, operator)
    if isinstance(source, str):
        return miss(source)
    seat = source.plan.seat
    groups = it.labels.length(seat.groups) if operator is GROUP else 0
    if groups is None:
        return miss("the number of groups is not static")
    error = abs(float(np.float32(norm.epsilon)) - norm.epsilon)
    if error > _EPSILON.get(source.dtype, 1e-6) * norm.epsilon:
        return miss(
            f"epsilon {norm.epsilon!r} is no float32 number, and an attribute can only hold it "
            f"as one, in a {source.dtype.name.lower()} graph",
            "choose an epsilon that is, such as a power of two",
        )
    wide = source.dtype in (ir.DataType.FLOAT, ir.DataType.DOUBLE)
    statistics = it.context.shapes.dtype(root.outputs[0])
    place = Place(seat.span, source.dtype, exactly=not wide and statistics != source.dtype)
    affine = attach(it, place, it.form(output).groups, norm.scale, norm.bias)
    shape = shape_of(it, place)
    if isinstance(affine, str):
        if shape is None:
            return miss(
                "the length of the normalised axes is not static",
                "give the model's inputs fixed sizes there",
            )
        return miss(affine)
    residual = find_residual(it.context, operator, source, shape) if _is_fixed(affine) else None
    if affine.bias is None and (operator.needs_bias or (residual and operator.takes_bias)):
        if shape is None:
            return miss("the length of its scale is not static")
        affine = replace(affine, bias=Operand(array=np.zeros(shape)))
    if root.op_type in NORMALISERS and _spread_out(affine) > _MAX_SPREAD:
        return miss(f"its scale would have to be spread over {_spread_out(affine)} numbers")
    own = it.form(source.value).groups
    site = NormSite(
        operator=operator,
        root=root,
        x=source.value,
        output=output,
        axes=tuple(axis for axis, group in enumerate(own) if norm.over.intersection(group)),
        epsilon=norm.epsilon,
        source=source,
        affine=affine,
        groups=groups,
        residual=residual,
    )
    if residual is not None:
        goes = residual.total.producer() in dead([output], site.reads)
        site = replace(site, residual=replace(residual, is_read=not goes))
    return replace(site, saves=dying(site.outputs, site.reads) - site.nodes)


def _spread_out(affine: Affine) -> int:
    """How many numbers a new scale and bias have."""
    operands = [operand for operand in (affine.scale, affine.bias) if operand is not None]
    return sum(operand.array.size for operand in operands if operand.array is not None)


def _is_fixed(affine: Affine) -> bool:
    """Whether scale and bias are constants, which are there wherever the operator is put."""
    operands = [operand for operand in (affine.scale, affine.bias) if operand is not None]
    return all(o.value is None or o.value.producer() is None for o in operands)


def _chosen(around: _Around) -> tuple[NormSite, ...]:
    """The site that saves most, or all the norms that leave the region, if they save more.

    A norm whose scale or bias differs by row is only looked at if there is no other: what
    multiplies or is added stays a node of its own either way.
    """
    it = around.it
    norms = _norms(it, around.root, around.misses)
    skipped = [key.split(":", 1) for key in it.context.journal.skip]
    names = {value.name for value in norms}
    taken_back = frozenset(rule for rule, name in skipped if name in names)
    around = replace(around, taken_back=taken_back)
    plain = {value: norm for value, norm in norms.items() if not _is_modulated(it, norm)}
    for pool in (plain, norms):
        leaving = [value for value in pool if is_read_beyond(value, pool.keys())]
        # One value leaves, and nothing need stand beside the operator: there is nothing better.
        ends_first = leaving if len(leaving) == 1 else list(pool)
        sites = around.sites(pool, ends_first)
        if len(leaving) == 1 and not any(site.nodes == 1 for site in sites):
            others = [value for value in pool if value not in ends_first]
            sites += around.sites(pool, others)
            sites.sort(key=lambda site: list(pool).index(site.output))  # the nearest first
        if not sites:
            continue
        best = max(sites, key=lambda site: site.saves)
        ends = [site for site in sites if site.output in leaving]
        if len(ends) > 1 and _together(ends) > best.saves:
            return tuple(replace(site, residual=None) for site in ends)
        return (best,)
    return ()


def _together(sites: list[NormSite]) -> int:
    """What is saved if all the sites are written."""
    kept = frozenset[ir.Value]().union(*(site.reads for site in sites))
    return dying([out for site in sites for out in site.outputs], kept) - sum(
        site.nodes for site in sites
    )
