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
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from normonnx.norm.attach import Place, attach, shape_of
from normonnx.norm.gain import dying, is_read_beyond
from normonnx.norm.interpret import Interpreter
from normonnx.norm.normal_form import Mismatch, NormalForm, normal_form
from normonnx.norm.polynomial import IntractableError
from normonnx.norm.rules import RULES
from normonnx.norm.scalars import Scalars
from normonnx.norm.search import roots, subjects
from normonnx.norm.site import OPERATOR, NormMiss, NormSite
from normonnx.norm.source import find_source
from normonnx.rewrite import Context

_MAX_FOLLOWED = 40

_SURE = 10
"""Weight of a near miss whose subject is surely the right one; then no other subject counts."""

_EPSILON = {ir.DataType.DOUBLE: 1e-9}
"""How far epsilon may be from a float32 number, by type; 1e-6 in the others."""


def find_sites(context: Context) -> list[NormSite]:
    """Every norm of the model that can be written as one operator, in the order of its graphs."""
    sites: dict[ir.Value, NormSite] = {}
    for root in roots(context):
        found = recognise(context, root)
        if isinstance(found, tuple):
            sites.update({site.output: site for site in found})
    return list(sites.values())


def recognise(context: Context, root: ir.Node) -> tuple[NormSite, ...] | NormMiss | None:
    """The norms around a root, or why there is none, or None where nothing looks like one."""
    graph = root.graph
    if not isinstance(graph, ir.Graph):
        return None
    misses: list[NormMiss] = []
    surely = False
    useless: tuple[NormSite, ...] = ()
    scalars = Scalars(context.constants)
    for subject in subjects(context, root, scalars):
        own: list[NormMiss] = []
        try:
            it = Interpreter(context, graph, subject, rules=RULES, scalars=scalars)
        except IntractableError as error:
            misses.append(NormMiss("norm", root, str(error), "state the shapes of the inputs", 0))
            continue
        try:
            norms = _norms(it, root, own)
        except IntractableError:
            reason = next(iter(it.refusals.values()), "")
            misses.append(NormMiss("norm", root, reason, weight=1))
            continue
        surely = surely or _is_sure(it, root)
        chosen = _chosen(it, root, norms, own)
        if chosen and chosen[0].saves > 0:
            return chosen
        useless = useless or chosen
        # Of the values that follow from the root, the farthest is what was meant.
        misses.extend(reversed(own))
    told = [miss for miss in misses if miss.reason and (not surely or miss.weight >= _SURE)]
    return useless or max(told, key=lambda miss: miss.weight, default=None)


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
    return NormMiss("norm", root, reasons[0] if reasons else mismatch.reason, weight=weight)


def _is_sure(it: Interpreter, root: ir.Node) -> bool:
    """Whether the root is one of moments of the subject, all of it understood."""
    own = it.form(root.outputs[0]).poly
    return it.algebra.has_second_moment(own) and not it.algebra.refused(own)


def _site(
    it: Interpreter, root: ir.Node, output: ir.Value, norm: NormalForm
) -> NormSite | NormMiss:
    def miss(reason: str, remedy: str = "") -> NormMiss:
        return NormMiss(norm.kind, root, reason, remedy, weight=_SURE + 5)

    length = it.labels.length(sorted(norm.over))
    if norm.kind == "RMSNorm" and length is not None and length > 1:
        made_up = any(math.isclose(abs(c), 1.0, rel_tol=1e-5) for c in norm.scale.values())
        if math.isclose(norm.root_scale, length, rel_tol=1e-5) and not made_up:
            return miss("it divides by the root of a sum of squares, not of their mean (L2 norm)")
    source = find_source(it, root, output, norm.over)
    if isinstance(source, str):
        return miss(source)
    error = abs(float(np.float32(norm.epsilon)) - norm.epsilon)
    if error > _EPSILON.get(source.dtype, 1e-6) * norm.epsilon:
        return miss(
            f"epsilon {norm.epsilon!r} is no float32 number, and {OPERATOR[norm.kind]} holds it "
            f"as one, in a {source.dtype.name.lower()} graph",
            "choose an epsilon that is, such as a power of two",
        )
    wide = source.dtype in (ir.DataType.FLOAT, ir.DataType.DOUBLE)
    statistics = it.context.shapes.dtype(root.outputs[0])
    place = Place(
        source.plan.groups,
        source.plan.first,
        source.dtype,
        exactly=not wide and statistics != source.dtype,
    )
    affine = attach(it, place, it.form(output).groups, norm.scale, norm.bias)
    if isinstance(affine, str):
        if shape_of(it, place) is None:
            return miss(
                "the length of the normalised axes is not static",
                "give the model's inputs fixed sizes there",
            )
        return miss(affine)
    own = it.form(source.value).groups
    site = NormSite(
        kind=norm.kind,
        root=root,
        x=source.value,
        output=output,
        axes=tuple(axis for axis, group in enumerate(own) if norm.over.intersection(group)),
        epsilon=norm.epsilon,
        source=source,
        affine=affine,
    )
    return replace(site, saves=dying([output], site.reads) - site.nodes)


def _chosen(
    it: Interpreter, root: ir.Node, norms: dict[ir.Value, NormalForm], misses: list[NormMiss]
) -> tuple[NormSite, ...]:
    """The site that saves most, or all the norms that leave the region, if they save more.

    A norm whose scale or bias differs by row is only looked at if there is no other: what
    multiplies or is added stays a node of its own either way.
    """
    plain = {value: norm for value, norm in norms.items() if not _is_modulated(it, norm)}
    for pool in (plain, norms):
        leaving = [value for value in pool if is_read_beyond(value, pool.keys())]
        # One value leaves, and nothing need stand beside the operator: there is nothing better.
        candidates = leaving if len(leaving) == 1 else list(pool)
        sites = _sites(it, root, pool, candidates, misses)
        if len(leaving) == 1 and not any(site.nodes == 1 for site in sites):
            others = [value for value in pool if value not in candidates]
            sites += _sites(it, root, pool, others, misses)
            sites.sort(key=lambda site: list(pool).index(site.output))  # the nearest first
        if not sites:
            continue
        best = max(sites, key=lambda site: site.saves)
        ends = [site for site in sites if site.output in leaving]
        if len(ends) > 1 and _together(ends) > best.saves:
            return tuple(ends)
        return (best,)
    return ()


def _sites(
    it: Interpreter,
    root: ir.Node,
    norms: dict[ir.Value, NormalForm],
    values: list[ir.Value],
    misses: list[NormMiss],
) -> list[NormSite]:
    found = [_site(it, root, value, norms[value]) for value in values]
    misses.extend(miss for miss in found if isinstance(miss, NormMiss))
    return [site for site in found if isinstance(site, NormSite)]


def _together(sites: list[NormSite]) -> int:
    """What is saved if all the sites are written."""
    kept = frozenset[ir.Value]().union(*(site.reads for site in sites))
    return dying([site.output for site in sites], kept) - sum(site.nodes for site in sites)
