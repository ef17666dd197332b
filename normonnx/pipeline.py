"""A run: which passes work on a model, in which order, and what comes of it.

Deterministic, and without effect on its argument: the same model and options give the same
rewrites in the same order, which is what bisecting rests on.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct, field

from normonnx.drawing import Picture
from normonnx.graph.exact import ExactValues
from normonnx.journal import Journal
from normonnx.operators.names import onnx_name
from normonnx.options import Options
from normonnx.pictures import Painter
from normonnx.raising import FuseNorms
from normonnx.rewrite import Context
from normonnx.steps import (
    Finish,
    FoldAffine,
    InlineFunctions,
    Settled,
    Simplify,
    UnlistInitializers,
    Workspace,
)

Array = np.ndarray[Any, Any]

PREPARE = (InlineFunctions, UnlistInitializers)
ENGINES = (FuseNorms, FoldAffine, Simplify)
PASSES = (*PREPARE, *ENGINES, Finish)
"""In this order; each sees what the one before changed."""

_ROUNDS = 6
"""A map that is folded or a node that goes may uncover a norm: so often at most."""


class Outcome(Struct, frozen=True):
    """A rewritten model and how it came about.

    Attributes:
        model: the new model.
        journal: rewrites and near misses.
        exact: float64 value of each new initializer, by name.
        readings: float64 value of each constant of the original that was read as a rounded 1/N.
        exact_attributes: float attributes of new nodes before their rounding to float32.
        settled: what the run settled on in each round, for others on the same model.
        notes: what was done besides rewrites, one sentence each.
        pictures: of each kind of rewrite, the most frequent first.
        is_inlined: whether functions were inlined and nothing else was done: the model as it came
            is as good.
    """

    model: ir.Model
    journal: Journal
    settled: Sequence[Settled] = ()
    exact: MutableMapping[str, Array] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    readings: MutableMapping[str, Array] = field(default_factory=dict)
    exact_attributes: Mapping[ir.Node, Mapping[str, float]] = field(default_factory=dict)
    is_inlined: bool = False


def run(
    model: ir.Model,
    options: Options,
    *,
    skip: frozenset[str] = frozenset(),
    only: frozenset[str] | None = None,
    limit: int | None = None,
    read_large: bool = True,
    in_place: bool = False,
    settled: Sequence[Settled] = (),
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
        settled: what an earlier run on the model settled on: nothing is weighed again.

    Returns:
        The rewritten model, the journal, the exact weights and notes.
    """
    painter = Painter()
    journal = Journal(skip=skip, only=only, limit=limit, observer=painter)
    own = model if in_place else model.clone()
    work = Workspace(own, options, journal, read_large=read_large, given=settled)
    _run_to_a_fixed_point(work)
    return Outcome(
        work.model,
        journal,
        tuple(work.settled),
        _living(work.context),
        tuple(dict.fromkeys(work.notes)),
        painter.pictures(journal.rewrites),
        _readings(work.context),
        work.exact_attributes,
        is_inlined=work.changes == {InlineFunctions.__name__},
    )


def _run_to_a_fixed_point(work: Workspace) -> None:
    """Run the passes, the engines until a whole round of them finds nothing.

    What is known of the model is worked out anew for each round: more may be known of the new nodes
    than was of the old ones.
    """
    work.run(make(work) for make in PREPARE)
    for _ in range(_ROUNDS):
        work.journal.near_misses.clear()
        if not work.run(make(work) for make in ENGINES):
            break
        work.run([Finish(work)])
        work.forget(sizes=False)
    work.run([Finish(work)])


def _living(context: Context) -> ExactValues:
    """The exact values of the new constants that are still there, in whichever graph."""
    names: set[str] = set()
    for graph in context.graphs():
        names.update(graph.initializers)
        names.update(str(n.outputs[0].name) for n in graph if onnx_name(n) == "Constant")
    return context.constants.exact.only(names)


def _readings(context: Context) -> ExactValues:
    names = {name for rewrite in context.journal.rewrites for name, _ in rewrite.readings}
    return context.constants.exact.only(names)
