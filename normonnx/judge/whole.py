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
from normonnx.judge.tiers.magnitudes import BySize
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

_NO_JUMP = 1e-9
"""How far rounding in float64 moves an element at most, relative to the largest."""


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
        rounded_to: the narrowest type of the original's weights, which its new ones may have too.
    """

    weights: Mapping[str, Array] | None
    attributes: Mapping[ir.Node, Mapping[str, float]]
    rounded_to: np.dtype[Any]

    def of_copy(self, copy: ir.Model) -> Meant:
        """The same of a copy of the model, whose nodes have the same outputs by name."""
        if not self.attributes:
            return self
        copies = {node.outputs[0].name: node for node in copy.graph.all_nodes() if node.outputs}
        found = {
            copies[node.outputs[0].name]: floats
            for node, floats in self.attributes.items()
            if node.outputs and node.outputs[0].name in copies
        }
        return replace(self, attributes=found)


def interface_tier(
    original: ir.Model, optimized: ir.Model, options: VerifyOptions
) -> InterfaceTier:
    """T0, without running anything."""
    report = interface.compare(original, optimized, frozen_initializers=options.freeze_initializers)
    violations, warnings = report.violations, report.warnings
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
    return InterfaceTier(tier, tuple(report.notes), tuple(warnings))


def hold_against_runs(
    found: list[Tier], original: ir.Model, optimized: ir.Model, used: Sequence[Case]
) -> None:
    """Fail T0 where the optimised model declares sizes of outputs that the original's are not."""
    shapes = [
        {name: np.shape(array) for name, array in outputs.items()}
        for case in used
        for outputs in case.originals.values()
    ]
    told = interface.contradictions(original, optimized, shapes)
    if told:
        found[0] = Tier("T0", "interface", "fail", "; ".join(told))


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
    rounded_to = meant.rounded_to if exact is None else None
    for number, case in enumerate(chosen):
        if progress is not None:
            progress("float64 algebra", number, len(chosen))
        try:
            evaluation = oracle.run(case.feed.inputs, deadline=cases.deadline)
        except (LacksOperatorError, OracleFailedError, OverBudgetError) as error:
            message = f"not evaluated in float64: {error}" if str(error) else "no time was left"
            return Tier("T2", "algebra", "skipped", message)
        made = flattened(evaluation.outputs)
        found = _compared(cases, case, made, options, rounded_to)
        worst = max(worst, found, key=lambda r: r.gravity)
    seen = {name for c in chosen for name, t in (c.truth or {}).items() if t.dtype == _DOUBLE}
    if not seen - set(cases.random):
        return Tier("T2", "algebra", "skipped", "no output is a floating-point number")
    return _told(worst, len(chosen), rounded_to)


def _compared(
    cases: Cases,
    case: Case,
    made: dict[str, Any],
    options: VerifyOptions,
    rounded_to: np.dtype[Any] | None,
) -> algebra.AlgebraResult:
    """One feed: by the weights before they were rounded, or as far as rounding explains it.

    Args:
        cases: of the original.
        case: the feed.
        made: what the other model makes of it in float64.
        options: what replaces the rule for some outputs.
        rounded_to: the type of the weights where only the rounded ones are known.
    """
    truth = {n: t for n, t in (case.truth or {}).items() if n not in cases.random}
    if rounded_to is None:
        return _own_weights(cases, case, truth, made)
    ruled = {n: t for n, t in truth.items() if not options.replaces_rule(n)}
    found = _foreign(cases, case, ruled, made, rounded_to)
    others = {n: t for n, t in truth.items() if n not in ruled}
    left = algebra.compare_in_float64(others, made, _owned(case))
    if left.relative > algebra.PLAIN:
        left = _open(left, "on which what was asked for decides")
    return max(found, left, key=lambda result: result.gravity)


def _open(found: algebra.AlgebraResult, why: str) -> algebra.AlgebraResult:
    """A difference on which this tier does not decide."""
    return replace(found, excess=0.0, undecided=why)


