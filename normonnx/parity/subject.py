"""The original model, ready to be run: in ONNX Runtime in each setting, and in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.parity.comparison import flattened, is_float
from normonnx.parity.execution import LacksOperatorError, OracleFailedError
from normonnx.parity.feeds import Feed
from normonnx.parity.hosting import AnySession, hosted
from normonnx.parity.options import PROVIDERS, VerifyOptions
from normonnx.parity.oracle import Oracle
from normonnx.parity.sessions import SessionFailedError, Setting, settings


class NotComparableError(Exception):
    """The original gives nothing to compare with; the message says why."""


@dataclass(frozen=True, slots=True)
class Case:
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

    Attributes:
        sessions: the model loaded, in each setting in which it loads.
        notes: the settings in which it does not.

    Raises:
        NotComparableError: if it loads in none.
        EnvironmentLacksError: if a provider is not there.
    """

    def __init__(self, model: ir.Model, options: VerifyOptions) -> None:
        self.sessions: dict[Setting, AnySession] = {}
        self.notes: list[str] = []
        self._oracle = Oracle(model)
        complaint = ""
        with hosted(model, options) as host:
            for setting in settings(options.providers):
                try:
                    self.sessions[setting] = host.session(setting)
                except SessionFailedError as error:
                    complaint = str(error)
                    self.notes.append(f"the original does not load ({setting.label}): {error}")
        for setting, session in self.sessions.items():
            if session.ran != PROVIDERS[setting.provider]:
                self.notes.append(f"{setting.label}: really ran on {session.ran}")
        if not self.sessions:
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
        originals = {}
        for setting, session in self.sessions.items():
            try:
                originals[setting] = flattened(session.run(feed.inputs))
            except SessionFailedError as error:
                raise NotComparableError(
                    f"the original does not run on feed {feed.draw} ({setting.label}): {error}"
                ) from error
        if self._oracle.lacking:
            instead = f"no float64 reference for {', '.join(self._oracle.lacking)}"
        if instead:
            return Case(feed, originals, None, instead)
        try:
            found = self._oracle.run(feed.inputs, deadline=deadline)
        except (LacksOperatorError, OracleFailedError) as error:
            return Case(feed, originals, None, f"the float64 truth cannot be computed: {error}")
        truth = flattened(found.outputs)
        return Case(feed, originals, truth, "", found.narrow, found.multiplications)

    def own_difference(self, case: Case) -> float:
        """How far it is from itself when it runs again on the same feed."""
        setting, session = list(self.sessions.items())[-1]
        again = flattened(session.run(case.feed.inputs))
        largest = 0.0
        for name, before in case.originals[setting].items():
            if is_float(before) and before.shape == again[name].shape:
                difference = np.abs(again[name].astype(np.float64) - before.astype(np.float64))
                largest = max(largest, float(difference[np.isfinite(difference)].max(initial=0.0)))
        return largest
