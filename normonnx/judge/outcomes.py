"""T3 and T4: every output of both models as they run, on every feed in every setting."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec.structs import replace

from normonnx.errors import MemoryLacksError
from normonnx.judge.cases import Cases, Progress
from normonnx.judge.compared import OutputResult
from normonnx.judge.comparison import (
    Place,
    compare_output,
    flattened,
    is_float,
    judged,
)
from normonnx.judge.options import VerifyOptions
from normonnx.judge.running import hosted
from normonnx.judge.subject import Case
from normonnx.judge.tiers import discrete, rounding
from normonnx.judge.tiers.declared import narrowest_weight
from normonnx.judge.verdict import Excuse, Grade, Tier
from normonnx.operators.kernels import Array
from normonnx.oracle.oracle import Oracle
from normonnx.runtime.parking import AnySession
from normonnx.runtime.sessions import SessionFailedError, SessionStarvedError, Setting

_REDRAWS = 3
# How far the original's own distance is raised: not, to how far an ulp moves it, to its promises.
_PLAIN, _MOVED, _PROMISED = range(3)
# The feeds say little about an output where the original itself is this far off.
_UNINFORMATIVE = 0.1


class Outcomes:
    """Compares the outputs of an optimised model with the original's.

    Args:
        original: the original model.
        cases: the original on its feeds.
        used: the cases to look at.
        sessions: the optimised model, loaded.
        options: how to compare.
        inner: outputs that are none of the model's own, but what a node reads at which it was cut.

    Attributes:
        cases: the cases looked at, fresh ones included.
        results: one per output, feed and setting.
        notes: what a reader should know.
        excuses: which differences beyond the rule were taken for chance, and why.
        own_difference: how far the original is from itself when it runs again; None if unknown.
    """

    def __init__(
        self,
        original: ir.Model,
        cases: Cases,
        used: Sequence[Case],
        sessions: Mapping[Setting, AnySession],
        options: VerifyOptions,
        inner: Container[str] = (),
    ) -> None:
        self._inner = inner
        self.cases: list[Case] = list(used)
        self.results: list[OutputResult] = []
        self.notes: list[str] = []
        self.excuses: list[Excuse] = []
        self.own_difference: float | None = None
        self._original = original
        self._source = cases
        self._sessions = sessions
        self._options = options
        self._jumps = cases.jumps
        self._coarse = narrowest_weight(original)
        # By output and setting, as the results name them.
        self._raises: dict[tuple[str, str], int] = {}
        self._found: dict[Setting, dict[str, list[OutputResult]]] = {}

    def compare(self, progress: Progress | None, *, may_redraw: bool) -> None:
        """Compare; what may be chance is looked at on fresh feeds, unless that is ruled out."""
        self._measure(self.cases, progress)
        self.results = self._judged()
        self._raise_allowances()
        broken = [r for r in self.results if not r.passed]
        if broken and may_redraw and self._may_be_chance(broken):
            self._redraw()
        self.own_difference = self._source.own_difference(self.cases[0])

    @property
    def providers(self) -> tuple[str, ...]:
        """Where the models really ran."""
        return tuple(dict.fromkeys(setting.provider for setting in self._sessions))

    def tiers(self) -> list[Tier]:
        """T3 and T4 as far as there are such outputs, and what could not be decided."""
        measured = [r for r in self.results if r.metrics is not None]
        found = _tier("T3", "rounding", measured, against=self._against())
        found += _tier("T4", "discrete", [r for r in self.results if r.metrics is None])
        found += [Tier("T3", "rounding", "inconclusive", m) for m in self._undecided()]
        return found

    def _against(self) -> str:
        """What the outputs were compared with, where that is not the float64 truth."""
        ruled = [r.output for r in self.results if not self._options.replaces_rule(r.output)]
        if self._source.missing and ruled:
            return f"to the original's own noise, as there is {self._source.missing}"
        disowned = sorted({n for c in self.cases for n in c.disowned if n in ruled})
        if disowned:
            names = ", ".join(f"'{n}'" for n in disowned)
            return f"{names} to the original's own noise, as ONNX Runtime is far from the standard"
        return ""

    @property
    def grade(self) -> Grade:
        """What the outputs were held against."""
        return "original" if self._against() else "truth"

    def _undecided(self) -> list[str]:
        """Why the comparison says too little, if it does."""
        decisive = [r for r in self.results if r.decisive and not r.inner]
        if not decisive:
            return ["there is no output to compare"]
        self._note_uninformative()
        return [
            f"nothing of '{name}' is finite on any feed"
            for name in {r.output: 0 for r in decisive}
            if not _has_finite(decisive, name) and not self._has_infinite(name)
        ]

    def _has_infinite(self, name: str) -> bool:
        """Whether the original gives infinities, which agree where they are equal."""
        found = (o.get(name) for case in self.cases for o in case.originals.values())
        return any(o is not None and is_float(o) and bool(np.isinf(o).any()) for o in found)

    def _note_uninformative(self) -> None:
        """Tell of outputs that these feeds leave cold, or that are all rounding."""
        for name, pairs in self._with_truth().items():
            t = np.concatenate([t.reshape(-1) for _, t in pairs])
            o = np.concatenate([o.reshape(-1) for o, _ in pairs])
            spread = float(t.std()) if t.size else 0.0
            off = float(np.sqrt(np.mean(np.square(o - t)))) if t.size else 0.0
            if t.size > 1 and spread == 0:
                self.notes.append(f"'{name}' has the same value everywhere on every feed")
            elif off > _UNINFORMATIVE * spread > 0:
                share = 100 * off / spread
                self.notes.append(
                    f"'{name}' says little on these feeds: rounding is {share:.0f} % of its range"
                )

    def _with_truth(self) -> dict[str, list[tuple[Array, Array]]]:
        """Each float output of the original with its truth, on each feed that decides."""
        values: dict[str, list[tuple[Array, Array]]] = {}
        for case in self.cases:
            if case.truth is None or not case.feed.decisive:
                continue
            for name, o in next(iter(case.originals.values())).items():
                t = None if name in case.disowned else case.truth.get(name)
                if t is not None and is_float(o) and o.shape == t.shape and np.isfinite(t).all():
                    values.setdefault(name, []).append((o.astype(np.float64), t))
        return values

    def _measure(self, cases: Sequence[Case], progress: Progress | None) -> None:
        """Run the optimised model on further cases, and compare what the rule need not decide."""
        for number, (setting, session) in enumerate(self._sessions.items()):
            if progress is not None:
                progress("optimised model", number, len(self._sessions))
            rows = self._found.setdefault(setting, {})
            for case in cases:
                for result in self._on_case(case, setting, session):
                    rows.setdefault(result.output, []).append(result)

    def _judged(self) -> list[OutputResult]:
        """Everything that was measured, by the rule where nothing replaces it."""
        results: list[OutputResult] = []
        for setting, rows in self._found.items():
            for name, row in rows.items():
                ruled = not self._options.replaces_rule(name)
                results.extend(self._ruled(row, self.cases, setting) if ruled else row)
        return results

    def _ruled(
        self, row: Sequence[OutputResult], cases: Sequence[Case], setting: Setting
    ) -> list[OutputResult]:
        """The rounding rule, applied to one output on all feeds."""
        name = row[0].output
        least = {c.feed.draw: self._allowance(c, name, setting) for c in cases}
        measured = [r for r in row if r.metrics is not None and r.decisive]
        rule = rounding.Rule(
            [r.metrics.levels for r in measured if r.metrics is not None],
            [least[r.draw] for r in measured],
            dtype=_dtype(name, cases, setting),
            coarse=self._coarse,
        )
        return [judged(r, rule, least[r.draw]) for r in row]

    def _allowance(self, case: Case, name: str, setting: Setting) -> rounding.Allowance:
        """What the original's own distance is raised to: always, where there is no truth."""
        has_truth = case.truth is not None and name not in case.disowned
        raises = self._raises.get((name, setting.label), _PLAIN)
        if has_truth and (raises == _PLAIN or not case.feed.decisive):
            return rounding.NOTHING
        promises = raises == _PROMISED
        found = self._source.allowances(case, setting, promises=promises)
        return found.get(name, rounding.NOTHING)

    def _raise_allowances(self) -> None:
        """Judge what broke the rule by how far rounding moves the original, as far as it takes."""
        before = {(r.output, r.setting): r for r in self.results if r.flaw == "rounding"}
        for raises in (_MOVED, _PROMISED):
            broken = _rows([r for r in self.results if r.flaw == "rounding"])
            if not broken:
                break
            self._raises |= dict.fromkeys(broken, raises)
            self.results = self._judged()
        still = _rows([r for r in self.results if not r.passed])
        for key, result in before.items():
            if key not in still:
                remark = "no farther than its types, or an ulp of its inputs, move the original"
                self._excuse(f"{result.message} ({result.setting}): {remark}", result)

    def _excuse(self, message: str, result: OutputResult) -> None:
        self.excuses.append(Excuse(message, result.excess))

    def _on_case(self, case: Case, setting: Setting, session: AnySession) -> list[OutputResult]:
        place = Place(case.feed.draw, setting.label, case.feed.decisive)
        try:
            found = flattened(session.run(case.feed.inputs))
        except SessionStarvedError as error:
            raise MemoryLacksError.of(f"ONNX Runtime: {error}") from error
        except SessionFailedError as error:
            message = f"the optimised model does not run on feed {place.draw}: {error}"
            where = ("*", place.draw, place.setting)
            return [OutputResult(*where, False, "missing", np.inf, message, None, True)]
        results = []
        for name, original in case.originals[setting].items():
            if name in self._source.random:
                continue
            truth = None if case.truth is None else case.truth.get(name)
            truth = None if name in case.disowned else truth
            result = compare_output(name, original, found.get(name), truth, place, self._options)
            result = replace(result, inner=name in self._inner)
            if result.flaw == "discrete":
                result = self._excused(result, original, found[name], case, setting)
            results.append(result)
        return results

    def _excused(
        self, result: OutputResult, original: Array, optimized: Array, case: Case, setting: Setting
    ) -> OutputResult:
        """A discrete difference is no error where the truth does not tell the candidates apart."""
        output = next((v for v in self._original.graph.outputs if v.name == result.output), None)
        choice = None if output is None else discrete.choice_behind(output)
        if choice is None or case.truth is None:
            return result
        name = str(choice.data.name)
        truth = Oracle(self._original).run(case.feed.inputs, also=(choice.data,)).extras[name]
        with hosted(self._original, self._options) as host:
            session = host.session(setting, marked={name: name})
            computed = session.run(case.feed.inputs).get(name)
        if computed is None:
            return result
        if discrete.excused(choice, original, optimized, truth, computed):
            remark = "differs within rounding"
            return replace(result, passed=True, flaw="", excess=0.0, message=remark)
        return result

    def _may_be_chance(self, broken: Sequence[OutputResult]) -> bool:
        """Whether what is broken could be a rare rounding rather than an error.

        A small breach can be; and of a model that jumps, a larger one.
        """
        if any(self._options.replaces_rule(r.output) for r in broken):
            return False
        most = rounding.MOST_PROMISED / rounding.RMS_FACTOR if self._jumps else rounding.CHANCE
        return all(r.flaw == "rounding" and r.excess <= most for r in broken)

    def _redraw(self) -> None:
        """Look again on fresh feeds: an output that most of them clear is cleared."""
        fresh = self._source.redrawn(_REDRAWS)
        if not fresh:
            return
        self.cases += fresh
        suspects = _rows([r for r in self.results if not r.passed])
        numbers = {c.feed.draw for c in fresh}
        self._raises = dict.fromkeys(_rows(self.results), _PROMISED)
        self._measure(fresh, None)
        again = self._judged()
        cleared = set()
        for suspect in suspects:
            votes = [r for r in again if (r.output, r.setting) == suspect and r.draw in numbers]
            if 2 * sum(r.passed for r in votes) > len(votes):
                cleared.add(suspect)
        remark = f"a lone breach, not confirmed on {len(fresh)} fresh feeds"
        self.results = []
        for result in again:
            if not result.passed and (result.output, result.setting) in cleared:
                self._excuse(f"{result.message}: {remark}", result)
                result = replace(result, passed=True, flaw="", message=remark)
            self.results.append(result)


