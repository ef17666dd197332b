"""The passes of a run, as passes of onnx_ir, and what they hand on beside the model.

    InlineFunctions → UnlistInitializers → FuseNorms (in `raising`) → FoldAffine
        → Simplify → Finish

Each works on the model as the one before left it. What is known of the model (its constants, its
shapes) is worked out once and kept up to date by the passes that say so; behind any other pass it
is worked out anew, so that a pass may stand anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import onnx_ir as ir
from msgspec import Struct, field
from onnx_ir.passes import InPlacePass, PassBase, PassResult

from normonnx import norm
from normonnx.affine import fold_affine
from normonnx.graph.exact import ExactValues
from normonnx.graph.nesting import graphs_of
from normonnx.inlining import inline_functions
from normonnx.journal import Journal
from normonnx.options import Options
from normonnx.rewrite import Context
from normonnx.rewrite.one_norm import forget_parts_of_norms
from normonnx.simplify import simplify
from normonnx.sizes.recorded import Recorded
from normonnx.sizes.walk import Walk
from normonnx.targets import TARGETS
from normonnx.values.constants import Constants
from normonnx.values.shapes import Shapes
from normonnx.values.unread import UnreadConstants

_WITH_OWN_INITIALIZERS = 4
"""The IR version from which on an initializer need not be an input."""


class Settled(Struct, frozen=True):
    """What was weighed in ONNX Runtime in one round, so that other runs need not do it again.

    Attributes:
        opset: the highest that the model may get.
        norms_stay: whether its norms are not to be written.
        notes: why, one sentence each.
    """

    opset: int
    norms_stay: bool
    notes: tuple[str, ...]


class Workspace(Struct):
    """What the passes of one run share.

    Attributes:
        model: the model, the run's own copy.
        options: what may be written and assumed.
        journal: the record of the run.
        read_large: whether large weights in data files may be read.
        given: what an earlier run on the same model settled on in each round, nothing for none.
        settled: what this run has settled on, round by round.
        notes: what was done besides rewrites, one sentence each.
        changes: the names of the passes that changed the model.
        exact: float64 values of new constants, by name.
        exact_attributes: float attributes of new nodes before their rounding to float32.
    """

    model: ir.Model
    options: Options
    journal: Journal = field(default_factory=Journal)
    read_large: bool = True
    given: Sequence[Settled] = ()
    settled: list[Settled] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    changes: set[str] = field(default_factory=set)
    exact: ExactValues = field(default_factory=ExactValues)
    exact_attributes: dict[ir.Node, Mapping[str, float]] = field(default_factory=dict)
    _context: Context | None = None
    _recorded: Recorded | None = None

    @property
    def context(self) -> Context:
        """What the engines work with, on the model as it is now."""
        if self._context is None:
            self._context = self._made()
        return self._context

    def forget(self, *, sizes: bool = True) -> None:
        """Let what is known of the model be worked out anew: something else changed it.

        Args:
            sizes: those that were recorded, too, which rewrites have kept up to date.
        """
        if self._context is not None and not sizes:
            self._recorded = self._context.recorded
        else:
            self._recorded = None
        self._context = None

    def run(self, steps: Iterable[PassBase]) -> bool:
        """Run passes in order; any pass of onnx_ir that works in place may be among them.

        Returns:
            Whether any of them changed the model.
        """
        changed = False
        for step in steps:
            result = step(self.model)
            if result.modified:
                changed = True
                self.changes.add(type(step).__name__)
            if result.modified and not getattr(step, "keeps_context", False):
                self.forget()
        return changed

    def _made(self) -> Context:
        options = self.options
        find = Constants if self.read_large else UnreadConstants
        constants = find(self.model, frozen_inputs=options.freeze_initializers)
        constants.exact = self.exact
        return Context(
            self.model,
            constants,
            Shapes(self.model, constants),
            self.journal,
            self._recorded or Recorded(self.model),
            target=TARGETS[options.target],
            allow_duplicate=options.allow_duplicate,
            rules_on=options.rules_on,
            rules_off=options.rules_off,
            exact_attributes=self.exact_attributes,
        )


class Step(InPlacePass):
    """A pass of a run.

    Attributes:
        keeps_context: whether it keeps up to date what the workspace knows of the model.
    """

    keeps_context = False

    def __init__(self, work: Workspace) -> None:
        super().__init__()
        self.work = work


class InlineFunctions(Step):
    """Put the model's functions in the place of their calls."""

    def call(self, model: ir.Model) -> PassResult:
        """Inline what can be."""
        notes = inline_functions(model)
        self.work.notes += notes
        return PassResult(model, modified=bool(notes))


