"""Both models side by side: cut where they have to be, on feeds that reach what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import onnx_ir as ir
from msgspec import Struct
from msgspec.structs import replace

from normonnx.judge import whole
from normonnx.judge.alignment import Alignment, align
from normonnx.judge.apart import Apart, Cutter
from normonnx.judge.bodies import Bodies, draws_inside
from normonnx.judge.cases import Cases, Progress
from normonnx.judge.coverage.changed import changed
from normonnx.judge.coverage.coverage import Coverage
from normonnx.judge.cutting import altered, lone_random
from normonnx.judge.handed import Judging, judged
from normonnx.judge.options import VerifyOptions
from normonnx.judge.outcomes import Outcomes
from normonnx.judge.running import Loaded, load, unloadable
from normonnx.judge.subject import Case, NotComparableError
from normonnx.judge.verdict import Tier
from normonnx.runtime.parking import AnySession
from normonnx.runtime.sessions import Setting


class Compared(Struct, frozen=True):
    """What is compared: both models whole, or cut.

    Attributes:
        original: the original.
        optimized: the optimised model.
        cases: the original on its feeds.
        sessions: the optimised model, loaded.
        meant: what the optimised model holds, before it was rounded.
        inner: outputs that hold what a node reads at which both models were cut.
        outcomes: what came of it, once it is done.
    """

    original: ir.Model
    optimized: ir.Model
    cases: Cases
    sessions: Mapping[Setting, AnySession]
    meant: whole.Meant
    inner: frozenset[str] = frozenset()
    outcomes: Outcomes | None = None


class SideBySide:
    """Runs optimised models beside one original.

    Args:
        original: the model to compare with.
        options: how to compare.
        cutter: cuts both where they have to be.
        judging: judges the graphs of nodes that select inside.
    """

    def __init__(
        self, original: ir.Model, options: VerifyOptions, cutter: Cutter, judging: Judging
    ) -> None:
        self._judging = judging
        self._original = original
        self._options = options
        self._cutter = cutter

    def run(
        self,
        optimized: ir.Model,
        cases: Cases,
        meant: whole.Meant,
        aligned: Alignment | None,
        found: list[Tier],
        unseen: list[str],
        progress: Progress | None,
    ) -> Compared | None:
        """T2 to T4, as far as they come; None where the outputs could not be compared."""
        loaded = load(optimized, self._options, cases.settings)
        if failure := _not_loaded(loaded, cases):
            found[0] = failure
            return None
        try:
            nodes = aligned or self._drawing(optimized)
            bodies = self._cutter.bodies(nodes)
            apart = self._cutter.apart(optimized, cases, bodies.containers)
            if apart is not None and (unlike := cases.unlike(loaded.sessions)):
                found[0] = Tier("T0", "interface", "fail", unlike)
                return None
            reaching = _reaching(aligned, cases, unseen, progress)
            if nodes is not None:
                self._judge_inside(bodies, nodes, cases, reaching, found, unseen, progress)
            if apart is None:
                what = Compared(self._original, optimized, cases, loaded.sessions, meant)
            else:
                what = _cut(apart, meant.of_copy(apart.pair.optimized))
                reaching = apart.cases.completed(reaching)
                found.append(Tier("T3", "rounding", "info", apart.note))
            outcomes = self._compare(what, reaching, found, progress)
        except NotComparableError as error:
            found.append(Tier("T3", "rounding", "inconclusive", str(error)))
            return None
        unseen += self._uncompared(what, outcomes, aligned)
        return replace(what, outcomes=outcomes)

    def _drawing(self, optimized: ir.Model) -> Alignment | None:
        """The models side by side, where numbers are drawn inside of nodes, proved or not."""
        return align(self._original, optimized) if draws_inside(self._original) else None

    def _judge_inside(
        self,
        bodies: Bodies,
        aligned: Alignment,
        cases: Cases,
        reaching: Sequence[Case],
        found: list[Tier],
        unseen: list[str],
        progress: Progress | None,
    ) -> None:
        """The graphs of nodes that select inside, as models of their own."""
        unseen += bodies.unlike
        if not bodies.bodies:
            return
        used = [*cases.first(progress), *reaching]
        inside = judged(
            bodies.bodies,
            aligned.original,
            aligned.optimized,
            [case.feed for case in used if case.feed.decisive],
            self._options,
            self._judging,
            deadline=cases.deadline,
        )
        found += inside.tiers
        unseen += inside.unseen

    def _uncompared(
        self, what: Compared, outcomes: Outcomes, aligned: Alignment | None
    ) -> Iterator[str]:
        """A sentence for each output, and for each selection, that was not compared."""
        named = {r.output for r in outcomes.results if r.decisive}
        # An element of a sequence is called by its output, and its place in brackets.
        compared = named | {name.rpartition("[")[0] for name in named}
        if aligned is not None:
            compared |= aligned.equal
            for title in altered(what.original, what.optimized):
                yield f"{title} is another operator, and no feed tells whether that matters"
        names = (str(v.name) for v in self._original.graph.outputs)
        yield from whole.uncompared((n for n in names if n not in compared), what.cases.random)

    def _compare(
        self,
        what: Compared,
        reaching: Sequence[Case],
        found: list[Tier],
        progress: Progress | None,
    ) -> Outcomes:
        """T2, and the outputs of both models as they run.

        Raises:
            NotComparableError: if the original runs on no feed.
        """
        try:
            used = what.cases.first(progress)
        except NotComparableError as error:
            used = what.cases.known
            if not used:
                raise
            found.append(Tier("T3", "rounding", "inconclusive", str(error)))
        used = [*used, *reaching]
        equal = whole.algebra_tier(
            what.optimized, what.cases, used, what.meant, self._options, progress
        )
        found.append(equal)
        lone = lone_random(what.original, what.optimized)
        if lone:
            message = f"{', '.join(lone)}: the optimised model has no such random operator"
            found.append(Tier("T2", "algebra", "fail", message))
        outcomes = Outcomes(
            what.original, what.cases, used, what.sessions, self._options, what.inner
        )
        outcomes.compare(progress, may_redraw=equal.status != "fail")
        return outcomes


def _reaching(
    aligned: Alignment | None, cases: Cases, unseen: list[str], progress: Progress | None
) -> list[Case]:
    """The original on feeds that are chosen for what differs; what none reaches is noted."""
    differences = None if aligned is None else changed(aligned)
    if aligned is None or not differences:
        return []
    coverage = Coverage(aligned, differences)
    chosen, left = coverage.look(cases, cases.first(progress), progress)
    unseen += left
    return chosen


def _cut(apart: Apart, meant: whole.Meant) -> Compared:
    """What is compared of two models with nodes cut."""
    pair = apart.pair
    return Compared(pair.original, pair.optimized, apart.cases, apart.sessions, meant, pair.read)


def _not_loaded(loaded: Loaded, cases: Cases) -> Tier | None:
    """The tier of a model that does not load where the original does."""
    for setting in cases.settings:
        if setting not in loaded.sessions:
            complaint = loaded.complaints.get(setting, "ONNX Runtime takes another provider")
            return Tier("T0", "interface", "fail", unloadable(setting, complaint))
    return None
