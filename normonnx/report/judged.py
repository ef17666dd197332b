"""What JUnit, Markdown and GitHub have in common: a result as models with their verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from normonnx.errors import ExitCode, UsageError
from normonnx.judge import Verdict
from normonnx.report.json import Reportable
from normonnx.report.result import ModelReport, RunReport, Verification


class Judged(Struct, frozen=True):
    """One model of a result.

    Attributes:
        name: of the model, or of the pair.
        status: ``pass``, ``fail``, ``inconclusive``, ``unverified``, ``refused`` or ``error``.
        verdict: the judge's, None without one.
        trouble: what went wrong, one sentence, or "".
        report: of its optimisation, None where two models were compared.
        seconds: how long it took.
        path: of the model's file, as it was named, or "".
    """

    name: str
    status: str
    verdict: Verdict | None
    trouble: str
    report: ModelReport | None
    seconds: float
    path: str = ""

    @property
    def has_work(self) -> bool:
        """Whether there is anything to rewrite."""
        return self.report is not None and bool(self.report.rewrites)


def judged(result: Reportable) -> Sequence[Judged]:
    """The models of a result.

    Raises:
        UsageError: if the result is not of ``optimize`` or ``verify``.
    """
    if isinstance(result, Verification):
        name = f"{result.original} → {result.optimized}"
        verdict = result.verdict
        return [Judged(name, verdict.status, verdict, _trouble(verdict), None, result.seconds)]
    if isinstance(result, RunReport):
        return [_model(report) for report in result.models]
    raise UsageError(
        "this format is for what was judged", hint="use it with optimize or verify; json takes all"
    )


def line_of(result: Reportable) -> str:
    """The stable line of a result."""
    line: str = result.line() if isinstance(result, RunReport | Verification) else ""
    return line


def exit_code_of(result: Reportable) -> ExitCode:
    """What the command line exits with."""
    return result.exit_code if isinstance(result, RunReport | Verification) else ExitCode.OK


def _model(report: ModelReport) -> Judged:
    trouble = report.error or (_trouble(report.verdict) if report.verdict is not None else "")
    return Judged(
        report.name, report.status, report.verdict, trouble, report, report.seconds, report.source
    )


def _trouble(verdict: Verdict) -> str:
    return "" if verdict.passed else verdict.first_failure
