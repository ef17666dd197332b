"""The original model, ready to be run: in ONNX Runtime in each setting, and in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct
from msgspec.structs import replace

from normonnx.feeds.source import Feed
from normonnx.judge.comparison import flattened, is_float
from normonnx.judge.graph_facts import jumps
from normonnx.judge.noise import (
    comparable,
    grouped,
    is_beyond,
    mean,
    moved,
    moved_weights,
    nudged,
    widest,
)
from normonnx.judge.options import VerifyOptions
from normonnx.judge.running import hosted, load
from normonnx.judge.tiers.declared import declared_types
from normonnx.judge.tiers.magnitudes import (
    ANYWHERE,
    FEW,
    NOWHERE,
    BySize,
    Distance,
    Level,
    levels,
)
from normonnx.operators.kernels import Array
from normonnx.oracle.execution import LacksOperatorError, OracleFailedError, OverBudgetError
from normonnx.oracle.oracle import Oracle
from normonnx.oracle.roundoff import BY_CHANCE, Roundoff, Types, steering
from normonnx.runtime.hosting import is_large
from normonnx.runtime.parking import AnySession
from normonnx.runtime.sessions import SessionFailedError, Setting

_DOUBLE = np.dtype(np.float64)
# How often an evaluation is rounded by chance, by the most multiplications it may take.
_SAMPLES = ((10_000_000, 8), (400_000_000, 2))
# A distance to the truth above this share of a group's largest element is looked at.
_SUSPECT = 0.01
# How often the inputs are moved by an ulp.
_NUDGES = 2


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
        disowned: outputs of which the runtime is farther from the truth than rounding explains.
    """

    feed: Feed
    originals: Mapping[Setting, Mapping[str, Any]]
    truth: Mapping[str, Any] | None
    complaint: str = ""
    narrow: tuple[str, ...] = ()
    multiplications: int = 0
    disowned: frozenset[str] = frozenset()


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
        self._options = options
        self._moved: dict[Setting, list[AnySession]] = {}
        self._steady = steering(model.graph)
        self._types: Types | None = None
        self._jumps: bool | None = None
        loaded = load(model, options, wanted, by_functions=True)
        self.sessions: dict[Setting, AnySession] = loaded.sessions
        for setting, complaint in loaded.complaints.items():
            self.notes.append(f"the original does not load ({setting.label}): {complaint}")
        if not self.sessions:
            complaint = list(loaded.complaints.values())[-1]
            raise NotComparableError(f"the original does not load in ONNX Runtime: {complaint}")

    @property
    def jumps(self) -> bool:
        """Whether its results may jump when what it is given changes a little."""
        if self._jumps is None:
            self._jumps = jumps(self._model)
        return self._jumps

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
        case = Case(feed, originals, truth, "", found.narrow, found.multiplications)
        return replace(case, disowned=self._disowned(case, deadline))

    def _disowned(self, case: Case, deadline: float) -> frozenset[str]:
        """The outputs that the runtime computes otherwise than the standard says.

        There the truth says nothing about how far rounding takes the original.
        """
        outputs = next(iter(case.originals.values()))
        truths = comparable(case.truth or {})
        found = {name: _odd(outputs.get(name), t) for name, t in truths.items()}
        suspects = {name: odd for name, odd in found.items() if odd}
        if not suspects:
            return frozenset()
        promised = self.promised(case, deadline=deadline)
        return frozenset(
            name
            for name, found in suspects.items()
            if name in promised and any(is_beyond(g, promised[name]) for g in found)
        )

    def promised(self, case: Case, *, deadline: float) -> dict[str, BySize]:
        """How far from the truth the types of the model let each output be on a feed.

        Empty where that takes too long.
        """
        if self._types is None:
            self._types = declared_types(self._model)
        try:
            return self._spread(case, self._types, deadline, NOWHERE)
        except (OracleFailedError, OverBudgetError):
            return {}

    def explained(
        self, case: Case, dtype: np.dtype[Any], *, deadline: float
    ) -> dict[str, BySize] | None:
        """How far each output moves if every weight and value is rounded to one type.

        None where that cannot be told: the model jumps, or it takes too long. Rounding to float64
        seldom makes it jump; where it does, a distance is far from what rounding is.
        """
        if case.truth is None or (self.jumps and dtype != np.float64):
            return None
        try:
            return self._spread(case, dtype, deadline, ANYWHERE)
        except (OracleFailedError, OverBudgetError):
            return None

    def _spread(
        self,
        case: Case,
        types: Types | np.dtype[Any],
        deadline: float,
        beyond: Distance,
    ) -> dict[str, BySize]:
        """The distances of evaluations that are rounded by chance, as if to nearest.

        ``beyond`` is that of outputs of which rounding leaves infinities or no numbers.
        """
        wanted = comparable(case.truth or {})
        count = next((n for most, n in _SAMPLES if case.multiplications <= most), 1)
        runs: dict[str, list[BySize]] = {name: [] for name in wanted}
        for seed in range(count):
            roundoff = Roundoff(
                types,
                seed=seed,
                weights=True,
                inputs=isinstance(types, np.dtype),
                steady=self._steady,
                sums=not isinstance(types, np.dtype),
            )
            run = self._oracle.run(case.feed.inputs, deadline=deadline, roundoff=roundoff)
            outputs = flattened(run.outputs)
            for name, t in wanted.items():
                runs[name].append(moved(t, outputs[name], BY_CHANCE, beyond))
        return {name: mean(found) for name, found in runs.items()}

    def moved(self, case: Case, setting: Setting) -> dict[str, BySize]:
        """How far each float output moves, as the model runs, if its inputs move by an ulp.

        If none of them is a float, its weights are moved. Empty where it does not run so.
        """
        base = comparable(case.originals[setting])
        centre = base if case.truth is None else comparable(case.truth)
        try:
            runs = self._runs_moved(case, setting)
        except SessionFailedError:
            return {}
        return {
            name: mean([moved(centre.get(name, o), r.get(name), 1.0, NOWHERE, o) for r in runs])
            for name, o in base.items()
        }

    def _runs_moved(self, case: Case, setting: Setting) -> list[dict[str, Any]]:
        """The outputs with the inputs, or else the weights, moved by an ulp."""
        feeds = [nudged(case.feed.inputs, seed=seed) for seed in range(_NUDGES)]
        session = self.sessions[setting]
        runs = [flattened(session.run(feed)) for feed in feeds if feed is not None]
        others = [] if runs else self._others(setting)
        return runs or [flattened(other.run(case.feed.inputs)) for other in others]

    def _others(self, setting: Setting) -> list[AnySession]:
        """The model with its weights moved by an ulp, for inputs that cannot be moved."""
        if setting not in self._moved:
            self._moved[setting] = []
            if not is_large(self._model):
                with hosted(moved_weights(self._model), self._options) as host:
                    self._moved[setting].append(host.session(setting))
        return self._moved[setting]

    def across_settings(self, case: Case) -> dict[str, BySize]:
        """How far the outputs in the different settings are from each other."""
        first, *others = case.originals.values()
        base = comparable(first)
        runs = {
            name: [moved(o, other.get(name), 1.0, NOWHERE) for other in others]
            for name, o in base.items()
        }
        return {name: widest(found) for name, found in runs.items() if found}

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


def _odd(o: Array | None, t: Array) -> list[Level]:
    """The groups of elements that are suspiciously far from the truth.

    A lone element that is small by cancellation says nothing.
    """
    if o is None or not is_float(o):
        return []
    defined = np.isfinite(o.astype(np.float64)) & np.isfinite(t)
    far = np.abs(o[defined].astype(np.float64) - t[defined])
    if not far.size:
        return []
    least = min(FEW, far.size)
    found = grouped(levels(t[defined], far, far))
    return [g for g in found if g.count >= least and g.original.rms > _SUSPECT * g.magnitude]


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
