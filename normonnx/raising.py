"""Writing the norms of a model, with its opset raised as far as they need it and it pays.

A raise is the first of a run's rewrites. It is not free: ONNX Runtime fuses more of some opsets
than of others (the attention of a BERT at opset 12, and no longer at 13), so the nodes that it
leaves of the model as it came are counted against those of the result.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir
from onnx_ir.passes import PassResult

from normonnx import norm
from normonnx.graph.nesting import graphs_of
from normonnx.journal import Journal, Rewrite
from normonnx.opset import Known, raise_opset
from normonnx.runtime.extensions import Extensions
from normonnx.runtime.remaining import nodes_left
from normonnx.steps import Finish, Settled, Step, Workspace

RULE = "opset"
"""What stands in the place of a rule in the record of a raise."""


class FuseNorms(Step):
    """Write every spelled-out norm as one operator, raising the opset where that pays."""

    keeps_context = True

    def call(self, model: ir.Model) -> PassResult:
        """Run the norm engine at the highest opset that it can use, or at the model's own."""
        work = self.work
        before, raised = len(work.journal.made), work.journal.raised
        given = self._given()
        earlier = work.settled[-1].notes if work.settled else ()
        if given is not None:
            self._tell(given.notes, earlier)
        cap, told = self._cap(given), len(work.notes)
        came = self._raised(model, cap, weigh=given is None)
        norms_stay = given is not None and given.norms_stay
        if work.journal.raised is raised and not norms_stay:
            norm.fuse_norms(work.context)
            norms_stay = came is not None and came.was_better and self._leaves_norms(came)
        if given is None:
            why = tuple(note for note in work.notes[told:] if not _is_of(note, work.journal))
            if why or work.journal.raised is not raised:
                self._tell(why, earlier)
            given = Settled(work.context.opset, norms_stay, why or earlier)
        work.settled.append(given)
        return PassResult(model, modified=len(work.journal.made) > before)

    def _tell(self, notes: Sequence[str], earlier: Sequence[str]) -> None:
        """Tell what was settled on in a round in the place of what was in the one before."""
        kept = [note for note in self.work.notes if note not in earlier or note in notes]
        self.work.notes[:] = dict.fromkeys((*kept, *notes))

    def _given(self) -> Settled | None:
        """What an earlier run settled on in this round, or this one with its raise."""
        work = self.work
        if work.given:
            return work.given[min(len(work.settled), len(work.given) - 1)]
        return work.settled[-1] if work.journal.raised is not None else None

    def _raised(self, model: ir.Model, cap: int | None, *, weigh: bool) -> _AsItCame | None:
        """Raise the opset as far as it can be and pays, with the norms written there.

        Returns:
            The run as it came, where something was weighed against it.
        """
        work = self.work
        came: _AsItCame | None = None
        while (wanted := norm.wanted_opset(work.context, cap=cap)) > work.context.opset:
            # A lower opset may be reached, and may do for some of the norms.
            cap = wanted - 1
            if not work.journal.allows_raise(_key(wanted)):
                continue
            if came is None and work.options.opset is None and weigh:
                came = _AsItCame(work)
            if not self._raise(model, wanted):
                continue
            norm.fuse_norms(work.context)
            worse = came and came.worse(work, f"at opset {wanted}", f"--opset {wanted} raises it")
            if came is None or not worse:
                break
            came.restore(work)
            work.notes[-1] = f"opset stays {work.context.opset}: {worse}"
        return came

    def _leaves_norms(self, came: _AsItCame) -> bool:
        """Whether the norms are not to be written in the model's own opset either."""
        work = self.work
        remedy = f"--opset {work.context.opset} writes them"
        worse = came.worse(work, "with functions for its norms", remedy)
        if worse:
            came.restore(work)
            work.notes.append(f"its norms stay as they are: {worse}")
        return bool(worse)

    def _cap(self, given: Settled | None) -> int | None:
        """The highest opset that the model may get."""
        work, current = self.work, self.work.context.opset
        caps = [] if work.options.opset is None else [work.options.opset]
        caps += [] if given is None else [given.opset]
        if work.options.opset is not None and work.options.opset < current:
            work.notes.append(
                f"opset stays {current}: a model is never brought down to {work.options.opset}"
            )
        return max(min(caps), current) if caps else None

    def _raise(self, model: ir.Model, wanted: int) -> bool:
        work, context = self.work, self.work.context
        current = context.opset
        known = Known(context.shapes.dtype, context.shapes.dims, context.constants.array)
        result = raise_opset(model, wanted, known=known, isolated=work.options.untrusted)
        work.notes.append(result.note)
        if not result.is_made:
            return False
        work.journal.raised = Rewrite(
            key=_key(wanted),
            rule=RULE,
            site=str(model.graph.name),
            summary=f"opset {current} → {wanted}",
            removed=(),
            added=(),
            certificate=result.note,
        )
        if result.replaced:
            work.forget()
        else:
            context.opset = wanted
            context.names.update(model.graph.initializers)
        return True


def _is_of(note: str, journal: Journal) -> bool:
    """Whether a note tells of the raise that was made."""
    return journal.raised is not None and note == journal.raised.certificate


def _key(wanted: int) -> str:
    return f"{RULE}:{wanted}"


class _AsItCame:
    """A run before its opset is raised: what to compare with, and to go back to.

    Args:
        work: the run.

    Attributes:
        was_better: whether ONNX Runtime made less of the model once it was raised.
    """

    def __init__(self, work: Workspace) -> None:
        self._model = work.model.clone()
        clones = dict(zip(_nodes(work.model), _nodes(self._model), strict=True))
        self._attributes = {
            clones[node]: exact for node, exact in work.exact_attributes.items() if node in clones
        }
        self._rewrites = list(work.journal.rewrites)
        self._misses = dict(work.journal.near_misses)
        self._exact = work.exact.only(list(work.exact))
        self._left = _left(self._model, work)
        self.was_better: bool = False

    def worse(self, work: Workspace, now: str, remedy: str) -> str:
        """What ONNX Runtime makes of the run's model now, if this was better; or "".

        Args:
            work: the run.
            now: what the model has become, as what follows "the model".
            remedy: what the user can do to have it all the same.
        """
        if self._left is None:
            return ""
        Finish(work).call(work.model)
        left = _left(work.model, work)
        if left is not None and left <= self._left:
            return ""
        self.was_better = True
        if left is None:
            return f"ONNX Runtime does not load the model {now}"
        return (
            f"ONNX Runtime leaves {left} nodes of the model {now}, "
            f"{self._left} of it as it came ({remedy})"
        )

    def restore(self, work: Workspace) -> None:
        """Go back; it can be done again."""
        again = self._model.clone()
        clones = dict(zip(_nodes(self._model), _nodes(again), strict=True))
        model, journal = work.model, work.journal
        model.graph, model.ir_version = again.graph, again.ir_version
        model.functions.clear()
        model.functions.update(again.functions)
        journal.raised = None
        journal.rewrites[:] = self._rewrites
        journal.near_misses.clear()
        journal.near_misses.update(self._misses)
        work.exact = self._exact.only(list(self._exact))
        work.exact_attributes.clear()
        work.exact_attributes.update({clones[n]: exact for n, exact in self._attributes.items()})
        work.forget()


def _nodes(model: ir.Model) -> list[ir.Node]:
    return [node for graph in graphs_of(model) for node in graph]


def _left(model: ir.Model, work: Workspace) -> int | None:
    options = work.options
    return nodes_left(
        model, isolated=options.untrusted, extensions=Extensions.of(options.custom_ops)
    )
