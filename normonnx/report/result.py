"""One result model: every report, in every format, is made from these and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field, to_builtins

from normonnx.errors import ExitCode
from normonnx.journal import NearMiss, Rewrite
from normonnx.rules import rule_name
from normonnx.shown import Shown

if TYPE_CHECKING:
    from normonnx.benching.result import BenchReport
    from normonnx.drawing import Picture
    from normonnx.judge import Verdict

SCHEMA = "normonnx.report/1"

Status = Literal["pass", "fail", "inconclusive", "unverified", "refused", "error", "unfit"]

EXIT_CODES: Mapping[Status, ExitCode] = {
    "pass": ExitCode.OK,
    "unverified": ExitCode.OK,
    "fail": ExitCode.VIOLATED,
    "unfit": ExitCode.VIOLATED,
    "refused": ExitCode.REFUSED,
    "inconclusive": ExitCode.INCONCLUSIVE,
    "error": ExitCode.INCONCLUSIVE,
}

Look = Literal["check", "diff"]

_WORST_FIRST = (
    ExitCode.INTERRUPTED,
    ExitCode.VIOLATED,
    ExitCode.USAGE,
    ExitCode.REFUSED,
    ExitCode.INCONCLUSIVE,
    ExitCode.OK,
)


def worst(codes: Iterable[int]) -> ExitCode:
    """The exit code that speaks for all: a wrong model is worse than one that was not judged."""
    present = set(codes)
    return next((code for code in _WORST_FIRST if code in present), ExitCode.OK)


class ModelFacts(Struct, frozen=True):
    """What a model is made of.

    Attributes:
        opset: version of the default operator set.
        ir_version: of the file format.
        nodes: in all graphs and functions.
        operators: nodes by operator, ``domain::op`` outside the default domain.
        parameters: elements of floating-point tensors.
        nbytes: bytes of all tensors.
        file_bytes: of the file and its data files, None where there is none.
    """

    opset: int
    ir_version: int
    nodes: int
    operators: dict[str, int]
    parameters: int
    nbytes: int
    file_bytes: int | None = None


class Reverted(Struct, frozen=True):
    """A rewrite that the judge found guilty and that was taken back."""

    rewrite: Rewrite
    reason: str


class Written(Struct, frozen=True):
    """The file that was written.

    Attributes:
        path: of the file, as it was asked for.
        sha256: of the file.
        nbytes: of the file and its data file.
        data: the data file, None without one.
        removed: data files of the model that was there before, which nothing refers to any more.
        left: data files of the model that was there before, which something else may need.
    """

    path: str
    sha256: str
    nbytes: int
    data: str | None = None
    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


class ModelReport(Shown, Struct, frozen=True):
    """What was done to one model, or why nothing was.

    Attributes:
        name: the file's name, or the graph's; the whole path where several have one name.
        source: the path of the model as it was named, "" where it came from memory.
        status: "pass", "fail" or "inconclusive" as judged; "unverified" when nobody asked;
            "refused" when the model could not be taken; "error" when something else went wrong;
            "unfit" when not all of a plan could be made.
        target: whose operators were written.
        before: the model as it came.
        after: the model as it is now.
        rewrites: those that stand.
        near_misses: sites left alone, and why.
        reverted: rewrites taken back.
        unfit: what of a plan could not be made, and why.
        notes: what was done besides.
        verdict: the judge's, None without one.
        written: the file, None when none was written.
        error: what went wrong, in one sentence.
        error_code: stable, such as ``NX-E10``; "" for what nobody foresaw.
        error_where: the file, tensor or node it is about.
        error_hint: the way out.
        pictures: of each kind of rewrite; not part of the JSON.
        bench: how fast both are, None where nobody asked.
        traceback: of the error; not part of the JSON.
        told_ratio: where there is no verdict any more, the ratio that an earlier run told.
        seconds: wall-clock time.
    """

    name: str
    status: Status
    target: str = "onnx"
    before: ModelFacts | None = None
    after: ModelFacts | None = None
    rewrites: tuple[Rewrite, ...] = ()
    near_misses: tuple[NearMiss, ...] = ()
    reverted: tuple[Reverted, ...] = ()
    unfit: tuple[NearMiss, ...] = ()
    notes: tuple[str, ...] = ()
    verdict: Verdict | None = None
    written: Written | None = None
    error: str = ""
    error_code: str = ""
    error_where: str = ""
    error_hint: str = ""
    pictures: tuple[Picture, ...] = ()
    bench: BenchReport | None = None
    traceback: str = ""
    seconds: float = 0.0
    told_ratio: float | None = None
    source: str = ""

    @property
    def ratio(self) -> float | None:
        """The distance to the float64 truth, in units of the original's; None if none is told."""
        return self.told_ratio if self.verdict is None else distance_ratio(self.verdict)

    @property
    def exit_code(self) -> ExitCode:
        """What the command line would exit with for this model alone."""
        return EXIT_CODES[self.status]

    @property
    def changed(self) -> bool:
        """Whether any rewrite stands."""
        return bool(self.rewrites)

    def rules(self) -> list[RuleLine]:
        """The rewrites and near misses by rule, in the order of the codes."""
        codes = {r.rule for r in self.rewrites} | {m.rule for m in self.near_misses}
        return [
            RuleLine(
                code,
                rule_name(code),
                tuple(r for r in self.rewrites if r.rule == code),
                tuple(m for m in self.near_misses if m.rule == code),
            )
            for code in sorted(codes)
        ]

    def line(self) -> str:
        """One stable line; see `RunReport.line`."""
        return RunReport((self,)).line()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; keys are stable within one version of the schema."""
        return {
            "name": self.name,
            "source": self.source,
            "status": self.status,
            "exit_code": int(self.exit_code),
            "target": self.target,
            "seconds": round(self.seconds, 3),
            "before": to_builtins(self.before),
            "after": to_builtins(self.after),
            "rules": [line.to_dict() for line in self.rules()],
            "rewrites": list(map(to_builtins, self.rewrites)),
            "near_misses": list(map(to_builtins, self.near_misses)),
            "reverted": list(map(to_builtins, self.reverted)),
            "unfit": list(map(to_builtins, self.unfit)),
            "notes": list(self.notes),
            "verdict": None if self.verdict is None else self.verdict.to_dict(),
            "bench": None if self.bench is None else self.bench.to_dict(),
            "written": to_builtins(self.written),
            "error": None
            if not self.error
            else {
                "code": self.error_code,
                "message": self.error,
                "where": self.error_where,
                "hint": self.error_hint,
            },
        }


class RuleLine(Struct, frozen=True):
    """One rule in one model: where it fired and where it nearly did."""

    code: str
    name: str
    fired: tuple[Rewrite, ...]
    missed: tuple[NearMiss, ...]

    @property
    def sites(self) -> int:
        """How many places the rule looked at in earnest."""
        return len(self.fired) + len(self.missed)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "code": self.code,
            "name": self.name,
            "fired": len(self.fired),
            "near_misses": len(self.missed),
        }


_WORDS: Mapping[ExitCode, str] = {
    ExitCode.OK: "PASS",
    ExitCode.VIOLATED: "FAIL",
    ExitCode.REFUSED: "REFUSED",
    ExitCode.INCONCLUSIVE: "INCONCLUSIVE",
    ExitCode.INTERRUPTED: "INTERRUPTED",
    ExitCode.USAGE: "USAGE",
}


class RunReport(Shown, Struct, frozen=True):
    """What one call of the command line did, to any number of models.

    Attributes:
        models: of those that were come to, in the order they were named.
        command: how it was called.
        versions: of what was worked with.
        interrupted: whether it was ended before its end.
        asked: how many models there were to do; 0 for as many as are told of.
        look: where nothing was to be written: whether it was asked if there is anything to do,
            which decides on the exit code, or what.
    """

    models: tuple[ModelReport, ...]
    command: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    asked: int = 0
    look: Look | None = None

    @property
    def exit_code(self) -> ExitCode:
        """The worst of the models'."""
        if self.interrupted:
            return ExitCode.INTERRUPTED
        code = worst(model.exit_code for model in self.models)
        found = code is ExitCode.OK and self.look == "check" and self.rewrites > 0
        return ExitCode.VIOLATED if found else code

    @property
    def rewrites(self) -> int:
        """In all models."""
        return sum(len(model.rewrites) for model in self.models)

    @property
    def ratio(self) -> float | None:
        """The worst distance to the float64 truth, in units of the original's own distance."""
        return max((m.ratio for m in self.models if m.ratio is not None), default=None)

    @property
    def speed(self) -> str:
        """The time of the only model that was measured against its original's; "" for none."""
        if len(self.models) != 1 or self.models[0].bench is None:
            return ""
        return self.models[0].bench.told()

    def word(self) -> str:
        """The outcome in one word."""
        code = self.exit_code
        if code is ExitCode.INCONCLUSIVE and not any(
            model.status == "inconclusive" for model in self.models
        ):
            return "ERROR"
        fine = all(model.exit_code is ExitCode.OK for model in self.models)
        if self.look is not None and fine and not self.interrupted:
            return "CHANGES" if self.rewrites else "CLEAN"
        if code is ExitCode.OK and any(model.status == "unverified" for model in self.models):
            return "UNVERIFIED"
        return _WORDS[code]

    def line(self) -> str:
        """One stable line for whoever greps, such as ``normonnx: PASS 3 models, 41 rewrites``."""
        models = max(self.asked, len(self.models))
        parts = [counted(models, "model"), counted(self.rewrites, "rewrite")]
        if self.ratio is not None:
            parts.append(distance_told(self.ratio))
        if self.speed:
            parts.append(self.speed)
        done = sum(EXIT_CODES[model.status] is ExitCode.OK for model in self.models)
        if models > 1 and done < models:
            parts.append(f"{models - done:,} not done")
        return f"normonnx: {self.word()} {', '.join(parts)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, the same form for one model and for many."""
        return {
            "schema": SCHEMA,
            "command": list(self.command),
            "versions": dict(self.versions),
            "summary": {
                "status": self.word().lower(),
                "exit_code": int(self.exit_code),
                "line": self.line(),
                "models": len(self.models),
                "asked": max(self.asked, len(self.models)),
                "rewrites": self.rewrites,
                "ratio": self.ratio,
            },
            "models": [model.to_dict() for model in self.models],
        }


