"""The judge: whether an optimised model computes what the original computes.

T0  interface    names, order, types, ranks, dimensions; ONNX Runtime loads the model
T1  certificates rewrites that were proved one by one, reported by who made them
T2  algebra      both models in float64
T3  rounding     both models as they run, against the float64 truth
T4  discrete     integers, truth values, texts
T5  coverage     what differs and no feed reaches; or nothing differs at all
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import onnx_ir as ir

from normonnx.errors import UsageError
from normonnx.feeds.source import shapes_of
from normonnx.judge import whole
from normonnx.judge.alignment import Alignment, align
from normonnx.judge.apart import Cutter
from normonnx.judge.cases import Cases, Progress
from normonnx.judge.divergence import Divergence
from normonnx.judge.locating.failure import located
from normonnx.judge.options import VerifyOptions
from normonnx.judge.outcomes import Outcomes
from normonnx.judge.running import load, settings, worse_loaded
from normonnx.judge.side_by_side import Compared, SideBySide
from normonnx.judge.subject import Case, NotComparableError
from normonnx.judge.tiers import algebra
from normonnx.judge.tiers.declared import narrowest_weight
from normonnx.judge.verdict import FeedNote, Grade, Tier, Verdict
from normonnx.operators.kernels import Array
from normonnx.ops.presence import needs_kernels

_PACKAGES = ("normonnx", "onnx", "onnxruntime", "onnxruntime-gpu", "onnx-ir", "numpy")


class Judge:
    """Judges optimised models against one original, whose feeds and truth are computed once.

    Args:
        original: the model to compare with; it is read and never changed.
        options: how to compare.
        readings: float64 values of constants of the original, as its rewrites read them: each is
            stored as that value rounded once. They enter the truth, and nothing that is run.
        kernels: whether a model to judge may have operators of the domain normonnx; then the models
            are run with the library too, if the original has any it is always.

    Raises:
        ValueError: if a constant does not hold what it is said to hold, rounded once.
        EnvironmentLacksError: if a provider is not there.
        UsageError, UnreadableModelError: if the user's data or tolerances are not usable.
    """

    def __init__(
        self,
        original: ir.Model,
        options: VerifyOptions | None = None,
        *,
        readings: Mapping[str, Array] | None = None,
        kernels: bool = False,
    ) -> None:
        if flaw := algebra.unfaithful(original, readings or {}):
            raise ValueError(flaw)
        self._original = original
        self._options = options or VerifyOptions()
        self._obstacle = ""
        _refuse_unknown(self._options.named_outputs, original)
        self._with_kernels = kernels or needs_kernels(original)
        self._wanted = settings(self._options, kernels=self._with_kernels)
        cutter = Cutter(original, self._options, readings)
        self._side_by_side = SideBySide(original, self._options, cutter, _judging)
        self._cases: Cases | None = None
        try:
            self._cases = Cases(original, self._options, self._wanted, readings)
        except NotComparableError as error:
            self._obstacle = str(error)

    @property
    def cases(self) -> Cases | None:
        """The feeds with the original's outputs, None if the original cannot be run."""
        return self._cases

    def judge(
        self,
        optimized: ir.Model,
        *,
        exact: Mapping[str, Array] | None = None,
        exact_attributes: Mapping[ir.Node, Mapping[str, float]] | None = None,
        certified: int | None = None,
        progress: Progress | None = None,
        locating: bool = False,
        repro: Path | None = None,
    ) -> Verdict:
        """Compare an optimised model with the original.

        Args:
            optimized: the model; it is read and never changed.
            exact: the float64 values of its new weights by name, if they are known; then the
                algebra decides.
            exact_attributes: float attributes of its new nodes before they were rounded.
            certified: how many rewrites were proved, if the caller proved any: what they change
                needs no feed that reaches it.
            progress: is called with what is being done, how much of it is done, and of how much.
            locating: whether to look for the first tensor that diverges, if parity fails.
            repro: where to write what fails, if parity fails.

        Raises:
            WriteError: if it cannot be written there.
        """
        start = time.monotonic()
        report = whole.interface_tier(self._original, optimized, self._options)
        found = [report.tier]
        if certified is not None:
            found.append(whole.certificate_tier(certified))
        used: list[Case] = []
        notes: list[str] = []
        unseen: list[str] = []
        compared: Compared | None = None
        if report.tier.status != "fail":
            aligned = align(self._original, optimized) if certified is None else None
            if self._needs_no_run(aligned) and not report.notes:
                self._load_only(optimized, found)
            elif self._cases is None:
                self._judge_unrun(optimized, certified, found)
            else:
                self._cases.start_over()
                rounded_to = narrowest_weight(self._original)
                meant = whole.Meant(exact, exact_attributes or {}, rounded_to)
                compared = self._side_by_side.run(
                    optimized, self._cases, meant, aligned, found, unseen, progress
                )
                notes += (self._cases if compared is None else compared.cases).notes
        outcomes = None if compared is None else compared.outcomes
        if outcomes is not None:
            used = outcomes.cases
            found += outcomes.tiers()
            whole.hold_against_runs(found, self._original, optimized, used)
            notes += outcomes.notes
        divergence = None
        if compared is not None and outcomes is not None and (locating or repro is not None):
            divergence, remarks = located(
                compared.original,
                compared.optimized,
                outcomes,
                self._options,
                repro=repro,
                differs=any(t.code == "T2" and t.status == "fail" for t in found),
            )
            notes += remarks
        elif repro is not None and any(t.status == "fail" for t in found):
            notes.append("there is nothing to replay: the models were not run")
        return self._verdict(
            found,
            used,
            outcomes,
            divergence,
            tuple(unseen),
            (*report.notes, *notes),
            report.warnings,
            time.monotonic() - start,
            foreign=exact is None,
        )

    def _judge_unrun(self, optimized: ir.Model, certified: int | None, found: list[Tier]) -> None:
        """What can be said of a model where the original gives nothing to compare with."""
        if worse := worse_loaded(self._original, optimized, self._options, self._wanted):
            found[0] = Tier("T0", "interface", "fail", worse)
            return
        told = f"nothing was run: {self._obstacle}"
        if certified is not None:
            told = f"{whole.certificate_tier(certified).message}, {told}; --no-verify writes it"
        found.append(Tier("T3", "rounding", "inconclusive", told))

    def _grade(self, outcomes: Outcomes | None, undecided: Sequence[Tier]) -> Grade:
        """What the verdict stands on."""
        if outcomes is not None:
            return outcomes.grade
        return "proof" if self._cases is None and undecided else "truth"

    def _needs_no_run(self, aligned: Alignment | None) -> bool:
        """Whether the models are equal; kernels of the library are judged by running them."""
        return aligned is not None and aligned.is_equal and not self._with_kernels

    def _load_only(self, optimized: ir.Model, found: list[Tier]) -> None:
        """What is equal by structure computes the same wherever it loads."""
        wanted = () if self._cases is None else self._cases.settings[:1]
        complaints = load(optimized, self._options, wanted).complaints
        for setting, complaint in complaints.items():
            message = f"the optimised model does not load ({setting.label}): {complaint}"
            found[0] = Tier("T0", "interface", "fail", message)
        if not complaints:
            found.append(Tier("T5", "coverage", "pass", whole.EQUAL))

    def _kernels(self) -> str:
        """What ran the operators of the domain normonnx."""
        if not self._with_kernels:
            return ""
        missing = {p: self._options.extensions.missing(p) for p in self._options.providers}
        if not any(missing.values()):
            return "functions and library"
        reasons = "; ".join(dict.fromkeys(filter(None, missing.values())))
        where = "" if all(missing.values()) else f" on {', '.join(filter(missing.get, missing))}"
        return f"functions only{where}, not the library: {reasons}"

    def _verdict(
        self,
        found: list[Tier],
        used: list[Case],
        outcomes: Outcomes | None,
        divergence: Divergence | None,
        unseen: tuple[str, ...],
        notes: tuple[str, ...],
        warnings: tuple[str, ...],
        seconds: float,
        *,
        foreign: bool,
    ) -> Verdict:
        if unseen:
            found = [*found, whole.coverage_tier(unseen)]
        # What ran tells more than what was computed, unless the computation is exact.
        order = {"T2": 1} if foreign else {}
        broken = sorted(
            (t for t in found if t.status == "fail"), key=lambda t: order.get(t.code, 0)
        )
        undecided = [t for t in found if t.status == "inconclusive"]
        failure = next(iter(broken or undecided), None)
        return Verdict(
            status="fail" if broken else "inconclusive" if undecided else "pass",
            tiers=tuple(found),
            outputs=() if outcomes is None else tuple(outcomes.results),
            feeds=tuple(_feed_note(c, self._original) for c in used),
            excuses=() if outcomes is None else tuple(outcomes.excuses),
            domains={} if self._cases is None else dict(self._cases.domains),
            unseen=unseen,
            notes=notes,
            warnings=warnings,
            first_failure="" if failure is None else failure.message,
            divergence=divergence,
            grade=self._grade(outcomes, undecided),
            providers=() if outcomes is None else outcomes.providers,
            asked_providers=self._options.providers,
            kernels="" if self._cases is None else self._kernels(),
            seed=self._options.seed,
            approximate=self._options.approximate,
            own_difference=None if outcomes is None else outcomes.own_difference,
            versions=_versions(),
            seconds=seconds,
        )