class UnlistInitializers(Step):
    """Take initializers out of the inputs where they are there by force, or are to be frozen.

    IR version 3 required every initializer to be an input. From version 4 on listing one means
    that a caller may override it.
    """

    def call(self, model: ir.Model) -> PassResult:
        """Keep the inputs that a caller gives."""
        graph = model.graph
        listed = [value for value in graph.inputs if value.is_initializer()]
        frozen = model.ir_version < _WITH_OWN_INITIALIZERS or self.work.options.freeze_initializers
        if not listed or not frozen:
            return PassResult(model, modified=False)
        kept = [value for value in graph.inputs if not value.is_initializer()]
        graph.inputs.clear()
        graph.inputs.extend(kept)
        model.ir_version = max(model.ir_version, _WITH_OWN_INITIALIZERS)
        self.work.notes.append(f"{len(listed)} initializers are no longer listed as inputs")
        return PassResult(model, modified=True)


class FoldAffine(Step):
    """Fold BatchNormalization and affine arithmetic into the layers around them."""

    keeps_context = True

    def call(self, model: ir.Model) -> PassResult:
        """Run the affine engine."""
        before = len(self.work.journal.rewrites)
        fold_affine(self.work.context)
        return PassResult(model, modified=len(self.work.journal.rewrites) > before)


class Simplify(Step):
    """Work out what follows from constants and sizes, and take out what does nothing."""

    keeps_context = True

    def call(self, model: ir.Model) -> PassResult:
        """Run the simplifying engine."""
        before = len(self.work.journal.rewrites)
        if self.work.options.simplify:
            simplify(self.work.context)
        return PassResult(model, modified=len(self.work.journal.rewrites) > before)


class Finish(Step):
    """Bring a model whose rewrites are made into order, and its journal too.

    Its operators get their functions, what nothing reads any more goes, and a near miss of a node
    that another rewrite removed is none. IR version 3 has no initializers beside its inputs: a
    model that got its first one is of version 4.
    """

    keeps_context = True

    def call(self, model: ir.Model) -> PassResult:
        """Nothing but the journal is touched where there is no rewrite."""
        context = self.work.context
        rewritten = bool(context.journal.rewrites)
        if rewritten:
            norm.add_bodies(context)
            for graph in context.graphs():
                _drop_unread_constants(graph)
                if not _is_sorted(graph):
                    graph.sort()
            _drop_unread_initializers(context)
            _allow_initializers(model)
            _forget_untrue_shapes(context)
            if any(graph.initializers for graph in context.graphs()):
                model.ir_version = max(model.ir_version, _WITH_OWN_INITIALIZERS)
        _forget_the_gone(context)
        forget_parts_of_norms(context)
        return PassResult(model, modified=rewritten)


def _drop_unread_constants(graph: ir.Graph) -> None:
    for node in list(graph):
        out = node.outputs[0] if node.outputs else None
        unread = out is not None and not out.uses() and not out.is_graph_output()
        if node.op_type == "Constant" and node.domain == "" and unread:
            graph.remove(node, safe=True)


def _drop_unread_initializers(context: Context) -> None:
    for value in context.widely_read:
        owner = value.graph
        listed = value.is_graph_input() or value.is_graph_output()
        if owner is not None and not listed and not value.uses():
            owner.initializers.pop(str(value.name))


def _allow_initializers(model: ir.Model) -> None:
    """Raise an IR version in which each initializer has to be an input, where one is none."""
    stored = (value for graph in graphs_of(model) for value in graph.initializers.values())
    if model.ir_version < _WITH_OWN_INITIALIZERS and not all(v.is_graph_input() for v in stored):
        model.ir_version = _WITH_OWN_INITIALIZERS


def _forget_untrue_shapes(context: Context) -> None:
    """Take away what the file says of a value's size and a walk of the model found to be another.

    ONNX Runtime believes it, and lets values share memory by it.
    """
    nodes = (node for graph in context.graphs() for node in graph)
    for value in (out for node in nodes for out in node.outputs if not out.is_graph_output()):
        declared = value.shape
        walks = () if declared is None else context.recorded.walks
        if declared is not None and not all(_may_be(declared, value, walk) for walk in walks):
            value.shape = None


def _may_be(declared: ir.Shape, value: ir.Value, walk: Walk) -> bool:
    tensor = walk.tensor(value)
    if tensor is None:
        return True
    if len(declared) != len(tensor.shape):
        return False
    sizes = [dim if isinstance(dim, int) else walk.binding.get(str(dim.value)) for dim in declared]
    return all(said in (None, -1, size) for said, size in zip(sizes, tensor.shape, strict=True))


def _forget_the_gone(context: Context) -> None:
    names = {str(out.name) for graph in context.graphs() for node in graph for out in node.outputs}
    misses = context.journal.near_misses
    for key in [key for key in misses if key.partition(":")[2] not in names]:
        del misses[key]


def _is_sorted(graph: ir.Graph) -> bool:
    seen: set[ir.Node] = set()
    for node in graph:
        for value in node.inputs:
            producer = None if value is None else value.producer()
            if producer is not None and producer.graph is graph and producer not in seen:
                return False
        seen.add(node)
    return True
