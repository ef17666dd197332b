"""Models that chance or a selection makes hard to compare, cut and ready to be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir
from msgspec import Struct

from normonnx.judge.alignment import Alignment
from normonnx.judge.bodies import Bodies, bodies_of
from normonnx.judge.cases import Cases
from normonnx.judge.cutting import Container, Pair, cut, pair_of
from normonnx.judge.options import VerifyOptions
from normonnx.judge.running import hosted, load
from normonnx.judge.subject import NotComparableError
from normonnx.operators.kernels import Array
from normonnx.runtime.parking import AnySession
from normonnx.runtime.sessions import SessionFailedError, Setting


class Apart(Struct, frozen=True):
    """Two models with nodes cut.

    Attributes:
        pair: the models.
        cases: the original on its feeds.
        sessions: the optimised model, loaded.
    """

    pair: Pair
    cases: Cases
    sessions: Mapping[Setting, AnySession]

    @property
    def note(self) -> str:
        """What was done, in a sentence."""
        titles = self.pair.titles
        more = f" and {len(titles) - 3} more" if len(titles) > 3 else ""
        return (
            f"both models were cut at {', '.join(titles[:3])}{more}: what these read is compared, "
            "and both go on with what the original gives there"
        )


class Cutter:
    """Cuts models that are judged against one original, whose feeds are made once.

    Args:
        original: the model.
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
        self._readings = readings
        self._cases: dict[frozenset[str], Cases] = {}
        # What the user demands of all outputs is demanded of what really comes out.
        self._at_selections = not all(
            options.replaces_rule(str(v.name)) for v in original.graph.outputs
        )

    def bodies(self, aligned: Alignment | None) -> Bodies:
        """The graphs of nodes that are to be judged apart.

        Args:
            aligned: both models side by side; None where what differs was proved.
        """
        return bodies_of(aligned) if aligned is not None and self._at_selections else Bodies()

    def apart(
        self, optimized: ir.Model, cases: Cases, containers: Sequence[Container] = ()
    ) -> Apart | None:
        """Both models cut where they can be; None where they cannot or need not be.

        Args:
            optimized: the model to judge.
            cases: the original on its feeds.
            containers: nodes whose graphs are judged apart.
        """
        pair = pair_of(
            self._original, optimized, at_selections=self._at_selections, containers=containers
        )
        if pair is None:
            return None
        try:
            return self._cut(pair, cases)
        except (SessionFailedError, NotComparableError):
            return None  # what can only be run whole is compared whole

    def _cut(self, pair: Pair, cases: Cases) -> Apart | None:
        with hosted(pair.original, self._options) as host:
            session = host.session(cases.settings[0], marked=pair.marks)
        marks = set(pair.marks.values())

        def given(inputs: Mapping[str, Any]) -> dict[str, Any]:
            return {n: v for n, v in session.run(inputs).items() if n in marks}

        done = cut(pair, given(cases.any_feed().inputs))
        if done is None:
            return None
        fed = done.given

        def complete(inputs: Mapping[str, Any]) -> dict[str, Any]:
            try:
                return {**inputs, **{n: v for n, v in given(inputs).items() if n in fed}}
            except SessionFailedError as error:
                raise NotComparableError(f"the original does not run: {error}") from error

        # Another model may be cut at the same nodes and have another of what they read compared.
        key = done.read | fed
        if key not in self._cases:
            self._cases[key] = Cases(
                done.original,
                self._options,
                cases.settings,
                self._readings,
                feeds=cases.cut_feeds(complete),
            )
        its = self._cases[key]
        its.start_over()
        loaded = load(done.optimized, self._options, its.settings)
        return None if loaded.complaints else Apart(done, its, loaded.sessions)
