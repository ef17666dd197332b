"""Bodies judged on what the original hands them, noted while it is evaluated in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct, field
from msgspec.structs import replace

from normonnx.feeds.source import Feed
from normonnx.judge.bodies import Body, standalone
from normonnx.judge.options import VerifyOptions
from normonnx.judge.tiers.declared import declared_types
from normonnx.judge.verdict import Tier, Verdict
from normonnx.operators.kernels import Array, Inputs
from normonnx.oracle.execution import (
    Frame,
    LacksOperatorError,
    OracleFailedError,
    OverBudgetError,
    Step,
)
from normonnx.oracle.oracle import Oracle

Judging = Callable[[ir.Model, ir.Model, VerifyOptions], Verdict]
"""Judges two models."""

# Runs of one body on which it is judged.
_MOST_RUNS = 8
_FAILURES = (LacksOperatorError, OracleFailedError, OverBudgetError)


class Inside(Struct):
    """What was found inside of nodes.

    Attributes:
        tiers: what decides, or tells what was done.
        unseen: a sentence for each body of which something could not be compared.
    """

    tiers: list[Tier] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


class Handed:
    """Takes note of what bodies are handed.

    Args:
        bodies: the bodies.
        types: the types of floats of the original.
    """

    def __init__(self, bodies: Sequence[Body], types: Mapping[ir.Value, np.dtype[Any]]) -> None:
        self.runs: dict[Body, list[dict[str, Array]]] = {}
        self.odd: dict[Body, str] = {b: "it computes nothing" for b in bodies if not len(b.old)}
        self._types = types
        self._first = {node: body for body in bodies for node in list(body.old)[:1]}

    def __call__(self, step: Step, inputs: Inputs, outputs: Sequence[Any], frame: Frame) -> None:
        """Take note of a step."""
        body = self._first.get(step.node)
        if body is None:
            return
        found = {}
        for value, name in body.handed.items():
            array = self._narrowed(value, frame[value])
            if array is None:
                self.odd[body] = f"'{value.name}' is no tensor of a known type"
                return
            found[name] = array
        self.runs.setdefault(body, []).append(found)

    def _narrowed(self, value: ir.Value, found: Any) -> Array | None:
        """A value in the type that it has in the model; None where that is not known."""
        if not isinstance(found, np.ndarray | np.generic):
            return None
        array = np.asarray(found)
        if array.dtype != np.float64:
            return array
        dtype = self._types.get(value)
        with np.errstate(over="ignore"):
            return None if dtype is None else array.astype(dtype)


def judged(
    bodies: Sequence[Body],
    original: ir.Model,
    optimized: ir.Model,
    feeds: Sequence[Feed],
    options: VerifyOptions,
    judging: Judging,
    *,
    deadline: float,
) -> Inside:
    """Judge bodies.

    Args:
        bodies: the bodies.
        original: the original of which they are part, with functions inlined.
        optimized: the optimised model, likewise.
        feeds: what the original is evaluated on.
        options: how the models are compared.
        judging: judges two models.
        deadline: when to stop noting what is handed, on the clock of `time.monotonic`.
    """
    result = Inside()
    if not bodies:
        return result
    noted, complaint = _noted(bodies, original, feeds, deadline)
    for body in bodies:
        runs = _spread(noted.runs.get(body, []))
        told = noted.odd.get(body) or ("" if runs else complaint)
        if told:
            result.unseen.append(f"{body.title} is not compared: {told}")
        elif runs:
            _judge(body, runs, original, optimized, options, judging, result)
    return result


def _noted(
    bodies: Sequence[Body], original: ir.Model, feeds: Sequence[Feed], deadline: float
) -> tuple[Handed, str]:
    """What is handed, and why that may not be all."""
    handed = Handed(bodies, declared_types(original))
    oracle = Oracle(original, partly=True)
    complaint = ""
    if oracle.missing:
        complaint = f"there is no float64 reference for {', '.join(oracle.missing)}"
    local = set(original.graph.inputs) | {v for n in original.graph for v in n.outputs}
    wanted = {v for body in bodies for v in body.handed} & local
    for feed in feeds:
        try:
            oracle.run(feed.inputs, also=wanted, deadline=deadline, observer=handed)
        except _FAILURES as error:
            complaint = complaint or f"what it is handed cannot be computed: {error}"
    return handed, complaint


def _spread(runs: Sequence[dict[str, Array]]) -> list[dict[str, Array]]:
    """Some of the runs, the first and the last among them."""
    count = min(_MOST_RUNS, len(runs))
    return [runs[round(at)] for at in np.linspace(0, len(runs) - 1, count)]


def _judge(
    body: Body,
    runs: list[dict[str, Array]],
    original: ir.Model,
    optimized: ir.Model,
    options: VerifyOptions,
    judging: Judging,
    result: Inside,
) -> None:
    types = {name: ir.DataType.from_numpy(a.dtype) for name, a in runs[0].items()}
    results = [f"result {i} ({v.name})" for i, v in enumerate(body.old.outputs)]
    verdict = judging(
        standalone(body.old, body.handed, results, types, original),
        standalone(body.new, body.given, results, types, optimized),
        replace(options, data=lambda: runs, rtol=None, atol=None, sqnr_min=None, strict=False),
    )
    if verdict.status == "fail":
        message = f"in {body.title}: {verdict.first_failure}"
        result.tiers.append(Tier("T3", "rounding", "fail", message))
    elif verdict.status == "inconclusive":
        result.unseen.append(f"in {body.title}: {verdict.first_failure}")
    else:
        count = f"{len(runs)} run{'' if len(runs) == 1 else 's'}"
        message = f"{body.title} was judged as a model of its own, on {count}"
        result.tiers.append(Tier("T3", "rounding", "info", message))
