"""Which steps run on a model, in which order: prepare, norms, affine maps, tidy.

Deterministic, and without effect on its argument: the same model and options give the same
rewrites in the same order, which is what bisecting rests on.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

import numpy as np
import onnx_ir as ir
from msgspec import Struct, field

from normonnx import norm
from normonnx.affine import fold_affine
from normonnx.drawing import Picture
from normonnx.graph.exact import ExactValues
from normonnx.journal import Journal
from normonnx.opset import raise_opset
from normonnx.pictures import Painter
from normonnx.rewrite import Context
from normonnx.values.constants import Constants
from normonnx.values.shapes import Shapes
from normonnx.values.unread import UnreadConstants


class Options(Struct, frozen=True):
    """What the user asked for.

    Attributes:
        target: "onnx", "ort" or "normonnx": whose operators may be written.
        opset: the highest default-domain opset the result may have; None for no cap.
        freeze_initializers: whether initializers that a caller could override count as constants.
        allow_duplicate: whether a layer that others read too may be copied to fold into the copy.
        rules_on: codes of rules that are off by default.
        rules_off: codes of rules not to use.
    """

    target: str = "onnx"
    opset: int | None = None
    freeze_initializers: bool = False
    allow_duplicate: bool = False
    rules_on: frozenset[str] = frozenset()
    rules_off: frozenset[str] = frozenset()


class Outcome(Struct, frozen=True):
    """A rewritten model and how it came about.

    Attributes:
        model: the new model.
        journal: rewrites and near misses.
        exact: float64 value of each new initializer, by name.
        readings: float64 value of each constant of the original that was read as a rounded 1/N.
        exact_attributes: float attributes of new nodes before their rounding to float32.
        notes: what was done besides rewrites, one sentence each.
        pictures: of each kind of rewrite, the most frequent first.
    """

    model: ir.Model
    journal: Journal
    exact: MutableMapping[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    readings: MutableMapping[str, np.ndarray] = field(default_factory=dict)
    exact_attributes: Mapping[ir.Node, Mapping[str, float]] = field(default_factory=dict)


def run(
    model: ir.Model,
    options: Options,
    *,
    skip: frozenset[str] = frozenset(),
    only: frozenset[str] | None = None,
    limit: int | None = None,
    read_large: bool = True,
    in_place: bool = False,
) -> Outcome:
    """Rewrite a copy of the model.

    Args:
        model: any valid model; never changed, unless that is asked for.
        options: what may be written and assumed.
        skip: keys of rewrites not to make.
        only: keys of the rewrites to make; None for all.
        limit: stop after this many rewrites.
        read_large: whether large weights in data files may be read; a rewrite that needs one
            is a near miss otherwise.
        in_place: rewrite the model itself, which is the caller's own.

    Returns:
        The rewritten model, the journal, the exact weights and notes.
    """
    painter = Painter()
    journal = Journal(skip=skip, only=only, limit=limit, witness=painter)
    if not in_place:
        model = model.clone()
    notes = unlist_initializers(model, options)
    context, raised = reach_opset(model, journal, options, read_large=read_large)
    norm.fuse_norms(context)
    fold_affine(context)
    finish(context)
    pictures = painter.pictures(journal.rewrites)
    return Outcome(
        context.model,
        journal,
        _living(context),
        (*notes, *raised),
        pictures,
        _readings(context),
        context.exact_attributes,
    )


def reach_opset(
    model: ir.Model, journal: Journal, options: Options, *, read_large: bool = True
) -> tuple[Context, list[str]]:
    """Raise the opset as far as the norms of a model need it, and as the options allow.

    Args:
        model: the caller's own copy.
        journal: the record of the run.
        options: what may be written and assumed.
        read_large: as in `run`.

    Returns:
        What the engines work with, on the model or on the one it was converted to; and notes.
    """
    notes: list[str] = []
    context = context_of(model, journal, options, read_large=read_large)
    cap = options.opset
    if cap is not None and cap < context.opset:
        notes.append(f"opset stays {context.opset}: a model is never brought down to {cap}")
        cap = context.opset
    while (wanted := norm.wanted_opset(context, cap=cap)) > context.opset:
        raised, note = raise_opset(model, wanted, rank=context.shapes.rank)
        notes.append(note)
        if raised is model:
            context.opset = wanted
            context.names.update(model.graph.initializers)
            return context, notes
        if raised is not None:
            return context_of(raised, journal, options, read_large=read_large), notes
        # A lower opset may be reached, and may do for some of the norms.
        cap = wanted - 1
    return context, notes


def finish(context: Context) -> None:
    """Bring a model whose rewrites are made into order, and its journal too."""
    if context.journal.rewrites:
        norm.add_bodies(context)
        _tidy(context)
    _forget_the_gone(context)


def context_of(
    model: ir.Model, journal: Journal, options: Options, *, read_large: bool = True
) -> Context:
    """What the engines work with on a model, which must be the caller's own copy.

    Args:
        model: the copy.
        journal: the record of the run.
        options: what may be written and assumed.
        read_large: as in `run`.
    """
    find = Constants if read_large else UnreadConstants
    constants = find(model, frozen_inputs=options.freeze_initializers)
    shapes = Shapes(model, constants)
    return Context(
        model,
        constants,
        shapes,
        journal,
        target=options.target,
        allow_duplicate=options.allow_duplicate,
        rules_on=options.rules_on,
        rules_off=options.rules_off,
    )


def unlist_initializers(model: ir.Model, options: Options) -> list[str]:
    """Take initializers out of the inputs where they are there by force, or are to be frozen.

    IR version 3 required every initializer to be an input. From version 4 on listing one means
    that a caller may override it.
    """
    graph = model.graph
    listed = [value for value in graph.inputs if value.is_initializer()]
    if not listed or (model.ir_version >= 4 and not options.freeze_initializers):
        return []
    kept = [value for value in graph.inputs if not value.is_initializer()]
    graph.inputs.clear()
    graph.inputs.extend(kept)
    if model.ir_version < 4:
        model.ir_version = 4
    return [f"{len(listed)} initializers are no longer listed as inputs"]


def _tidy(context: Context) -> None:
    """Drop constants that nothing reads any more, and restore the order of nodes."""
    graphs = list(context.graphs())
    for graph in graphs:
        for node in list(graph):
            out = node.outputs[0] if node.outputs else None
            unread = out is not None and not out.uses() and not out.is_graph_output()
            if node.op_type == "Constant" and unread:
                graph.remove(node, safe=True)
        if not _is_sorted(graph):
            graph.sort()
    for value in context.popular:
        owner = value.graph
        listed = value.is_graph_input() or value.is_graph_output()
        if owner is not None and not listed and not value.uses():
            owner.initializers.pop(str(value.name))


def _forget_the_gone(context: Context) -> None:
    """A near miss of a node that another rewrite removed is none."""
    names = {str(out.name) for graph in context.graphs() for node in graph for out in node.outputs}
    misses = context.journal.near_misses
    for key in [key for key in misses if key.partition(":")[2] not in names]:
        del misses[key]


def _living(context: Context) -> ExactValues:
    """The exact values of the new constants that are still there, in whichever graph."""
    names: set[str] = set()
    for graph in context.graphs():
        names.update(graph.initializers)
        names.update(str(n.outputs[0].name) for n in graph if n.op_type == "Constant")
    return context.constants.exact.only(names)


def _readings(context: Context) -> ExactValues:
    names = {name for rewrite in context.journal.rewrites for name, _ in rewrite.readings}
    return context.constants.exact.only(names)


def _is_sorted(graph: ir.Graph) -> bool:
    seen: set[ir.Node] = set()
    for node in graph:
        for value in node.inputs:
            producer = None if value is None else value.producer()
            if producer is not None and producer.graph is graph and producer not in seen:
                return False
        seen.add(node)
    return True
