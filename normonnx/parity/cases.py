"""What is known of the original model: on each feed its outputs, and the float64 truth.

It is computed once and reused for every optimised model that is judged against the original.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.parity.comparison import flattened, is_float
from normonnx.parity.data import feeds_from
from normonnx.parity.execution import (
    LacksOperatorError,
    OracleFailedError,
    OverBudgetError,
)
from normonnx.parity.feeds import Feed, FeedSource, NoFeedError
from normonnx.parity.graph_facts import random_outputs
from normonnx.parity.interface import required_inputs
from normonnx.parity.options import VerifyOptions
from normonnx.parity.oracle import Oracle
from normonnx.parity.rounding import LEAST_COMPARABLE
from normonnx.parity.saturation import saturating_outputs
from normonnx.parity.sessions import Host, Session, SessionFailedError, Setting, settings
from normonnx.parity.values import Family

Progress = Callable[[str, int, int], None]

# Multiplications per evaluation from which fewer feeds are drawn.
_COSTLY = 400_000_000
_VERY_COSTLY = 8_000_000_000
# Outputs of few elements are seen on more feeds.
_FEW_ELEMENTS = 32
_MOST_DRAWS = 8
_STRESS = (Family.EDGE, Family.WIDE)
# Numbers of further draws, apart from those of the first ones.
STRESS_DRAW = 50
REDRAW = 100


class NotComparableError(Exception):
    """The original gives nothing to compare with; the message says why."""


@dataclass(frozen=True, slots=True)
class Case:
    """The original model on one feed.

    Attributes:
        feed: the feed.
        originals: its outputs in each setting.
        truth: its outputs in float64, None if they cannot be computed.
        multiplications: about how many the truth took.
        seconds: how long the truth took.
    """

    feed: Feed
    originals: Mapping[Setting, Mapping[str, Any]]
    truth: Mapping[str, Any] | None
    multiplications: int = 0
    seconds: float = 0.0


class Cases:
    """The feeds of one original model, with its outputs and the truth for each.

    Args:
        model: the original.
        options: how to compare.

    Attributes:
        notes: what was left out, and why.
        domains: what each input was taken to hold, by name.
        lacking: why there is no truth, or "".
        random: outputs that depend on random numbers.
        saturating: outputs of a last Softmax or Sigmoid, with which of them it is.

    Raises:
        NotComparableError: if the original does not load, or accepts no feed.
        EnvironmentLacksError: if a provider is not there.
        UsageError, UnreadableModelError: if the user's data are not usable.
    """

    def __init__(self, model: ir.Model, options: VerifyOptions) -> None:
        self.notes: list[str] = []
        self.lacking = ""
        self.random = random_outputs(model)
        self.saturating = saturating_outputs(model)
        self.domains: dict[str, str] = {}
        self._options = options
        self._deadline = time.monotonic() + options.budget_seconds
        self._oracle = Oracle(model)
        if self._oracle.lacking:
            self.lacking = f"no float64 reference for {', '.join(self._oracle.lacking)}"
        self._sessions = self._opened(model)
        self._source: FeedSource | None = None
        self._given: list[Feed] = []
        if options.data is not None:
            self._given = feeds_from(options.data, required_inputs(model))
        else:
            self._source = self._asked(model)
        self._kept: dict[tuple[int, tuple[int, ...]], Case] = {}

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings in which the original runs."""
        return tuple(self._sessions)

    @property
    def deadline(self) -> float:
        """When the time is over, on the clock of `time.monotonic`."""
        return self._deadline

    @property
    def is_cheap(self) -> bool:
        """Whether an evaluation in float64 takes little."""
        return all(case.multiplications <= _COSTLY for case in self._kept.values())

    def restart_clock(self) -> None:
        """Give the whole budget to the next comparison; what is known already costs nothing."""
        self._deadline = time.monotonic() + self._options.budget_seconds

    def first(self, progress: Progress | None) -> list[Case]:
        """The cases that every comparison looks at.

        Raises:
            NotComparableError: if the original does not run on one.
        """
        cases: list[Case] = []
        planned = len(self._given) or self._options.draws
        for feed in self._planned(cases):
            if progress is not None:
                progress("original and float64 truth", len(cases), max(planned, len(cases) + 1))
            try:
                case = self.case(feed)
            except OverBudgetError:
                self._note(f"time for {len(cases)} feeds only")
                break
            if self._suits(case):
                cases.append(case)
        return cases

    def redrawn(self, count: int) -> list[Case]:
        """Fresh cases, to tell chance from error; none with the user's data."""
        if self._source is None:
            return []
        try:
            return [self.case(self._source.decisive(REDRAW + i)) for i in range(count)]
        except OverBudgetError:
            return []

    def case(self, feed: Feed) -> Case:
        """The original on one feed, computed once.

        Raises:
            NotComparableError: if the original does not run on it.
            OverBudgetError: if there is no time for its truth, and others have theirs.
        """
        key = (feed.draw, tuple(feed.binding.values()))
        if key in self._kept:
            return self._kept[key]
        originals = {}
        for setting, session in self._sessions.items():
            try:
                originals[setting] = flattened(session.run(feed.inputs))
            except SessionFailedError as error:
                raise NotComparableError(
                    f"the original does not run on feed {feed.draw} ({setting.label}): {error}"
                ) from error
        case = self._with_truth(feed, originals)
        self._kept[key] = case
        return case

    def own_difference(self, case: Case) -> float:
        """How far the original is from itself when it runs again on the same feed."""
        setting, session = list(self._sessions.items())[-1]
        again = flattened(session.run(case.feed.inputs))
        largest = 0.0
        for name, before in case.originals[setting].items():
            if is_float(before) and before.shape == again[name].shape:
                difference = np.abs(again[name].astype(np.float64) - before.astype(np.float64))
                largest = max(largest, float(difference[np.isfinite(difference)].max(initial=0.0)))
        return largest

    def _planned(self, cases: list[Case]) -> Iterator[Feed]:
        """The feeds in order; how many there are depends on what the first ones cost."""
        if self._source is None:
            yield from self._given
            return
        wanted, number = self._options.draws, 0
        while number < wanted:
            yield self._source.decisive(number)
            if len(cases) == number:
                continue  # these sizes do not suit: the same draw again, with others
            number += 1
            cost = cases[0].multiplications
            if number == 1 and cost > _COSTLY:
                wanted = min(wanted, 1 if cost > _VERY_COSTLY else 2)
                self._note(f"{wanted} feeds only: one evaluation takes {cost / 1e9:.1f} G products")
            if number == wanted < _MOST_DRAWS and cost <= _COSTLY and self._is_scarce(cases):
                wanted += 1
        if cases[0].multiplications <= _COSTLY:
            for offset, family in enumerate(_STRESS):
                yield self._source.stress(STRESS_DRAW + offset, family)

    def _suits(self, case: Case) -> bool:
        """Whether these sizes mean something to the model, as long as there are others.

        A size that the runtime accepts may still leave nothing behind the last pooling.
        """
        if self._source is None or len(self._source.bindings) == 1 or not case.feed.decisive:
            return True
        arrays = [*next(iter(case.originals.values())).values(), *(case.truth or {}).values()]
        floats = [a for a in arrays if is_float(a)]
        defined = all(a.size and np.isfinite(a).mean() >= LEAST_COMPARABLE for a in floats)
        if defined and (case.truth is not None or self._oracle.lacking):
            return True
        sizes = ", ".join(f"{s} = {n}" for s, n in case.feed.binding.items())
        self._source.bindings.remove(case.feed.binding)
        self._note(f"the original gives nothing sensible for {sizes}")
        self.lacking = ""
        self._source.ask(next(iter(self._sessions.values())).run, deadline=self._deadline)
        return False

    def _is_scarce(self, cases: list[Case]) -> bool:
        """Whether some output is so small that the feeds so far say little about it."""
        seen: dict[str, int] = {}
        for case in cases:
            for name, array in next(iter(case.originals.values())).items():
                if is_float(array):
                    seen[name] = seen.get(name, 0) + array.size
        return any(0 < count < _FEW_ELEMENTS for count in seen.values())

    def _with_truth(self, feed: Feed, originals: Mapping[Setting, Mapping[str, Any]]) -> Case:
        if self.lacking:
            return Case(feed, originals, None)
        try:
            # The first truth may take what time there is; the others must leave some.
            evaluation = self._oracle.run(feed.inputs, deadline=self._deadline)
        except OverBudgetError:
            if any(case.truth is not None for case in self._kept.values()):
                raise
            self.lacking = (
                f"the float64 truth takes more than the budget of "
                f"{self._options.budget_seconds:g} s"
            )
        except (LacksOperatorError, OracleFailedError) as error:
            self.lacking = f"the float64 truth cannot be computed: {error}"
        else:
            if evaluation.narrow:
                self._note(f"in less than float64: {', '.join(evaluation.narrow)}")
            return Case(
                feed,
                originals,
                flattened(evaluation.outputs),
                evaluation.multiplications,
                evaluation.seconds,
            )
        return Case(feed, originals, None)

    def _opened(self, model: ir.Model) -> dict[Setting, Session]:
        opened: dict[Setting, Session] = {}
        complaint = ""
        with Host(model) as host:
            for setting in settings(self._options.providers):
                try:
                    opened[setting] = host.session(setting)
                except SessionFailedError as error:
                    complaint = str(error)
                    self._note(f"the original does not load ({setting.label}): {error}")
        if not opened:
            raise NotComparableError(f"the original does not load in ONNX Runtime: {complaint}")
        return opened

    def _asked(self, model: ir.Model) -> FeedSource:
        session = next(iter(self._sessions.values()))
        try:
            source = FeedSource(model, seed=self._options.seed)
            half = time.monotonic() + self._options.budget_seconds / 2
            source.ask(session.run, deadline=half)
        except NoFeedError as error:
            raise NotComparableError(str(error)) from error
        self.domains = {name: f"{d} ({d.why})" for name, d in source.domains.items()}
        return source

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)