def _tier(
    code: str, title: str, results: Sequence[OutputResult], *, against: str = ""
) -> list[Tier]:
    if not results:
        return []
    broken = [r for r in results if not r.passed]
    if broken:
        worst = max(broken, key=lambda r: r.excess)
        message = f"{worst.message} ({worst.setting}, feed {worst.draw})"
        return [Tier(code, title, "fail", message)]
    counts = (
        ("output", len({r.output for r in results})),
        ("feed", len({r.draw for r in results})),
        ("setting", len({r.setting for r in results})),
    )
    message = ", ".join(f"{n} {what}{'' if n == 1 else 's'}" for what, n in counts)
    return [Tier(code, title, "pass", f"{message}; {against}" if against else message)]


def _rows(results: Sequence[OutputResult]) -> set[tuple[str, str]]:
    """The outputs that results are of, each with its setting."""
    return {(result.output, result.setting) for result in results}


def _has_finite(results: Sequence[OutputResult], name: str) -> bool:
    """Whether any element of an output could be compared; an output of none needs none."""
    metrics = [r.metrics for r in results if r.output == name and not r.inner]
    found = [m for m in metrics if m is not None and m.elements]
    return not found or any(m.finite > 0 for m in found)


def _dtype(name: str, cases: Sequence[Case], setting: Setting) -> np.dtype[Any]:
    """The type of an output."""
    for case in cases:
        found = case.originals[setting].get(name)
        if found is not None:
            dtype: np.dtype[Any] = found.dtype
            return dtype
    return np.dtype(np.float32)