def verify(
    original: ir.Model,
    optimized: ir.Model,
    *,
    exact: Mapping[str, Array] | None = None,
    certified: int | None = None,
    options: VerifyOptions | None = None,
    progress: Progress | None = None,
    repro: Path | None = None,
) -> Verdict:
    """Compare two models.

    Args:
        original: the model that is right by definition.
        optimized: the model that should compute the same.
        exact: the float64 values of the optimised model's new weights by name, if known.
        certified: how many rewrites were proved, if the caller proved any.
        options: how to compare.
        progress: is called with what is being done, how much of it is done, and of how much.
        repro: where to write the smallest failing window and its data, if parity fails.

    Raises:
        WriteError: if it cannot be written there.
        EnvironmentLacksError: if a provider is not there.
        UsageError, UnreadableModelError: if the user's data or tolerances are not usable.
    """
    judge = Judge(original, options, kernels=needs_kernels(optimized))
    return judge.judge(
        optimized, exact=exact, certified=certified, progress=progress, locating=True, repro=repro
    )


def _judging(original: ir.Model, optimized: ir.Model, options: VerifyOptions) -> Verdict:
    """Compare two models that are parts of others."""
    return verify(original, optimized, options=options)


def _refuse_unknown(names: frozenset[str], model: ir.Model) -> None:
    known = [str(v.name) for v in model.graph.outputs]
    for name in sorted(names):
        if name not in known:
            raise UsageError(
                f"a tolerance is set for '{name}', which is no output",
                hint=f"the outputs are {', '.join(known)}",
            )


def _feed_note(case: Case, original: ir.Model) -> FeedNote:
    """What a feed was; what was fed in the place of nodes is none of the model's inputs."""
    feed = case.feed
    names = {value.name for value in original.graph.inputs}
    inputs = {name: value for name, value in feed.inputs.items() if name in names}
    return FeedNote(feed.draw, feed.title, feed.binding, shapes_of(inputs), feed.decisive)


@cache
def _versions() -> Mapping[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
