"""The original model, ready to be run: in ONNX Runtime in each setting, and in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.feeds.source import Feed
from normonnx.judge.comparison import flattened, is_float
from normonnx.judge.graph_facts import jumps
from normonnx.judge.options import VerifyOptions
from normonnx.judge.running import load
from normonnx.judge.tiers.declared import declared_types
from normonnx.judge.tiers.rounding import NOTHING, Promised
from normonnx.operators.kernels import Array
from normonnx.oracle.execution import LacksOperatorError, OracleFailedError, OverBudgetError
from normonnx.oracle.oracle import Oracle
from normonnx.oracle.roundoff import BY_CHANCE, Roundoff, Types
from normonnx.runtime.parking import AnySession
from normonnx.runtime.providers import PROVIDERS
from normonnx.runtime.sessions import SessionFailedError, Setting

# How often an evaluation is rounded by chance, by the most multiplications it may take.
_SAMPLES = ((10_000_000, 8), (400_000_000, 2))


class NotComparableError(Exception):
    """The original gives nothing to compare with; the message says why."""


class Case(Struct, frozen=True):
    """The original model on one feed.

    Attributes:
        feed: the feed.
        originals: its outputs in each setting.
        truth: its outputs in float64, None if they cannot be computed.
        complaint: why they cannot be, or "".
        narrow: operators that were computed in less than float64.
        multiplications: about how many the truth took.
    """

    feed: Feed
    originals: Mapping[Setting, Mapping[str, Any]]
    truth: Mapping[str, Any] | None
    complaint: str = ""
    narrow: tuple[str, ...] = ()
    multiplications: int = 0


class Subject:
    """The original model in every form in which it is run.

    Args:
        model: the model.
        options: where and how to run it.
        wanted: the settings to run it in.
        readings: float64 values of constants by name, as its rewrites read them.

    Attributes:
        sessions: the model loaded, in each setting in which it loads.
        notes: the settings in which it does not.

    Raises:
        NotComparableError: if it loads in none.
        EnvironmentLacksError: if a provider is not there.
    """

    def __init__(
        self,
        model: ir.Model,
        options: VerifyOptions,
        wanted: Sequence[Setting],
        readings: Mapping[str, Array] | None = None,
    ) -> None:
        self.notes: list[str] = []
        self._model = model
        self._oracle = Oracle(model, exact=readings)
        loaded = load(model, options, wanted, by_functions=True)
        self.sessions: dict[Setting, AnySession] = loaded.sessions
        for setting, complaint in loaded.complaints.items():
            self.notes.append(f"the original does not load ({setting.label}): {complaint}")
        for setting, session in self.sessions.items():
            if session.ran != PROVIDERS[setting.provider]:
                self.notes.append(f"{setting.label}: really ran on {session.ran}")
        if not self.sessions:
            complaint = list(loaded.complaints.values())[-1]
            raise NotComparableError(f"the original does not load in ONNX Runtime: {complaint}")

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run it in the first setting.

        Raises:
            SessionFailedError: if the runtime does not run it on these inputs.
        """
        return next(iter(self.sessions.values())).run(inputs)

    def case(self, feed: Feed, *, deadline: float, instead: str = "") -> Case:
        """Run it on a feed, in each setting and in float64.

        Args:
            feed: the feed.
            deadline: when to give up, on the clock of `time.monotonic`.
            instead: why there shall be no truth, or "" for there to be one.

        Raises:
            NotComparableError: if the runtime does not run it on this feed.
            OverBudgetError: if the deadline passes.
        """
        originals: dict[Setting, Mapping[str, Any]] = {}
        ran: dict[int, Mapping[str, Any]] = {}
        for setting, session in self.sessions.items():
            try:
                if id(session) not in ran:
                    ran[id(session)] = flattened(session.run(feed.inputs))
            except SessionFailedError as error:
                raise NotComparableError(
                    f"the original does not run on feed {feed.draw} ({setting.label}): {error}"
                ) from error
            originals[setting] = ran[id(session)]
        if self._oracle.missing:
            instead = f"no float64 reference for {', '.join(self._oracle.missing)}"
        if instead:
            return Case(feed, originals, None, instead)
        try:
            found = self._oracle.run(feed.inputs, deadline=deadline)
        except (LacksOperatorError, OracleFailedError) as error:
            return Case(feed, originals, None, f"the float64 truth cannot be computed: {error}")
        truth = flattened(found.outputs)
        instead = _otherwise(originals, truth)
        if instead:
            return Case(feed, originals, None, instead)
        return Case(feed, originals, truth, "", found.narrow, found.multiplications)

    def promised(self, case: Case, *, deadline: float) -> dict[str, Promised]:
        """How far from the truth the types of the model let each output be on a feed.

        Empty where that takes too long.
        """
        try:
            return self._spread(case, declared_types(self._model), deadline, NOTHING)
        except (OracleFailedError, OverBudgetError):
            return {}

    def explained(
        self, case: Case, dtype: np.dtype[Any], *, deadline: float
    ) -> dict[str, Promised] | None:
        """How far each output moves if every weight and value is rounded to one type.

        None where that cannot be told: the model jumps, or it takes too long.
        """
        if case.truth is None or jumps(self._model):
            return None
        try:
            return self._spread(case, dtype, deadline, Promised(math.inf, math.inf))
        except (OracleFailedError, OverBudgetError):
            return None

    def _spread(
        self,
        case: Case,
        types: Types | np.dtype[Any],
        deadline: float,
        beyond: Promised,
    ) -> dict[str, Promised]:
        """The distances of evaluations that are rounded by chance, as if to nearest.

        ``beyond`` is that of outputs of which rounding leaves infinities or no numbers.
        """
        truth = case.truth or {}
        wanted = {name: t for name, t in truth.items() if is_float(t) and t.size}
        count = next((n for most, n in _SAMPLES if case.multiplications <= most), 1)
        squares = dict.fromkeys(wanted, 0.0)
        largest = dict.fromkeys(wanted, 0.0)
        lost: set[str] = set()
        for seed in range(count):
            roundoff = Roundoff(types, seed=seed, weights=True)
            run = self._oracle.run(case.feed.inputs, deadline=deadline, roundoff=roundoff)
            outputs = flattened(run.outputs)
            for name, t in wanted.items():
                far = outputs[name] - t if outputs[name].shape == t.shape else np.zeros(1)
                defined = np.isfinite(far)
                lost |= {name} if (np.isfinite(t) & ~defined).any() else set()
                far = far[defined] / BY_CHANCE
                squares[name] += float(np.mean(np.square(far))) if far.size else 0.0
                largest[name] += float(np.abs(far).max(initial=0.0))
        found = {n: Promised(math.sqrt(squares[n] / count), largest[n] / count) for n in wanted}
        return found | dict.fromkeys(lost, beyond)

    def own_difference(self, case: Case) -> float:
        """How far it is from itself when it runs again on the same feed."""
        setting, session = list(self.sessions.items())[-1]
        again = flattened(session.run(case.feed.inputs))
        largest = 0.0
        for name, before in case.originals[setting].items():
            if is_float(before) and before.shape == again[name].shape:
                with np.errstate(invalid="ignore"):
                    difference = np.abs(again[name].astype(np.float64) - before.astype(np.float64))
                largest = max(largest, float(difference[np.isfinite(difference)].max(initial=0.0)))
        return largest


def _otherwise(originals: Mapping[Setting, Mapping[str, Any]], truth: Mapping[str, Any]) -> str:
    """Where the runtime gives another shape than the standard, as for a window without input."""
    for setting, outputs in originals.items():
        for name, o in outputs.items():
            t = truth.get(name)
            if t is not None and np.shape(t) != np.shape(o):
                return (
                    f"'{name}' has shape {np.shape(t)} by the standard and {np.shape(o)} in ONNX "
                    f"Runtime ({setting.label})"
                )
    return ""
