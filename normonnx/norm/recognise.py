"""From a root to the norms around it: which values have a normal form, and which to replace.

Several upstream values are tried as x, the farthest first. Every value downstream of the root that
has a normal form and fits the operator is a candidate; the one whose replacement saves most nodes
is taken, the nearest one among equals. Where several norms share their statistics (two scales, or a
value that is read elsewhere too), all of them are taken if that saves more.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from normonnx.norm.algebra import IntractableError, X
from normonnx.norm.attach import Affine, Place, attach, shape_of
from normonnx.norm.interpret import Interpreter
from normonnx.norm.layout import Groups
from normonnx.norm.normal_form import Kind, Mismatch, NormalForm, normal_form
from normonnx.norm.place import Plan, plan
from normonnx.norm.rules import RULES
from normonnx.norm.search import is_root, subjects
from normonnx.rewrite import Context

RULE = {"LayerNorm": "NX101", "RMSNorm": "NX102"}
OPERATOR = {"LayerNorm": "LayerNormalization", "RMSNorm": "RMSNormalization"}
NEEDED_OPSET = {"LayerNorm": 17, "RMSNorm": 23}

_MAX_FOLLOWED = 40

_STATISTICS = {
    ir.DataType.FLOAT16: {ir.DataType.FLOAT16, ir.DataType.FLOAT},
    ir.DataType.BFLOAT16: {ir.DataType.BFLOAT16, ir.DataType.FLOAT},
    ir.DataType.FLOAT: {ir.DataType.FLOAT},
    ir.DataType.DOUBLE: {ir.DataType.DOUBLE},
}
"""In which types the original may compute mean and root, by the type of the operator."""

_EPSILON = {ir.DataType.DOUBLE: 1e-9}
"""How far epsilon may be from a float32 number, by type; 1e-6 in the others."""


@dataclass(frozen=True, slots=True)
class NormSite:
    """A norm that can be written as one operator.

    Attributes:
        kind: LayerNorm or RMSNorm.
        root: the node that takes its root.
        x: the value that is normalised.
        output: the value that is replaced.
        axes: the normalised axes of x.
        epsilon: e, in float64.
        dtype: the type of x and of the output.
        affine: scale and bias.
        plan: the layout of the operator and the transposes around it.
        shape: of the scale, None where the scale is a runtime value.
        saves: nodes that go less nodes that come.
    """

    kind: Kind
    root: ir.Node
    x: ir.Value
    output: ir.Value
    axes: tuple[int, ...]
    epsilon: float
    dtype: ir.DataType
    affine: Affine
    plan: Plan
    shape: tuple[int, ...] | None
    saves: int

    @property
    def rule(self) -> str:
        """The code of its rule."""
        return RULE[self.kind]

    @property
    def key(self) -> str:
        """The key of its rewrite."""
        return f"{self.rule}:{self.output.name}"

    @property
    def needs_opset(self) -> int:
        """The first opset that has its operator."""
        return NEEDED_OPSET[self.kind]


@dataclass(frozen=True, slots=True)
class NormMiss:
    """A root whose surroundings look like a norm and are none that can be written.

    Attributes:
        kind: what it looks like.
        root: the node.
        reason: one sentence.
        remedy: what the user could do, or "".
        weight: how near it comes; of several reasons the heaviest counts.
    """

    kind: str
    root: ir.Node
    reason: str
    remedy: str = ""
    weight: int = 1

    @property
    def rule(self) -> str:
        """The code of the rule that nearly fired."""
        return RULE.get(self.kind, "NX101")

    @property
    def key(self) -> str:
        """The key of the near miss."""
        return f"{self.rule}:{self.root.outputs[0].name}"


def find_sites(context: Context) -> list[NormSite]:
    """Every norm of the model that can be written as one operator, in the order of its graphs."""
    sites: dict[ir.Value, NormSite] = {}
    for graph in context.graphs():
        for node in graph:
            if is_root(context, node):
                found = recognise(context, node)
                if isinstance(found, tuple):
                    sites.update({site.output: site for site in found})
    return list(sites.values())


def recognise(context: Context, root: ir.Node) -> tuple[NormSite, ...] | NormMiss | None:
    """The norms around a root, or why there is none, or None where nothing looks like one."""
    graph = root.graph
    if not isinstance(graph, ir.Graph):
        return None
    nearest: NormMiss | None = None
    useless: tuple[NormSite, ...] = ()
    for subject in subjects(context, root):
        try:
            it = Interpreter(context, graph, subject, rules=RULES)
            it.form(root.outputs[0])
        except IntractableError:
            continue
        sites: list[NormSite] = []
        for found in _candidates(it, root):
            if isinstance(found, NormSite):
                sites.append(found)
            elif nearest is None or found.weight > nearest.weight:
                nearest = found
        if sites:
            chosen = _chosen(sites)
            if chosen[0].saves > 0:
                return chosen
            useless = useless or chosen
    return useless or nearest


def _candidates(it: Interpreter, root: ir.Node) -> Iterator[NormSite | NormMiss]:
    """What the values that follow from the root are, the nearest first."""
    pending = [root.outputs[0]]
    seen = set(pending)
    for value in itertools.islice(_drain(pending), _MAX_FOLLOWED):
        form = it.form(value)
        norm = normal_form(it.algebra, form.poly)
        if isinstance(norm, Mismatch):
            yield _mismatch(it, root, norm)
        elif norm is not None:
            yield _site(it, root, value, form.groups, norm)
            if it.varies_outside({**norm.scale, **norm.bias}):
                continue
        for node in value.consumers():
            out = node.outputs[0] if node.outputs else value
            if node.graph is it.graph and out not in seen and it.rooted(out):
                seen.add(out)
                pending.append(out)


def _drain(pending: list[ir.Value]) -> Iterator[ir.Value]:
    while pending:
        yield pending.pop(0)


def _mismatch(it: Interpreter, root: ir.Node, mismatch: Mismatch) -> NormMiss:
    reasons = [it.refusals[value] for value in mismatch.blamed if value in it.refusals]
    weight = 2 if reasons or not mismatch.blamed else 0
    return NormMiss("norm", root, reasons[0] if reasons else mismatch.reason, weight=weight)


def _site(
    it: Interpreter, root: ir.Node, output: ir.Value, groups: Groups, norm: NormalForm
) -> NormSite | NormMiss:
    def miss(reason: str, remedy: str = "") -> NormMiss:
        return NormMiss(norm.kind, root, reason, remedy, weight=3)

    length = it.labels.length(sorted(norm.over))
    if norm.kind == "RMSNorm" and length is not None and length > 1:
        made_up = any(math.isclose(abs(c), 1.0, rel_tol=1e-5) for c in norm.scale.values())
        if math.isclose(norm.root_scale, length, rel_tol=1e-5) and not made_up:
            return miss("it divides by the root of a sum of squares, not of their mean (L2 norm)")
    source = _source(it, root, output, groups, norm)
    if isinstance(source, str):
        return miss(source)
    x, layout, dtype = source
    error = abs(float(np.float32(norm.epsilon)) - norm.epsilon)
    if error > _EPSILON.get(dtype, 1e-6) * norm.epsilon:
        return miss(
            f"epsilon {norm.epsilon!r} is no float32 number, and {OPERATOR[norm.kind]} holds it "
            f"as one, in a {dtype.name.lower()} graph",
            "choose an epsilon that is, such as a power of two",
        )
    statistics = it.context.shapes.dtype(root.outputs[0])
    place = Place(
        layout.groups,
        layout.first,
        dtype,
        exactly=dtype not in (ir.DataType.FLOAT, ir.DataType.DOUBLE) and statistics != dtype,
    )
    affine = attach(it, place, groups, norm.scale, norm.bias)
    if isinstance(affine, str):
        if shape_of(it, place) is None:
            return miss(
                "the length of the normalised axes is not static",
                "give the model's inputs fixed sizes there",
            )
        return miss(affine)
    written = 1 + layout.nodes + (affine.factor is not None) + (affine.addend is not None)
    written += norm.kind == "RMSNorm" and affine.bias is not None
    subject_groups = it.form(x).groups
    kept = {x, affine.factor, affine.addend}
    kept |= {operand.value for operand in (affine.scale, affine.bias) if operand is not None}
    return NormSite(
        kind=norm.kind,
        root=root,
        x=x,
        output=output,
        axes=tuple(a for a, group in enumerate(subject_groups) if norm.over.intersection(group)),
        epsilon=norm.epsilon,
        dtype=dtype,
        affine=affine,
        plan=layout,
        shape=shape_of(it, place),
        saves=_dying([output], kept) - written,
    )


def _source(
    it: Interpreter, root: ir.Node, output: ir.Value, groups: Groups, norm: NormalForm
) -> tuple[ir.Value, Plan, ir.DataType] | str:
    """The value that the operator reads: x or a copy of it in another type or layout."""
    shapes = it.context.shapes
    dtype, statistics = shapes.dtype(output), shapes.dtype(root.outputs[0])
    best: tuple[ir.Value, Plan] | None = None
    reason = "no copy of x has the type of the output"
    for value, form in it.forms().items():
        if form is None or form.poly != X or shapes.dtype(value) != dtype:
            continue
        if dtype is None or statistics not in _STATISTICS[dtype]:
            reason = "its statistics are computed in a wider type than the operator would use"
            continue
        layout = plan(form.groups, groups, norm.over)
        if layout is None:
            reason = "the axes of x are merged or taken apart on the way"
        elif best is None or layout.nodes < best[1].nodes:
            best = value, layout
    if best is None or dtype is None:
        return reason
    return (*best, dtype)


def _chosen(sites: list[NormSite]) -> tuple[NormSite, ...]:
    """The site that saves most, or all the norms that leave the region, if they save more."""
    best = max(sites, key=lambda site: site.saves)
    outputs = {site.output for site in sites}
    leaving = [site for site in sites if _is_read_beyond(site.output, outputs)]
    if len(leaving) < 2:
        return (best,)
    kept: set[ir.Value | None] = set()
    for site in leaving:
        kept |= {site.x, site.affine.factor, site.affine.addend}
    gone = _dying([site.output for site in leaving], kept)
    written = sum(_dying([site.output], kept) - site.saves for site in leaving)
    return tuple(reversed(leaving)) if gone - written > best.saves else (best,)


def _is_read_beyond(value: ir.Value, region: set[ir.Value]) -> bool:
    return value.is_graph_output() or any(
        node.outputs[0] not in region for node in value.consumers() if node.outputs
    )


def _dying(outputs: Iterable[ir.Value], kept: set[ir.Value | None]) -> int:
    """How many nodes nothing needs any more once the outputs come from elsewhere."""
    replaced = set(outputs)
    dead: set[ir.Node] = set()
    pending = [value.producer() for value in replaced]
    while pending:
        node = pending.pop()
        if node is None or node in dead or any(out in kept for out in node.outputs):
            continue
        if all(
            out in replaced
            or (not out.is_graph_output() and all(user in dead for user in out.consumers()))
            for out in node.outputs
        ):
            dead.add(node)
            pending.extend(value.producer() for value in node.inputs if value is not None)
    return sum(node.op_type != "Constant" for node in dead)