def _told(worst: algebra.AlgebraResult, count: int, foreign: np.dtype[Any] | None) -> Tier:
    """The tier in a sentence.

    Args:
        worst: what there is most to tell of.
        count: how many feeds were compared.
        foreign: the narrowest type of the weights, where only the rounded ones are known.
    """
    feeds = f"{count} feed{'' if count == 1 else 's'}"
    if not worst.output:
        return Tier("T2", "algebra", "pass", f"equal in float64, {feeds}")
    far = f"'{worst.output}' differs in float64 by {worst.relative:.1e} of its size"
    if np.isinf(worst.relative):
        far = f"'{worst.output}' is in float64 of another shape, not finite, or no longer 0"
    if worst.undecided:
        return Tier("T2", "algebra", "info", f"{far}, {worst.undecided}, {feeds}")
    share = worst.relative / worst.excess if worst.excess else 0.0
    if worst.excess > 1:
        right = "a correct rewrite by less than 1e-9"
        if foreign is not None:
            right = f"rounding weights explains {share:.1e} at most"
        return Tier("T2", "algebra", "fail", f"{far}, {right}")
    agrees = f"'{worst.output}' agrees to {worst.relative:.1e} of its size in float64"
    if foreign is not None and worst.relative > algebra.PLAIN:
        agrees += f", explained by weights in {foreign.name}, which move it by up to {share:.1e}"
    return Tier("T2", "algebra", "pass", f"{agrees}, {feeds}")


def _own_weights(
    cases: Cases, case: Case, truth: dict[str, Array], made: dict[str, Any]
) -> algebra.AlgebraResult:
    """Compare where the weights are known before they were rounded."""
    originals = _owned(case)
    found = algebra.compare_in_float64(truth, made, originals)
    if found.excess <= 1:
        return found
    explained = _tenfold(cases.explained(case, _DOUBLE) or {})
    if cases.jumps:
        explained = {n: _without_jumps(by_size, truth[n]) for n, by_size in explained.items()}
    return algebra.compare_in_float64(
        truth, made, originals, replace(algebra.EXACT, explained=explained)
    )


def _without_jumps(explained: BySize, truth: Array) -> BySize:
    """The distances that are rounding in float64, and no jump, beside the largest element."""
    finite = np.abs(truth[np.isfinite(truth)])
    most = _NO_JUMP * float(finite.max(initial=0.0))
    return {size: distance for size, distance in explained.items() if distance.largest <= most}


def _foreign(
    cases: Cases,
    case: Case,
    truth: Mapping[str, Array],
    made: Mapping[str, Array],
    rounded_to: np.dtype[Any],
) -> algebra.AlgebraResult:
    """Compare where the weights are known as they were rounded."""
    originals = _owned(case)
    found = algebra.compare_in_float64(truth, made, originals, algebra.FOREIGN)
    if found.excess <= 1:
        return found
    if np.isinf(found.relative):
        return _open(found, "which is left to the outputs that run")
    explained = cases.explained(case, rounded_to)
    if explained is None:
        return _open(found, "and how much of that is rounding cannot be told")
    explained = _tenfold(explained)
    slack = algebra.Slack(algebra.PLAIN, explained=explained)
    found = algebra.compare_in_float64(truth, made, originals, slack)
    if any(np.isinf(d.largest) for d in explained.get(found.output, {}).values()):
        return _open(found, "as rounding its weights may move it without end")
    return found


def _owned(case: Case) -> dict[str, Array]:
    """The original's outputs as written, where their distance to the truth is rounding."""
    first = next(iter(case.originals.values()))
    return {name: o for name, o in first.items() if name not in case.disowned and is_float(o)}


def _tenfold(explained: Mapping[str, BySize]) -> dict[str, BySize]:
    return {
        name: {size: d.times(algebra.ROUNDED) for size, d in found.items()}
        for name, found in explained.items()
    }
