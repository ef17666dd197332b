"""How often the judge is wrong: alarms at correct models, faults that it misses.

    python -m benchmarks.judge [--correct N] [--faulty N] [--seconds S] [--shard I/N] [--first SEED]

Correct models are what normonnx makes of random networks with BatchNorm and affine arithmetic
(tests/networks) and of random spellings of LayerNorm and RMSNorm (tests/norm), each judged with the
float64 weights and as if another tool had made it. Faulty ones are these, and the models of models/
and ../shared/models, with a fault of `judge_faults`; a fault counts if it moves some output in
float64 by more than 1e-6 of its largest element on the judge's feeds. The rules of other tools, as
of `judge_rules`, see the same feeds. Without --shard, the tables go to
benchmarks/results/judge.json and .md.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime

from benchmarks.judge_faults import Array, faulty
from benchmarks.judge_rules import RULES, accepted
from normonnx import pipeline
from normonnx.parity import Judge, VerifyOptions
from normonnx.parity.comparison import flattened
from normonnx.parity.execution import LacksOperatorError, OracleFailedError
from normonnx.parity.hosting import Host
from normonnx.parity.oracle import Oracle
from normonnx.parity.sessions import SessionFailedError, Setting
from tests.networks import draw
from tests.norm.spellings import spelling

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (ROOT / "models", ROOT.parent / "shared" / "models")
LEAST_EFFECT = 1e-6
LARGEST_MODEL = 4_000_000
JUDGES = ("normonnx, own rewrite", "normonnx, foreign pair", *RULES)
SETTING = Setting("cpu", as_shipped=False)


@dataclass
class Tally:
    """How many models each judge rejected.

    Attributes:
        models: how many there were.
        rejected: by judge.
        undecided: how many the judge of normonnx called inconclusive, which is no pass.
    """

    models: int = 0
    rejected: dict[str, int] = field(default_factory=lambda: dict.fromkeys(JUDGES, 0))
    undecided: int = 0


@dataclass
class Findings:
    """What was found.

    Attributes:
        correct: correct models.
        faults: faulty models whose fault counts, by kind.
        without_effect: faulty models whose fault moves nothing by so much.
        sources: how many models the faults were put into.
        alarms: which correct model was rejected, and why.
        misses: which faulty model the judge passed as an own rewrite, and as a foreign pair.
    """

    correct: Tally = field(default_factory=Tally)
    faults: dict[str, Tally] = field(default_factory=dict)
    without_effect: int = 0
    sources: int = 0
    alarms: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)


@dataclass
class Pair:
    """A model, what normonnx made of it, and what to call it."""

    name: str
    original: ir.Model
    optimized: ir.Model
    outcome: pipeline.Outcome

    @property
    def exact(self) -> Mapping[str, Array]:
        return self.outcome.exact

    def judge(self, options: VerifyOptions) -> Judge:
        return Judge(self.original, options, readings=self.outcome.readings)


def networks(first: int, step: int) -> Iterator[Pair]:
    """Random networks that normonnx rewrites; a third of them are spellings of one norm."""
    seed = first
    while True:
        if seed % 3 == 2:
            pair = optimized(f"spelling {seed}", spelling(seed).model)
        else:
            pair = optimized(f"network {seed}", draw(seed, depth=8).model)
        if pair is not None:
            yield pair
        seed += step


def files(first: int, step: int) -> Iterator[Pair]:
    """Real models that normonnx rewrites, the small ones."""
    found = sorted(path for folder in FOLDERS for path in folder.glob("*.onnx"))
    for path in found[first % step :: step]:
        if path.stat().st_size <= LARGEST_MODEL:
            pair = optimized(path.stem, onnx.load(path))
            if pair is not None:
                yield pair


def optimized(name: str, model: onnx.ModelProto) -> Pair | None:
    original = ir.from_proto(model)
    outcome = pipeline.run(original, pipeline.Options())
    if not outcome.journal.rewrites:
        return None
    return Pair(name, original, outcome.model, outcome)


def look_at_correct(pair: Pair, judge: Judge, findings: Findings) -> bool:
    """Judge a correct model; whether there was something to judge it by."""
    verdicts = {
        JUDGES[0]: judge.judge(
            pair.optimized,
            exact=pair.exact,
            exact_attributes=pair.outcome.exact_attributes,
        ),
        JUDGES[1]: judge.judge(pair.optimized),
    }
    if all(v.status == "inconclusive" for v in verdicts.values()):
        return False
    findings.correct.models += 1
    for name, verdict in verdicts.items():
        if verdict.status == "fail":
            findings.correct.rejected[name] += 1
            findings.alarms.append(f"{pair.name}, {name}: {verdict.first_failure}")
        findings.correct.undecided += verdict.status == "inconclusive"
    by_rules(pair.optimized, judge, findings.correct)
    return True


def look_at_faults(pair: Pair, judge: Judge, findings: Findings, *, seed: int, kinds: int) -> None:
    """Put faults into a correct model and judge what comes out."""
    findings.sources += 1
    random = np.random.default_rng(seed)
    for kind, proto, changed in faulty(ir.to_proto(pair.optimized), random, kinds=kinds):
        wrong = ir.from_proto(proto)
        exact = {**pair.exact, **changed}
        effect = effect_of(wrong, exact, judge)
        if effect is None:
            continue
        if effect <= LEAST_EFFECT:
            findings.without_effect += 1
            continue
        tally = findings.faults.setdefault(kind, Tally())
        tally.models += 1
        for name, verdict in (
            (JUDGES[0], judge.judge(wrong, exact=exact)),
            (JUDGES[1], judge.judge(wrong)),
        ):
            tally.rejected[name] += verdict.status != "pass"
            tally.undecided += verdict.status == "inconclusive"
            if verdict.status == "pass":
                findings.misses.append(f"{pair.name}, {kind}, {name}: effect {effect:.1e}")
        by_rules(wrong, judge, tally)


def effect_of(wrong: ir.Model, exact: Mapping[str, Array], judge: Judge) -> float | None:
    """How far a fault moves any output in float64, relative to it; None if it does not even run."""
    worst = 0.0
    try:
        oracle = Oracle(wrong, exact=exact)
        for case in decisive(judge):
            made = flattened(oracle.run(case.feed.inputs).outputs)
            for name, t in (case.truth or {}).items():
                y = made.get(name)
                if y is None or y.shape != t.shape:
                    return float("inf")
                if t.dtype == np.float64 and t.size:
                    both = np.isfinite(t)
                    scale = float(np.abs(t[both]).max(initial=0.0)) or 1.0
                    with np.errstate(invalid="ignore"):
                        far = np.nan_to_num(np.abs(y[both] - t[both]), nan=np.inf)
                    worst = max(worst, float(far.max(initial=0.0)) / scale)
    except (LacksOperatorError, OracleFailedError):
        return None
    return worst


def decisive(judge: Judge) -> list[Any]:
    cases = judge.cases
    return [] if cases is None else [c for c in cases.first(None) if c.feed.decisive]


def by_rules(model: ir.Model, judge: Judge, tally: Tally) -> None:
    """What the rules of other tools say to the outputs as the model is written."""
    rejected: set[str] = set()
    try:
        with Host(model) as host:
            session = host.session(SETTING)
            for case in decisive(judge):
                outputs = flattened(session.run(case.feed.inputs))
                before = case.originals[SETTING]
                rejected |= {n for n, rule in RULES.items() if not accepted(rule, before, outputs)}
    except SessionFailedError:
        rejected = set(RULES)
    for name in rejected:
        tally.rejected[name] += 1


def run(
    *, correct: int, faulty_count: int, seconds: float, first: int, shard: int, shards: int
) -> Findings:
    """Judge correct and faulty models until there were enough, or the time is over."""
    findings = Findings()
    options = VerifyOptions(budget_seconds=20.0)
    start = time.monotonic()
    for pair in networks(first + shard, shards):
        if findings.correct.models >= correct or time.monotonic() - start > seconds * 0.55:
            break
        look_at_correct(pair, pair.judge(options), findings)
    sources = [files(shard, shards), networks(first + 1_000_000 + shard, shards)]
    start = time.monotonic()
    for number, (source, share, kinds) in enumerate(zip(sources, (0.6, 1.0), (3, 4), strict=True)):
        for pair in source:
            made = sum(t.models for t in findings.faults.values())
            limit = seconds * 0.45 * share
            if made >= faulty_count or time.monotonic() - start > limit:
                break
            judge = pair.judge(options)
            if judge.cases is not None and decisive(judge):
                seed = first + 10_000 * number + findings.sources
                look_at_faults(pair, judge, findings, seed=seed, kinds=kinds)
    return findings


def table(findings: Findings) -> str:
    """The findings as Markdown."""
    total = Tally()
    for tally in findings.faults.values():
        total.models += tally.models
        for name in JUDGES:
            total.rejected[name] += tally.rejected[name]
    rows = [("correct (want 0)", findings.correct), ("**all faults** (want all)", total)]
    rows += sorted(findings.faults.items())
    lines = [f"| models | number | {' | '.join(JUDGES)} |", "|---" * (len(JUDGES) + 2) + "|"]
    for name, tally in rows:
        cells = [f"{tally.rejected[j]}" for j in JUDGES]
        lines.append(f"| {name} | {tally.models} | {' | '.join(cells)} |")
    return "\n".join(lines)


def report(findings: Findings, seconds: float) -> str:
    """The page of results."""
    versions = f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}"
    where = f"{platform.machine()}, python {platform.python_version()}, {versions}"
    sections = [
        "# How often the judge is wrong",
        f"{datetime.now(UTC):%Y-%m-%d}, {where}, {seconds:.0f} s. "
        "Written by `python -m benchmarks.judge`.",
        "How many models each judge rejects. *Own rewrite* knows the weights before they were "
        "rounded, as inside `optimize`; *foreign pair* knows the two models only, as `verify`. "
        "The other columns are the rules that these tools publish, re-created here and given the "
        "judge's feeds and ONNX Runtime's outputs without its optimisations: the tools themselves "
        "were not run.",
        table(findings),
        f"Faults were put into {findings.sources} models; {findings.without_effect} more of them "
        f"move no output by {LEAST_EFFECT:g} of its largest element in float64 and do not count. "
        f"{findings.correct.undecided} verdicts on correct models were inconclusive.",
    ]
    for title, items in (("Alarms", findings.alarms), ("Misses", findings.misses)):
        if items:
            sections += [f"## {title}", "\n".join(f"- {item}" for item in items)]
    return "\n\n".join(sections) + "\n"


def main() -> int:
    """Run, print the table, and exit with 1 if a correct model was rejected or a fault missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--correct", type=int, default=10_000)
    parser.add_argument("--faulty", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--shard", default="", metavar="I/N")
    arguments = parser.parse_args()
    shard, _, shards = (arguments.shard or "0/1").partition("/")
    start = time.monotonic()
    findings = run(
        correct=arguments.correct,
        faulty_count=arguments.faulty,
        seconds=arguments.seconds,
        first=arguments.first,
        shard=int(shard),
        shards=int(shards),
    )
    took = time.monotonic() - start
    text = report(findings, took)
    print(text)
    if not arguments.shard:
        results = Path(__file__).parent / "results"
        data = {"seconds": round(took), **asdict(findings)}
        (results / "judge.json").write_text(json.dumps(data, indent=1) + "\n")
        (results / "judge.md").write_text(text)
    own = [miss for miss in findings.misses if JUDGES[0] in miss]
    return 1 if findings.alarms or own else 0


if __name__ == "__main__":
    sys.exit(main())
