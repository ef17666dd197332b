"""The verdict: what was compared, how far it was, and whether the models compute the same."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, to_builtins

from normonnx.judge.metrics import ULP_CLASSES, Metrics
from normonnx.judge.tiers.rounding import pooled_ratio

if TYPE_CHECKING:
    from normonnx.judge.divergence import Divergence

SCHEMA = "normonnx.verdict/1"

# Above this many, a distance is told as what it is.
_COUNTABLE_ULPS = 1e4

Status = Literal["pass", "fail", "inconclusive"]
Flaw = Literal["", "missing", "interface", "undefined", "rounding", "tolerance", "discrete"]
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


class OutputResult(Struct, frozen=True):
    """One output on one feed in one setting.

    Attributes:
        output: its name.
        draw: the number of the feed.
        setting: how both models were run, such as ``CPU, as shipped``.
        passed: whether it is within what is allowed.
        flaw: what kind of thing is wrong, or "".
        excess: distance over what is allowed, above 1 for a breach; inf where it is no distance.
        message: what is wrong, or "".
        metrics: None for discrete outputs.
        decisive: whether it counts.
        inner: whether it is an output on a logarithmic scale.
        promised: the distance to the truth that the original's types promise, where its own was
            raised to that; 0 where it was not.
    """

    output: str
    draw: int
    setting: str
    passed: bool
    flaw: Flaw
    excess: float
    message: str
    metrics: Metrics | None
    decisive: bool
    inner: bool = False
    promised: float = 0.0


class Verdict(Struct, frozen=True):
    """What the judge says.

    Attributes:
        status: ``pass``, ``fail`` or ``inconclusive``.
        tiers: the stages in order, each with what it found.
        outputs: every comparison that was made.
        feeds: the feeds that were used.
        domains: what each input was taken to hold, by name.
        unseen: outputs, branches and weights that differ or may, and that nothing was compared
            for, each in a sentence.
        notes: what a reader should know, such as what was left out for lack of time.
        warnings: what does not decide but is likely to be wrong.
        first_failure: the first thing that is wrong, one sentence, or "".
        divergence: the first tensor that diverges, if it was looked for and found.
        providers: where the models ran.
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
    unseen: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    first_failure: str = ""
    divergence: Divergence | None = None
    providers: tuple[str, ...] = ()
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
        return max(broken or outer, key=lambda r: r.excess, default=None)

    def ratio(self, output: str) -> float:
        """How far an output is from the truth over how far the original may be, on all feeds.

        That is the original's own distance, raised to what its types promise where that decided.
        """
        rows = [r for r in self.outputs if r.output == output and r.decisive and r.metrics]
        return pooled_ratio([r.metrics for r in rows if r.metrics], [r.promised for r in rows])

    @property
    def headline_ratio(self) -> float | None:
        """The ratio that the line of a pass tells; None if it is infinite.

        What fails tells another: by how much one output breaks the rule on one feed.
        """
        worst = self.worst if self.passed else None
        ratio = math.inf if worst is None else self.ratio(worst.output)
        return ratio if math.isfinite(ratio) else None

    def __repr__(self) -> str:
        return f"<Verdict: {self.line()}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the line, and the first thing that is wrong."""
        return f"<pre>{html.escape(self.line())}</pre>"

    def line(self) -> str:
        """One stable line, such as ``parity PASS  logits: 0.91× …``."""
        head = f"parity {self.status.upper()}  "
        parts = [self.first_failure] if self.status != "pass" else self._headline()
        parts += [sentence for sentence in self.unseen if sentence not in parts[0]]
        if self.feeds:
            parts.append(self._feeds())
        if self.providers:
            parts.append(", ".join(p.upper() for p in self.providers))
        parts.append(self.kernels)
        return head + " · ".join(p for p in parts if p)

    def _headline(self) -> list[str]:
        worst = self.worst
        if worst is None or worst.metrics is None:
            if self.outputs:
                return ["discrete outputs equal"]
            return [t.message for t in self.tiers if t.code == "T5"]
        names = {r.output for r in self.outputs if not r.inner}
        among = f" (farthest of {len(names)} outputs)" if len(names) > 1 else ""
        return [f"{worst.output}: {self._distance(worst, worst.metrics)}{among}", *self._farthest()]

    def _distance(self, worst: OutputResult, metrics: Metrics) -> str:
        """How far the output that decides is from what it is compared with."""
        ratio = self.ratio(worst.output)
        if metrics.rms_original == metrics.rms_optimized == 0:
            return "exactly the float64 value"
        if self.approximate or not math.isfinite(ratio):
            return f"at most {metrics.max_abs:.3g} from the original"
        if worst.promised > metrics.rms_original:
            return f"{ratio:.2f}× the distance to float64 that the original's types promise"
        return f"{ratio:.2f}× the original's own distance to float64"

    def _farthest(self) -> list[str]:
        """Where an element is farthest from the original's, in units of the last place."""
        farthest = max(
            (r for r in self.outputs if r.metrics is not None and r.decisive and not r.inner),
            key=lambda r: r.metrics.ulps if r.metrics is not None else 0.0,
        )
        metrics = farthest.metrics
        if metrics is None or metrics.worst is None:
            return []
        if metrics.ulps == 0:
            return ["bitwise equal to the original"]
        is_countable = metrics.ulps < _COUNTABLE_ULPS
        far = f"{metrics.ulps:.2g} ulp" if is_countable else f"{metrics.max_abs:.2g}"
        is_worst = self.worst is not None and farthest.output == self.worst.output
        owner = "" if is_worst else f"{farthest.output} "
        return [f"worst {far} at {owner}{list(metrics.worst.index)}"]

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
            "unseen": list(self.unseen),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "providers": list(self.providers),
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
        metrics = {k: _plain(v) for k, v in to_builtins(result.metrics).items() if k != "histogram"}
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
        "promised": _plain(result.promised),
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
