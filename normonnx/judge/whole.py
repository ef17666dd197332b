"""The tiers that look at the models as wholes: interface, certificates, algebra."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct
from msgspec.structs import replace

from normonnx.judge.cases import Cases, Progress
from normonnx.judge.comparison import flattened, is_float
from normonnx.judge.options import VerifyOptions
from normonnx.judge.subject import Case
from normonnx.judge.tiers import algebra, interface
from normonnx.judge.tiers.declared import narrowest_weight
from normonnx.judge.tiers.rounding import Promised
from normonnx.judge.tiers.saturation import logarithm, logarithm_of
from normonnx.judge.verdict import Tier
from normonnx.operators.kernels import Array
from normonnx.oracle.execution import (
    LacksOperatorError,
    OracleFailedError,
    OverBudgetError,
)
from normonnx.oracle.oracle import Oracle

EQUAL = "equal by structure: nothing to run"
"""What is said of two models that do the same to the same inputs and weights."""

_DOUBLE = np.dtype(np.float64)


class InterfaceTier(Struct, frozen=True):
    """T0 with what is not decisive in it."""

    tier: Tier
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


class Meant(Struct, frozen=True):
    """What an optimised model holds, before it was rounded.

    Attributes:
        weights: float64 values of its new weights by name, None if they are not known.
        attributes: float attributes of its new nodes.
    """

    weights: Mapping[str, Array] | None
    attributes: Mapping[ir.Node, Mapping[str, float]]


def interface_tier(
    original: ir.Model, optimized: ir.Model, options: VerifyOptions
) -> InterfaceTier:
    """T0, without running anything."""
    report = interface.compare(original, optimized)
    violations, warnings = list(report.violations), list[str]()
    complaint = interface.checker_complaint(optimized)
    if complaint is not None:
        known = interface.checker_complaint(original) is not None
        also = " (against the original too)" if known else ""
        sentence = f"onnx.checker says against the optimised model{also}: {complaint}"
        (violations if options.strict_onnx else warnings).append(sentence)
    if violations:
        tier = Tier("T0", "interface", "fail", "; ".join(violations))
    else:
        tier = Tier("T0", "interface", "pass", "inputs and outputs are as they were")
    return InterfaceTier(tier, report.notes, tuple(warnings))


def certificate_tier(certified: int) -> Tier:
    """T1, as it was handed in."""
    plural = "" if certified == 1 else "s"
    message = f"{certified} rewrite{plural} proved one by one"
    return Tier("T1", "certificates", "pass", message)


def uncompared(names: Iterable[str], random: Container[str]) -> list[str]:
    """A sentence for each output that was not compared."""
    chance = ", as it depends on random numbers"
    return [f"output '{n}' is not compared{chance if n in random else ''}" for n in names]


def coverage_tier(unseen: Sequence[str]) -> Tier:
    """T5, where something was not seen."""
    return Tier("T5", "coverage", "inconclusive", "; ".join(unseen))


def algebra_tier(
    optimized: ir.Model,
    cases: Cases,
    used: Sequence[Case],
    meant: Meant,
    options: VerifyOptions,
    progress: Progress | None,
) -> Tier:
    """T2: equal where exact weights are known, and otherwise as far as rounding them explains."""
    if cases.missing:
        return Tier("T2", "algebra", "skipped", cases.missing)
    exact = meant.weights
    unfaithful = None if exact is None else algebra.unfaithful(optimized, exact, meant.attributes)
    if unfaithful is not None:
        return Tier("T2", "algebra", "fail", unfaithful)
    oracle = Oracle(optimized, exact=exact, exact_attributes=meant.attributes)
    known = [c for c in used if c.truth is not None]
    chosen = known if cases.is_cheap else [c for c in known if c.feed.decisive][:1]
    worst = algebra.AlgebraResult("", 0.0, 0.0)
    for number, case in enumerate(chosen):
        if progress is not None:
            progress("float64 algebra", number, len(chosen))
        try:
            evaluation = oracle.run(case.feed.inputs, deadline=cases.deadline)
        except (LacksOperatorError, OracleFailedError, OverBudgetError) as error:
            message = f"not evaluated in float64: {error}" if str(error) else "no time was left"
            return Tier("T2", "algebra", "skipped", message)
        made = flattened(evaluation.outputs)
        found = _compared(optimized, cases, case, made, options, is_foreign=exact is None)
        worst = max(worst, found, key=lambda r: r.excess)
    return _told(worst, len(chosen), is_foreign=exact is None)


def _compared(
    optimized: ir.Model,
    cases: Cases,
    case: Case,
    made: dict[str, Any],
    options: VerifyOptions,
    *,
    is_foreign: bool,
) -> algebra.AlgebraResult:
    """One feed: by the weights before they were rounded, or as far as rounding explains it."""
    truth = {n: t for n, t in (case.truth or {}).items() if n not in cases.random}
    if not is_foreign:
        return _own_weights(cases, case, truth, made)
    ruled = {n: t for n, t in truth.items() if not options.replaces_rule(n)}
    return _foreign(optimized, cases, case, ruled, made)


def _told(worst: algebra.AlgebraResult, count: int, *, is_foreign: bool) -> Tier:
    """The tier in a sentence."""
    feeds = f"{count} feed{'' if count == 1 else 's'}"
    if worst.excess > 1:
        right = "a correct rewrite by less than 1e-9"
        if is_foreign:
            share = worst.relative / worst.excess
            right = f"rounding weights explains {share:.1e} at most"
        message = (
            f"'{worst.output}' differs in float64 by {worst.relative:.1e} of its size, {right}"
        )
        return Tier("T2", "algebra", "fail", message)
    distance = f"'{worst.output}' agrees to {worst.relative:.1e}" if worst.output else "equal"
    return Tier("T2", "algebra", "pass", f"{distance} in float64, {feeds}")


def _own_weights(
    cases: Cases, case: Case, truth: dict[str, Array], made: dict[str, Any]
) -> algebra.AlgebraResult:
    """Compare where the weights are known before they were rounded."""
    for outputs in (truth, made):
        for name in cases.saturating:
            if name in outputs:
                outputs[logarithm_of(name)] = logarithm(outputs[name], _DOUBLE)
    found = algebra.compare_in_float64(truth, made, _own(case))
    if found.excess <= 1:
        return found
    explained = cases.explained(case, _DOUBLE) or {}
    return algebra.compare_in_float64(truth, made, _own(case), _tenfold(explained))


def _foreign(
    optimized: ir.Model,
    cases: Cases,
    case: Case,
    truth: Mapping[str, Array],
    made: Mapping[str, Array],
) -> algebra.AlgebraResult:
    """Compare where the weights are known as they were rounded."""
    found = algebra.compare_in_float64(truth, made, _own(case))
    if found.relative <= algebra.PLAIN or np.isinf(found.relative):
        return replace(found, excess=min(found.excess, 1.0))
    explained = cases.explained(case, narrowest_weight(optimized))
    if explained is None:
        return replace(found, excess=min(found.excess, 1.0))
    slack = _tenfold(explained)
    return algebra.compare_in_float64(truth, made, _own(case), slack, algebra.PLAIN)


def _tenfold(explained: Mapping[str, Promised]) -> dict[str, float]:
    return {name: algebra.ROUNDED * p.largest for name, p in explained.items()}


def _own(case: Case) -> dict[str, float]:
    """The greatest |o − t| of each float output, where the original runs as written."""
    result = {}
    for name, o in next(iter(case.originals.values())).items():
        t = (case.truth or {}).get(name)
        if t is not None and is_float(o) and t.shape == o.shape:
            with np.errstate(invalid="ignore"):
                distance = np.abs(o.astype(np.float64) - t)
            result[name] = float(distance[np.isfinite(distance)].max(initial=0.0))
    return result
