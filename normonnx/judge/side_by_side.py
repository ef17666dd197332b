"""Both models side by side: cut where they have to be, on feeds that reach what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir
from msgspec import Struct
from msgspec.structs import replace

from normonnx.judge import whole
from normonnx.judge.alignment import Alignment
from normonnx.judge.apart import Cutter
from normonnx.judge.cases import Cases, Progress
from normonnx.judge.coverage.changed import changed
from normonnx.judge.coverage.coverage import Coverage
from normonnx.judge.cutting import altered, lone_random
from normonnx.judge.options import VerifyOptions
from normonnx.judge.outcomes import Outcomes
from normonnx.judge.running import Loaded, load, unloadable
from normonnx.judge.subject import Case, NotComparableError
from normonnx.judge.verdict import Tier
from normonnx.operators.kernels import Array
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
        readings: float64 values of constants of the original, as its rewrites read them.
    """

    def __init__(
        self,
        original: ir.Model,
        options: VerifyOptions,
        readings: Mapping[str, Array] | None,
    ) -> None:
        self._original = original
        self._options = options
        self._cutter = Cutter(original, options, readings)

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
            apart = self._cutter.apart(optimized, cases)
            differences = () if aligned is None else changed(aligned)
            reaching: list[Case] = []
            if aligned is not None and differences:
                used = cases.first(progress)
                coverage = Coverage(aligned, differences)
                reaching, left = coverage.look(cases, used, progress)
                unseen += left
            if apart is None:
                what = Compared(self._original, optimized, cases, loaded.sessions, meant)
            elif unlike := cases.unlike(loaded.sessions):
                found[0] = Tier("T0", "interface", "fail", unlike)
                return None
            else:
                what = Compared(
                    apart.pair.original,
                    apart.pair.optimized,
                    apart.cases,
                    apart.sessions,
                    meant.of_copy(optimized, apart.pair.optimized),
                    apart.pair.read,
                )
                reaching = apart.cases.completed(reaching)
                found.append(Tier("T3", "rounding", "info", apart.note))
            outcomes = self._compare(what, reaching, found, progress)
        except NotComparableError as error:
            found.append(Tier("T3", "rounding", "inconclusive", str(error)))
            return None
        if aligned is not None:
            unseen += [
                f"{title} is another operator, and no feed tells whether that matters"
                for title in altered(what.original, what.optimized)
            ]
            named = {r.output for r in outcomes.results if r.decisive}
            # An element of a sequence is called by its output, and its place in brackets.
            compared = named | {name.rpartition("[")[0] for name in named} | aligned.equal
            names = (str(v.name) for v in self._original.graph.outputs)
            unseen += whole.uncompared((n for n in names if n not in compared), what.cases.random)
        return replace(what, outcomes=outcomes)

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


def _not_loaded(loaded: Loaded, cases: Cases) -> Tier | None:
    """The tier of a model that does not load where the original does."""
    for setting in cases.settings:
        if setting not in loaded.sessions:
            complaint = loaded.complaints.get(setting, "ONNX Runtime takes another provider")
            return Tier("T0", "interface", "fail", unloadable(setting, complaint))
    return None
