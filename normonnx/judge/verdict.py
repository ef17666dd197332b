"""The verdict: what was compared, how far it was, and whether the models compute the same."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, to_builtins

from normonnx.judge.compared import OutputResult
from normonnx.judge.metrics import ULP_CLASSES
from normonnx.judge.summary import Numbers, Summary, summaries
from normonnx.judge.tiers.rounding import MOST_PROMISED

if TYPE_CHECKING:
    from normonnx.judge.divergence import Divergence

SCHEMA = "normonnx.verdict/1"

# Above this many, a distance is told as what it is.
_COUNTABLE_ULPS = 1e4
# Metrics that are told otherwise than as a number.
_APART = frozenset(("histogram", "levels"))

Status = Literal["pass", "fail", "inconclusive"]
Grade = Literal["truth", "original", "proof"]
TierStatus = Literal["pass", "fail", "info", "skipped", "inconclusive"]


class Tier(Struct, frozen=True):
    """One stage of the comparison.

    Attributes:
        code: ``T0`` to ``T5``.
        title: what it looks at.
        status: ``info`` if what was found does not decide.
        message: what was found, one sentence.
    """

    code: str
    title: str
    status: TierStatus
    message: str


class FeedNote(Struct, frozen=True):
    """What one feed was.

    Attributes:
        draw: its number.
        title: its family of values, or the name of the user's file.
        binding: the sizes of the open dimensions.
        shapes: the shapes of the inputs.
        decisive: whether rounding was judged on it.
    """

    draw: int
    title: str
    binding: Mapping[str, int]
    shapes: Mapping[str, tuple[int, ...]]
    decisive: bool


class Excuse(Struct, frozen=True):
    """A difference beyond the rule that was taken for chance.

    Attributes:
        message: what differed, and why that is no error.
        times: how far it was, over what the rule allows.
    """

    message: str
    times: float


class Verdict(Struct, frozen=True):
    """What the judge says.

    Attributes:
        status: ``pass``, ``fail`` or ``inconclusive``.
        tiers: the stages in order, each with what it found.
        outputs: every comparison that was made.
        feeds: the feeds that were used.
        domains: what each input was taken to hold, by name.
        excuses: which differences beyond the rule were taken for chance, and why.
        unseen: outputs, branches and weights that differ or may, and that nothing was compared
            for, each in a sentence.
        notes: what a reader should know, such as what was left out for lack of time.
        warnings: what does not decide but is likely to be wrong.
        first_failure: the first thing that is wrong, one sentence, or "".
        divergence: the first tensor that diverges, if it was looked for and found.
        providers: where the models really ran; nothing where they did not run.
        asked_providers: where they were to run.
        grade: what the verdict stands on: the float64 ``truth``, the outputs of the ``original``,
            or the ``proof`` of each rewrite alone, where nothing was run.
        kernels: what ran the operators of the domain normonnx: the functions that a model carries,
            the library, or both; "" where there are none.
        seed: the seed of the feeds.
        approximate: whether a tolerance of the user replaced the rounding rule.
        own_difference: the greatest distance of the original to itself when it ran again on the
            same feed; None if it did not.
        versions: of the packages involved.
        seconds: how long it took.
    """

    status: Status
    tiers: tuple[Tier, ...] = ()
    outputs: tuple[OutputResult, ...] = ()
    feeds: tuple[FeedNote, ...] = ()
    domains: Mapping[str, str] | None = None
    excuses: tuple[Excuse, ...] = ()
    unseen: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    first_failure: str = ""
    divergence: Divergence | None = None
    providers: tuple[str, ...] = ()
    asked_providers: tuple[str, ...] = ()
    grade: Grade = "truth"
    kernels: str = ""
    seed: int = 0
    approximate: bool = False
    own_difference: float | None = None
    versions: Mapping[str, str] | None = None
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether parity holds."""
        return self.status == "pass"

    @property
    def worst(self) -> OutputResult | None:
        """The comparison that decides the headline: the greatest excess among the decisive ones."""
        measured = [r for r in self.outputs if r.metrics is not None and r.decisive]
        broken = [r for r in measured if not r.passed]
        outer = [r for r in measured if not r.inner]
        return max(broken or outer or measured, key=lambda r: r.excess, default=None)

    @property
    def summaries(self) -> list[Summary]:
        """The numbers of each output over all feeds and settings, as every report tells them."""
        return summaries(self.outputs)

    @property
    def headline_ratio(self) -> float | None:
        """The ratio that the line of a pass tells; None where it tells a distance instead.

        What fails tells another: by how much one output breaks the rule on one feed.
        """
        told = self._told() if self.passed else None
        return told.ratio if told is not None and told.ratio <= MOST_PROMISED else None

    def _told(self) -> Numbers | None:
        """The numbers of the output that decides the headline."""
        worst = self.worst
        rows = [r for r in self.outputs if worst is not None and r.output == worst.output]
        return Summary.of(rows).numbers if rows else None

    def __repr__(self) -> str:
        return f"<Verdict: {self.line()}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the line, and the first thing that is wrong."""
        return f"<pre>{html.escape(self.line())}</pre>"

    def line(self) -> str:
        """One stable line, such as ``parity PASS  logits: 0.91× …``."""
        head = f"parity {self.status.upper()}  "
        parts = [] if self.grade == "truth" else [f"grade {self.grade}"]
        parts += [self.first_failure] if self.status != "pass" else self._headline()
        if self.excuses:
            worst = max(excuse.times for excuse in self.excuses)
            count = f"{len(self.excuses)} breach{'' if len(self.excuses) == 1 else 'es'}"
            parts.append(f"{count} excused as rounding, up to {worst:.2g}× what is allowed")
        parts += [sentence for sentence in self.unseen if sentence not in self.first_failure]
        if self.feeds:
            parts.append(self._feeds())
        parts += [self._where(), self.kernels]
        return head + " · ".join(p for p in parts if p)

    def _headline(self) -> list[str]:
        told = self._told()
        if told is None:
            if self.outputs:
                return ["discrete outputs equal"]
            return [t.message for t in self.tiers if t.code == "T5"]
        names = {r.output for r in self.outputs if not r.inner and r.metrics is not None}
        among = f" (farthest of {len(names)} outputs)" if len(names) > 1 else ""
        name = told.farthest.output
        return [f"{name}: {self._distance(told)}{among}", *self._farthest(name)]

    def _distance(self, told: Numbers) -> str:
        """How far the output that decides is from what it is compared with."""
        if self.approximate or self.grade != "truth" or not told.ratio <= MOST_PROMISED:
            return f"at most {told.max_abs:.3g} from the original"
        if told.original == told.optimized == 0:
            return "exactly the float64 value"
        return f"{told.ratio:.2f}× the original's own distance to float64"

    def _farthest(self, decisive: str) -> list[str]:
        """Where an element is farthest from the original's, in units of the last place."""
        measured = [s.numbers for s in self.summaries if s.numbers is not None]
        outer = [n for n in measured if not n.farthest.inner]
        told = max(outer, key=lambda n: n.ulps, default=None)
        metrics = None if told is None else told.farthest.metrics
        if told is None or metrics is None or metrics.worst is None:
            return []
        if told.ulps == 0:
            return ["bitwise equal to the original"]
        far = f"{told.ulps:.2g} ulp" if told.ulps < _COUNTABLE_ULPS else f"{metrics.max_abs:.2g}"
        owner = "" if told.farthest.output == decisive else f"{told.farthest.output} "
        return [f"worst {far} at {owner}{list(metrics.worst.index)}"]

    def _where(self) -> str:
        """The providers, and those that others took the place of."""
        ran = ", ".join(p.upper() for p in self.providers)
        absent = [p.upper() for p in self.asked_providers if p not in self.providers]
        return f"{ran} ({', '.join(absent)} asked for)" if ran and absent else ran

    def _feeds(self) -> str:
        count = len(self.feeds)
        text = f"{count} feed{'s' if count != 1 else ''}"
        decisive = [f for f in self.feeds if f.decisive]
        symbols = list(dict.fromkeys(s for f in decisive for s in f.binding))
        shown = []
        for symbol in symbols[:3]:
            sizes = dict.fromkeys(f.binding[symbol] for f in decisive if symbol in f.binding)
            shown.append(f"{symbol} = {', '.join(map(str, sizes))}")
        return ", ".join([text, *shown])

    def to_dict(self) -> dict[str, Any]:
        """The verdict for JSON: stable order, no NaN and no infinity (null and a text instead)."""
        return {
            "schema": SCHEMA,
            "status": self.status,
            "passed": self.passed,
            "first_failure": self.first_failure,
            "divergence": None if self.divergence is None else self.divergence.to_dict(),
            "tiers": list(map(to_builtins, self.tiers)),
            "outputs": [_result(r) for r in self.outputs],
            "feeds": [
                {
                    "draw": f.draw,
                    "title": f.title,
                    "binding": dict(f.binding),
                    "shapes": {name: list(shape) for name, shape in f.shapes.items()},
                    "decisive": f.decisive,
                }
                for f in self.feeds
            ],
            "domains": dict(self.domains or {}),
            "excuses": list(map(to_builtins, self.excuses)),
            "unseen": list(self.unseen),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "grade": self.grade,
            "providers": list(self.providers),
            "asked_providers": list(self.asked_providers),
            "kernels": self.kernels,
            "seed": self.seed,
            "approximate": self.approximate,
            "own_difference": self.own_difference,
            "versions": dict(self.versions or {}),
            "seconds": round(self.seconds, 3),
        }


def _result(result: OutputResult) -> dict[str, Any]:
    metrics = None
    if result.metrics is not None:
        metrics = {k: _plain(v) for k, v in to_builtins(result.metrics).items() if k not in _APART}
        metrics["ratio"] = _plain(result.metrics.ratio)
        metrics["ulp_histogram"] = {
            "up_to": list(ULP_CLASSES),
            "counts": list(result.metrics.histogram),
        }
    return {
        "output": result.output,
        "draw": result.draw,
        "setting": result.setting,
        "passed": result.passed,
        "flaw": result.flaw,
        "excess": _plain(result.excess),
        "message": result.message,
        "metrics": metrics,
        "decisive": result.decisive,
        "inner": result.inner,
    }


def _plain(value: Any) -> Any:
    """Floats that JSON has no literal for become texts: ``inf``, ``-inf``, ``nan``."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(v) for v in value]
    return value