class Verification(Shown, Struct, frozen=True):
    """A verdict on two models, as a report.

    Attributes:
        original: name of the one model.
        optimized: name of the other.
        verdict: on both.
        seconds: it took.
        command: how it was called, where it was.
    """

    original: str
    optimized: str
    verdict: Verdict
    seconds: float = 0.0
    command: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """By the verdict."""
        return EXIT_CODES[self.verdict.status]

    def line(self) -> str:
        """One stable line, such as ``normonnx: PASS 1 model, distance to float64 0.91x``."""
        ratio = distance_ratio(self.verdict)
        shown = "" if ratio is None else f", {distance_told(ratio)}"
        return f"normonnx: {_WORDS[self.exit_code]} 1 model{shown}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "schema": SCHEMA,
            "original": self.original,
            "optimized": self.optimized,
            "status": self.verdict.status,
            "exit_code": int(self.exit_code),
            "seconds": round(self.seconds, 3),
            "command": list(self.command),
            "verdict": self.verdict.to_dict(),
        }


def distance_ratio(verdict: Verdict | None) -> float | None:
    """The ratio that the line of the verdict tells; None if it tells none."""
    return None if verdict is None else verdict.headline_ratio


def distance_told(ratio: float) -> str:
    """What the last line tells of a ratio of distances."""
    return f"distance to float64 {ratio:.2f}x"


def counted(count: int, noun: str) -> str:
    """``1 model``, ``3 models``, ``1,234 rewrites``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
