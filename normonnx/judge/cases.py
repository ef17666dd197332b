"""Which feeds a comparison looks at, and what the original makes of them.

It is computed once and reused for every optimised model that is judged against the original.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

from normonnx.feeds.data import feeds_from
from normonnx.feeds.source import Feed, FeedSource, NoFeedError
from normonnx.feeds.whole import Family
from normonnx.graph.interface import required_inputs
from normonnx.judge.comparison import flattened, is_float
from normonnx.judge.cut_feeds import Complete, CutFeeds
from normonnx.judge.graph_facts import random_outputs
from normonnx.judge.noise import widest
from normonnx.judge.options import VerifyOptions
from normonnx.judge.subject import Case, NotComparableError, Subject
from normonnx.judge.tiers.magnitudes import BySize
from normonnx.judge.tiers.rounding import Allowance
from normonnx.operators.kernels import Array
from normonnx.oracle.execution import OverBudgetError
from normonnx.runtime.parking import AnySession
from normonnx.runtime.sessions import SessionFailedError, Setting

Source: TypeAlias = "FeedSource | CutFeeds"
Progress = Callable[[str, int, int], None]

# Multiplications per evaluation from which fewer feeds are drawn.
_COSTLY = 400_000_000
_VERY_COSTLY = 8_000_000_000
# Outputs of few elements are seen on more feeds.
_FEW_ELEMENTS = 32
_MOST_DRAWS = 8
# Sizes with which less of an output is finite say little, as long as there are others.
_SENSIBLE = 0.95
# How many feeds may turn out to be of no use.
_MOST_MISSES = 6
_STRESS = (Family.EDGE, Family.WIDE)
# Numbers of further draws, apart from those of the first ones.
_STRESS_DRAW = 50
_REDRAW = 100
CHOSEN_DRAW = 1000
"""The first number of feeds that are chosen for one optimised model."""


class Cases:
    """The feeds of one original model, with its outputs and the truth for each.

    Args:
        model: the original.
        options: how to compare.
        wanted: the settings to run it in.
        readings: float64 values of constants by name, as its rewrites read them.
        feeds: where feeds come from; None to draw them, or to read the user's.

    Attributes:
        notes: what was left out, and why.
        domains: what each input was taken to hold, by name.
        missing: why there is no truth, or "".
        random: outputs that depend on random numbers.
        deadline: when the time is over, on the clock of `time.monotonic`.

    Raises:
        NotComparableError: if the original does not load, or accepts no feed.
        EnvironmentLacksError: if a provider is not there.
        UsageError, UnreadableModelError: if the user's data are not usable.
    """

    def __init__(
        self,
        model: ir.Model,
        options: VerifyOptions,
        wanted: Sequence[Setting],
        readings: Mapping[str, Array] | None = None,
        feeds: CutFeeds | None = None,
    ) -> None:
        self.missing: str = ""
        self.random: tuple[str, ...] = random_outputs(model)
        self.domains: dict[str, str] = {}
        self.deadline: float = time.monotonic() + options.budget_seconds
        self._options = options
        self._subject = Subject(model, options, wanted, readings)
        self.notes: list[str] = list(self._subject.notes)
        self._kept: dict[tuple[int, tuple[int, ...]], Case] = {}
        self._promised: dict[int, Mapping[str, BySize]] = {}
        self._moved: dict[tuple[int, Setting], Mapping[str, BySize]] = {}
        self._explained: dict[tuple[int, str], Mapping[str, BySize] | None] = {}
        self._given: list[Feed] = []
        self._source: Source | None = feeds
        if feeds is not None and feeds.is_given:
            self._given, self._source = feeds.given(), None
        elif feeds is not None:
            self.domains = dict(feeds.domains)
        elif options.data is not None:
            self._given = feeds_from(options.data, required_inputs(model))
        else:
            self._source = self._asked(model)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings in which the original runs."""
        return tuple(self._subject.sessions)

    def cut_feeds(self, complete: Complete) -> CutFeeds:
        """The same feeds for the model with nodes cut.

        Args:
            complete: adds what is fed in the place of the nodes.
        """
        source = self._source
        if isinstance(source, FeedSource):
            return CutFeeds(complete, source=source, domains=self.domains)
        return CutFeeds(complete, feeds=self._given, domains=self.domains)

    @property
    def known(self) -> list[Case]:
        """The cases so far."""
        return list(self._kept.values())

    @property
    def is_cheap(self) -> bool:
        """Whether an evaluation in float64 takes little."""
        return all(case.multiplications <= _COSTLY for case in self._kept.values())

    def start_over(self) -> None:
        """Give the whole budget to the next comparison; what is known already costs nothing.

        Feeds that were chosen for one model are nothing to the next one, whose have their numbers.
        """
        self.deadline = time.monotonic() + self._options.budget_seconds
        self._kept = {k: v for k, v in self._kept.items() if k[0] < CHOSEN_DRAW}
        self._promised = {k: v for k, v in self._promised.items() if k < CHOSEN_DRAW}
        self._moved = {k: v for k, v in self._moved.items() if k[0] < CHOSEN_DRAW}
        self._explained = {k: v for k, v in self._explained.items() if k[0] < CHOSEN_DRAW}

    def first(self, progress: Progress | None) -> list[Case]:
        """The cases that every comparison looks at.

        Raises:
            NotComparableError: if the original runs on none.
        """
        cases: list[Case] = []
        try:
            if self._source is None:
                for number, feed in enumerate(self._given):
                    _tell(progress, number, len(self._given))
                    cases.append(self._case(feed))
            else:
                self._decisive(self._source, cases, progress)
                self._stress(self._source, cases, progress)
        except OverBudgetError:
            if not cases:
                reason = f"the float64 truth takes more than {self._options.budget_seconds:g} s"
                feed = self._given[0] if self._source is None else self._source.decisive(0)
                cases = [self._subject.case(feed, deadline=self.deadline, instead=reason)]
            self._note(f"time for {len(cases)} feed{'' if len(cases) == 1 else 's'} only")
        self.missing = next((c.complaint for c in cases if c.feed.decisive and c.complaint), "")
        return cases

    def any_feed(self) -> Feed:
        """One of the feeds."""
        return self._given[0] if self._source is None else self._source.decisive(0)

    def completed(self, cases: Sequence[Case]) -> list[Case]:
        """Cases of the whole model as those of the model with nodes cut, whose feeds these are."""
        source = self._source
        if not isinstance(source, CutFeeds):
            return []
        return [self._case(source.completed(case.feed)) for case in cases]

    def unlike(self, sessions: Mapping[Setting, AnySession]) -> str:
        """How a model runs otherwise than the original on one feed, or "".

        Whether it runs, and the types of its outputs, is all that is looked at.

        Raises:
            NotComparableError: if the original does not run.
        """
        feed = self.any_feed()
        case = self._subject.case(feed, deadline=self.deadline, instead="only run")
        for setting, session in sessions.items():
            try:
                found = flattened(session.run(feed.inputs))
            except SessionFailedError as error:
                return f"the optimised model does not run on feed {feed.draw}: {error}"
            for name, o in case.originals[setting].items():
                y = found.get(name)
                if y is None or y.dtype != o.dtype or y.ndim != o.ndim:
                    return f"'{name}' is no {o.dtype} of rank {o.ndim} ({setting.label})"
        return ""

    def redrawn(self, count: int) -> list[Case]:
        """Fresh cases, to tell chance from error; none with the user's data."""
        if self._source is None:
            return []
        try:
            return [self._case(self._source.decisive(_REDRAW + i)) for i in range(count)]
        except (OverBudgetError, NotComparableError):
            return []

    @property
    def source(self) -> FeedSource | None:
        """Where feeds are drawn; None with the user's data."""
        return self._source if isinstance(self._source, FeedSource) else None

    def on(self, feed: Feed) -> Case:
        """The original on a feed of the caller's choice, whose number is its own.

        Raises:
            NotComparableError: if the original does not run on it.
            OverBudgetError: if there is no time left.
        """
        return self._case(feed)

    def own_difference(self, case: Case) -> float:
        """How far the original is from itself when it runs again on the same feed."""
        return self._subject.own_difference(case)

    @property
    def jumps(self) -> bool:
        """Whether the original's results may jump when what it is given changes a little."""
        return self._subject.jumps

    def allowances(
        self, case: Case, setting: Setting, *, promises: bool
    ) -> Mapping[str, Allowance]:
        """What the original's own distances on a feed are raised to, computed once.

        That is how far it moves if its inputs move by an ulp, and what its types promise. Without
        a truth it is also how far it is from itself in the other settings.

        Args:
            case: the original on the feed.
            setting: how it runs.
            promises: whether to look at the types, which takes many evaluations.
        """
        moved = self._far_moved(case, setting)
        told: Mapping[str, BySize] = {}
        if case.truth is None:
            told = self._subject.across_settings(case)
        elif promises:
            told = self._far_promised(case)
        raised = {n: widest([told.get(n, {}), moved.get(n, {})]) for n in {*told, *moved}}
        return {
            name: Allowance(seen=far)
            if case.truth is None or name in case.disowned
            else Allowance(promised=far)
            for name, far in raised.items()
        }

    def _far_moved(self, case: Case, setting: Setting) -> Mapping[str, BySize]:
        key = (case.feed.draw, setting)
        if key not in self._moved:
            self._moved[key] = self._subject.moved(case, setting)
        return self._moved[key]

    def _far_promised(self, case: Case) -> Mapping[str, BySize]:
        key = case.feed.draw
        if key not in self._promised:
            self._promised[key] = self._subject.promised(case, deadline=self.deadline)
        return self._promised[key]

    def explained(self, case: Case, dtype: np.dtype[Any]) -> Mapping[str, BySize] | None:
        """How far the original moves if all of it is rounded to a type; None if unknown."""
        key = (case.feed.draw, dtype.name)
        if key not in self._explained:
            found = self._subject.explained(case, dtype, deadline=self.deadline)
            self._explained[key] = found
        return self._explained[key]

    def _decisive(self, source: Source, cases: list[Case], progress: Progress | None) -> None:
        """The feeds that decide on rounding; how many depends on what the first one costs."""
        wanted = self._options.draws
        draw, misses = 0, 0
        while len(cases) < wanted:
            _tell(progress, len(cases), wanted)
            try:
                case = self._case(source.decisive(draw))
            except NotComparableError:
                misses += 1
                if misses > _MOST_MISSES:
                    raise
                draw += 1
                continue
            if not self._suits(source, case):
                continue
            cases.append(case)
            draw += 1
            cost = case.multiplications
            if len(cases) == 1 and cost > _COSTLY:
                wanted = min(wanted, 1 if cost > _VERY_COSTLY else 2)
                self._note(f"{wanted} feeds only: one evaluation takes {cost / 1e9:.1f} G products")
            if len(cases) == wanted < _MOST_DRAWS and cost <= _COSTLY and _is_scarce(cases):
                wanted += 1

    def _stress(self, source: Source, cases: list[Case], progress: Progress | None) -> None:
        """Unnatural feeds, as far as the original takes them."""
        if not self.is_cheap:
            return
        for offset, family in enumerate(_STRESS):
            _tell(progress, len(cases), len(cases) + 1)
            try:
                case = self._case(source.stress(_STRESS_DRAW + offset, family))
            except NotComparableError as error:
                self._note(str(error))
                continue
            if case.truth is not None or cases[0].truth is None:
                cases.append(case)

    def _case(self, feed: Feed) -> Case:
        """The original on one feed, computed once."""
        key = (feed.draw, tuple(feed.binding.values()))
        if key not in self._kept:
            case = self._subject.case(feed, deadline=self.deadline)
            if case.narrow:
                self._note(f"in less than float64: {', '.join(case.narrow)}")
            self._kept[key] = case
        return self._kept[key]

    def _suits(self, source: Source, case: Case) -> bool:
        """Whether these sizes mean something to the model, as long as there are others.

        A size that the runtime accepts may still leave nothing behind the last pooling.
        """
        if (
            isinstance(source, CutFeeds)
            or len(source.bindings) == 1
            or case.complaint.startswith("no float64")
        ):
            return True
        arrays = [*next(iter(case.originals.values())).values(), *(case.truth or {}).values()]
        floats = [a for a in arrays if is_float(a)]
        defined = all(a.size and np.isfinite(a).mean() >= _SENSIBLE for a in floats)
        if defined and case.truth is not None:
            return True
        sizes = ", ".join(f"{s} = {n}" for s, n in case.feed.binding.items())
        source.bindings.remove(case.feed.binding)
        self._note(f"the original gives nothing sensible for {sizes}")
        source.ask(self._subject.run, deadline=self.deadline)
        return False

    def _asked(self, model: ir.Model) -> FeedSource:
        try:
            source = FeedSource(model, seed=self._options.seed)
            half = time.monotonic() + self._options.budget_seconds / 2
            source.ask(self._subject.run, deadline=half)
        except NoFeedError as error:
            raise NotComparableError(str(error)) from error
        self.domains = {name: f"{d} ({d.why})" for name, d in source.domains.items()}
        return source

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def _is_scarce(cases: Sequence[Case]) -> bool:
    """Whether some output is so small that the feeds so far say little about it."""
    seen: dict[str, int] = {}
    for case in cases:
        for name, array in next(iter(case.originals.values())).items():
            if is_float(array):
                seen[name] = seen.get(name, 0) + array.size
    return any(0 < count < _FEW_ELEMENTS for count in seen.values())


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress("original and float64 truth", done, max(total, done + 1))
