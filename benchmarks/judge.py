"""How often the judge is wrong: alarms at correct models, faults that it misses.

    python -m benchmarks.judge [--rewrites N] [--faults N] [--kinds N]
                               [--first SEED] [--shard I/N] [--state DIR] [--merge]

Correct models are what normonnx makes of random networks with BatchNorm and affine arithmetic
(tests/networks) and of random spellings of LayerNorm and RMSNorm (tests/norm), each judged with the
float64 weights and as if another tool had made it. Faulty ones are these, and the models of models/
and ../shared/models, with a fault of `judge_faults` or `graph_faults`, and likewise the models of
`fault_models`, whether they are rewritten or not; a fault counts if it moves some element of an
output in float64 by more than 1e-6 of that element's size, on some feed of the judge or of the
model's own. The rules of other
tools, as of `judge_rules`, see the same feeds.

The work is cut into chunks; what each found is a line of a file in the state folder, and a chunk
found there is not done again. Without --shard all chunks are done and the tables written to
benchmarks/results/judge.json and .md; with it, --merge writes them when all shards have ended.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.compose
import onnx_ir as ir
import onnxruntime

from benchmarks.fault_models import base
from benchmarks.fault_truth import Effect, effect_of
from benchmarks.graph_faults import GRAPH_FAULTS
from benchmarks.judge_faults import FAULTS, Array, Fault, faulty
from benchmarks.judge_rules import RULES, accepted
from normonnx import pipeline
from normonnx.judge import Judge, VerifyOptions
from normonnx.judge.comparison import flattened
from normonnx.judge.tiers.declared import narrowest_weight
from normonnx.judge.verdict import Verdict
from normonnx.judge.whole import Meant, algebra_tier
from normonnx.options import Options
from normonnx.runtime.hosting import Host
from normonnx.runtime.sessions import SessionFailedError, Setting
from tests.networks import draw
from tests.norm.spellings import spelling

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (ROOT / "models", ROOT.parent / "shared" / "models")
LEAST_EFFECT = 1e-6
LARGEST_MODEL = 4_000_000
JUDGES = ("normonnx, own rewrite", "normonnx, foreign pair", *RULES)
SETTING = Setting("cpu", as_shipped=False)
SHIPPED = Setting("cpu", as_shipped=True)
# What no rounding does, of a value's size.
WRONG = 1e-3
OPTIONS = VerifyOptions(budget_seconds=20.0)
# Seeds of one chunk, the first seed with faults, and how many faults are put into one model.
CHUNK = 150
FAULTY_CHUNK = 10
FAULTY_SEEDS = 1_000_000
KINDS = 4
ALL_KINDS = 12
EVERY_FAULT = {**FAULTS, **GRAPH_FAULTS}
# How many networks are judged side by side as one model, of which types, and of which operators.
SIDE_BY_SIDE = 8
RUNNABLE = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, *range(2, 10)}
# Those side by side are long and mostly made of what can be folded.
SHARES = {"linear": 0.35, "arithmetic": 0.55, "layout": 0.05, "picking": 0.02, "branches": 0.03}


@dataclass
class Tally:
    """How many models each judge rejected.

    Attributes:
        models: how many there were.
        rewrites: how many folds and fusions these hold.
        rejected: by judge.
        undecided: how many the judge of normonnx called inconclusive, which is no pass.
    """

    models: int = 0
    rewrites: int = 0
    rejected: dict[str, int] = field(default_factory=lambda: dict.fromkeys(JUDGES, 0))
    undecided: int = 0

    def add(self, other: Mapping[str, Any]) -> None:
        """Add what another chunk counted, as it was read from its line."""
        self.models += other["models"]
        self.rewrites += other["rewrites"]
        self.undecided += other["undecided"]
        for name, count in other["rejected"].items():
            self.rejected[name] += count


@dataclass
class Findings:
    """What was found.

    Attributes:
        correct: correct models.
        not_run: correct models whose original ONNX Runtime does not run, or not sensibly.
        faults: faulty models whose fault counts, by kind.
        without_effect: faulty models whose fault moves nothing by so much.
        sources: how many models the faults were put into.
        alarms: which correct model was rejected, and why.
        runtime: which correct model ONNX Runtime's own optimisations make wrong, which is no alarm.
        misses: which faulty model the judge passed as an own rewrite, and as a foreign pair.
        seconds: how long it took.
    """

    correct: Tally = field(default_factory=Tally)
    not_run: int = 0
    faults: dict[str, Tally] = field(default_factory=dict)
    without_effect: int = 0
    sources: int = 0
    alarms: list[str] = field(default_factory=list)
    runtime: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: Mapping[str, Any]) -> None:
        """Add what another chunk found, as it was read from its line."""
        self.correct.add(other["correct"])
        for kind, tally in other["faults"].items():
            self.faults.setdefault(kind, Tally()).add(tally)
        self.not_run += other["not_run"]
        self.without_effect += other["without_effect"]
        self.sources += other["sources"]
        self.alarms += other["alarms"]
        self.misses += other["misses"]
        self.runtime += other.get("runtime", [])
        self.seconds += other["seconds"]

    @property
    def faulty(self) -> int:
        return sum(tally.models for tally in self.faults.values())


@dataclass
class Pair:
    """A model, what normonnx made of it, and what to call it."""

    name: str
    original: ir.Model
    outcome: pipeline.Outcome

    @property
    def optimized(self) -> ir.Model:
        return self.outcome.model

    @property
    def exact(self) -> Mapping[str, Array]:
        return self.outcome.exact

    @cached_property
    def _both(self) -> tuple[Judge, Judge]:
        own = Judge(self.original, OPTIONS, readings=self.outcome.readings)
        return own, Judge(self.original, OPTIONS) if self.outcome.readings else own

    def judges(self) -> tuple[Judge, Judge]:
        """One that knows how the rewrites read constants, and one that knows the models only."""
        return self._both

    def own_verdict(
        self, judge: Judge, model: ir.Model, exact: Mapping[str, Array] | None = None
    ) -> Verdict:
        attributes = self.outcome.exact_attributes if model is self.optimized else {}
        return judge.judge(model, exact=exact or self.exact, exact_attributes=attributes)


def drawn(seed: int, *, symbolic: bool) -> tuple[str, onnx.ModelProto]:
    """A random network; each third is a spelling of one norm."""
    if seed % 3 == 2:
        return f"spelling {seed}", spelling(seed).model
    if symbolic:
        return f"network {seed}", draw(seed, depth=12).model
    return f"network {seed}", draw(seed, depth=32, shares=SHARES, symbolic=False).model


def network(seed: int) -> Pair | None:
    """A random network that normonnx rewrites."""
    return optimized(*drawn(seed, symbolic=True))


def together(parts: Sequence[tuple[str, onnx.ModelProto]]) -> tuple[str, onnx.ModelProto]:
    """Models of one operator set side by side in one: judged at once, output by output."""
    if len(parts) == 1:
        return parts[0]
    names = [name for name, _ in parts]
    prefixed = [
        onnx.compose.add_prefix(model, f"m{i}_", rename_functions=False)
        for i, (_, model) in enumerate(parts)
    ]
    whole = onnx.ModelProto()
    whole.CopyFrom(prefixed[0])
    for model in prefixed[1:]:
        for field_name in ("node", "input", "output", "initializer", "value_info"):
            getattr(whole.graph, field_name).extend(getattr(model.graph, field_name))
    return ", ".join(names), whole


def bundles(seeds: Iterable[int]) -> Iterator[list[tuple[str, onnx.ModelProto]]]:
    """Networks of fixed sizes by what can stand side by side, each fifth with open sizes alone.

    ONNX Runtime lacks most operators in float64 and bfloat16: such networks are alone as well, and
    those with subgraphs.
    """
    waiting: dict[tuple[int, ...], list[tuple[str, onnx.ModelProto]]] = {}
    for seed in seeds:
        alone = seed % 5 == 0
        name, model = drawn(seed, symbolic=alone)
        plain = types_of(model) <= RUNNABLE and len(model.opset_import) == 1
        if alone or not plain or has_subgraphs(model):
            yield [(name, model)]
            continue
        # The narrowest weights of all say how much rounding explains.
        half = onnx.TensorProto.FLOAT16 in types_of(model)
        key = (model.opset_import[0].version, model.ir_version, half)
        waiting.setdefault(key, []).append((name, model))
        if len(waiting[key]) == SIDE_BY_SIDE:
            yield waiting.pop(key)
    yield from waiting.values()


def has_subgraphs(model: onnx.ModelProto) -> bool:
    graph = onnx.AttributeProto.GRAPH
    return any(a.type == graph for node in model.graph.node for a in node.attribute)


def types_of(model: onnx.ModelProto) -> set[int]:
    """The types of the inputs and of what is cast to."""
    found = {value.type.tensor_type.elem_type for value in model.graph.input}
    for node in model.graph.node:
        found |= {a.i for a in node.attribute if node.op_type == "Cast" and a.name == "to"}
    return found


def files() -> list[Path]:
    """Real models, the small ones."""
    found = sorted(path for folder in FOLDERS for path in folder.glob("*.onnx"))
    return [path for path in found if path.stat().st_size <= LARGEST_MODEL]


def optimized(name: str, model: onnx.ModelProto) -> Pair | None:
    original = ir.from_proto(model)
    outcome = pipeline.run(original, Options())
    return Pair(name, original, outcome) if outcome.journal.rewrites else None


def look_at_correct(parts: list[tuple[str, onnx.ModelProto]], findings: Findings) -> None:
    """Judge correct models side by side, and one by one where that says nothing or an alarm."""
    pair = optimized(*together(parts))
    if pair is None:
        return
    own, alone = pair.judges()
    verdict = pair.own_verdict(own, pair.optimized)
    verdicts: dict[str, tuple[str, str]] = {JUDGES[0]: (verdict.status, verdict.first_failure)}
    if alone is own:
        verdicts[JUDGES[1]] = as_foreign(pair, own, verdict)
    else:
        verdict = alone.judge(pair.optimized)
        verdicts[JUDGES[1]] = (verdict.status, verdict.first_failure)
    if len(parts) > 1 and any(status != "pass" for status, _ in verdicts.values()):
        before = len(findings.alarms)
        for part in parts:
            look_at_correct([part], findings)
        failed = any(status == "fail" for status, _ in verdicts.values())
        if not failed or len(findings.alarms) > before:
            return
    if all(status == "inconclusive" for status, _ in verdicts.values()):
        findings.not_run += 1
        return
    wrong = made_wrong(verdict)
    if wrong:
        findings.runtime.append(f"{pair.name}: {wrong}")
        return
    findings.correct.models += len(parts)
    findings.correct.rewrites += len(pair.outcome.journal.rewrites)
    for name, (status, message) in verdicts.items():
        if status == "fail":
            findings.correct.rejected[name] += 1
            findings.alarms.append(f"{pair.name}, {name}: {message}")
        findings.correct.undecided += status == "inconclusive"
    by_rules(pair.optimized, own, findings.correct, parts=len(parts))


def made_wrong(verdict: Verdict) -> str:
    """What is off by a thousandth only when ONNX Runtime optimises the model, or ""."""
    broken = [r for r in verdict.outputs if not r.passed]
    for result in broken:
        worst = None if result.metrics is None else result.metrics.worst
        if worst is None or result.setting != SHIPPED.label:
            return ""
        if abs(worst.optimized - worst.truth) <= WRONG * abs(worst.truth):
            return ""
    return verdict.first_failure if broken else ""


def as_foreign(pair: Pair, judge: Judge, verdict: Verdict) -> tuple[str, str]:
    """What the same judge says without the weights: only its algebra looks at them."""
    kept = [tier for tier in verdict.tiers if tier.code != "T2"]
    if judge.cases is not None:
        meant = Meant(None, {}, narrowest_weight(pair.original))
        used = judge.cases.first(None)
        kept.append(algebra_tier(pair.optimized, judge.cases, used, meant, OPTIONS, None))
    for status in ("fail", "inconclusive"):
        for tier in kept:
            if tier.status == status:
                return status, tier.message
    return "pass", ""


def look_at_faults(
    pair: Pair,
    findings: Findings,
    *,
    seed: int,
    kinds: int,
    of: Mapping[str, Fault] = FAULTS,
    feeds: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Put faults into a correct model and judge what comes out.

    Args:
        pair: the model and the correct one.
        findings: where to count.
        seed: of the choices.
        kinds: how many faults at most.
        of: the faults to choose from.
        feeds: what reaches more of the model than the feeds of the judge may.
    """
    own, _ = pair.judges()
    if own.cases is None or not cases_of(own):
        return
    findings.sources += 1
    random = np.random.default_rng(seed)
    reached = [*(case.feed.inputs for case in cases_of(own)), *feeds]
    right = ir.to_proto(pair.optimized)
    for kind, proto, changed in faulty(right, random, kinds=kinds, of=of):
        if proto.SerializeToString() == right.SerializeToString():  # rounded away
            findings.without_effect += 1
            continue
        wrong = ir.from_proto(proto)
        exact = {**pair.exact, **changed}
        effect = effect_of(
            pair.original,
            wrong,
            reached,
            exact=exact,
            readings=pair.outcome.readings,
            noises=noises_of(own),
        )
        if effect is None:
            continue
        if effect.own <= LEAST_EFFECT:
            findings.without_effect += 1
            continue
        count_fault(Wrong(f"{pair.name}, {kind}", kind, wrong, exact), pair, effect, findings)


@dataclass
class Wrong:
    """A faulty model, what to call it, its kind of fault, and its weights in float64."""

    name: str
    kind: str
    model: ir.Model
    exact: Mapping[str, Array]


def count_fault(wrong: Wrong, pair: Pair, effect: Effect, findings: Findings) -> None:
    """Judge a faulty model as an own rewrite and as a foreign pair."""
    own, alone = pair.judges()
    tally = findings.faults.setdefault(wrong.kind, Tally())
    tally.models += 1
    for name, verdict in (
        (JUDGES[0], pair.own_verdict(own, wrong.model, wrong.exact)),
        (JUDGES[1], alone.judge(wrong.model)),
    ):
        tally.rejected[name] += verdict.status != "pass"
        tally.undecided += verdict.status == "inconclusive"
        if verdict.status == "pass":
            far = f"{effect.own:.1e} of an element, {effect.noise:.2g} of the rounding"
            findings.misses.append(f"{wrong.name}, {name}: {far}")
    by_rules(wrong.model, own, tally)


def noises_of(judge: Judge) -> dict[str, float]:
    """How far the original's outputs as it runs are from the truth, at most."""
    found: dict[str, float] = {}
    for case in cases_of(judge):
        for name, o in case.originals[SETTING].items():
            t = (case.truth or {}).get(name)
            if t is not None and t.dtype == np.float64 and t.shape == o.shape:
                with np.errstate(invalid="ignore"):
                    far = np.abs(np.asarray(o, np.float64) - t)
                most = float(far[np.isfinite(far)].max(initial=0.0))
                found[name] = max(found.get(name, 0.0), most)
    return found


def cases_of(judge: Judge) -> list[Any]:
    """The feeds of a judge that have a truth."""
    found = [] if judge.cases is None else judge.cases.first(None)
    return [case for case in found if case.truth is not None]


def by_rules(model: ir.Model, judge: Judge, tally: Tally, *, parts: int = 1) -> None:
    """What the rules of other tools say to the outputs as the model is written, part by part."""
    rejected = {name: set[str]() for name in RULES}
    try:
        with Host(model) as host:
            session = host.session(SETTING)
            for case in cases_of(judge):
                if case.feed.decisive:
                    after = flattened(session.run(case.feed.inputs))
                    before = case.originals[SETTING]
                    for part in {name.partition("_")[0] if parts > 1 else "" for name in before}:
                        own = {n: a for n, a in before.items() if n.startswith(part)}
                        for name, rule in RULES.items():
                            if not accepted(rule, own, after):
                                rejected[name].add(part)
    except SessionFailedError:
        rejected = {name: {str(i) for i in range(parts)} for name in RULES}
    for name, which in rejected.items():
        tally.rejected[name] += len(which)


def chunk_of_correct(number: int, first: int) -> Findings:
    """Correct models of so many seeds."""
    findings = Findings()
    for parts in bundles(range(first + number * CHUNK, first + (number + 1) * CHUNK)):
        look_at_correct(parts, findings)
    return findings


def chunk_of_kinds(number: int, first: int) -> Findings:
    """Faults of all kinds in one of the models that hide them, whether it is rewritten or not."""
    findings = Findings()
    made = base(first + number)
    original = ir.from_proto(made.model)
    pair = Pair(f"{made.name} {first + number}", original, pipeline.run(original, Options()))
    look_at_faults(
        pair,
        findings,
        seed=first + number,
        kinds=ALL_KINDS,
        of=EVERY_FAULT,
        feeds=made.feeds,
    )
    return findings


def chunk_of_faults(number: int, first: int) -> Findings:
    """Faulty models of one file, or of so many seeds after the files."""
    findings = Findings()
    paths = files()
    if number < len(paths):
        pair = optimized(paths[number].stem, onnx.load(paths[number]))
        if pair is not None:
            look_at_faults(pair, findings, seed=first + number, kinds=KINDS, of=EVERY_FAULT)
        return findings
    start = first + FAULTY_SEEDS + (number - len(paths)) * FAULTY_CHUNK
    for seed in range(start, start + FAULTY_CHUNK):
        pair = network(seed)
        if pair is not None:
            look_at_faults(pair, findings, seed=seed, kinds=KINDS, of=EVERY_FAULT)
    return findings


PARTS = {"correct": chunk_of_correct, "faults": chunk_of_faults, "kinds": chunk_of_kinds}


def read(state: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """What is known of the chunks, by part and number."""
    known = {}
    for path in sorted(state.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            found = json.loads(line)
            known[found["part"], found["chunk"]] = found["findings"]
    return known


def merged(state: Path) -> Findings:
    """All chunks in the state folder as one."""
    total = Findings()
    for _, found in sorted(read(state).items()):
        total.add(found)
    return total


def work(state: Path, wanted_of: Mapping[str, int], *, first: int, shard: int, shards: int) -> None:
    """Do the chunks of one shard until its share of what is wanted of each part was judged."""
    state.mkdir(parents=True, exist_ok=True)
    lines = state / f"shard-{shard}-of-{shards}.jsonl"
    for part, wanted in wanted_of.items():
        known = read(state)
        number, done = shard, 0
        while done * shards < wanted:
            found = known.get((part, number))
            if found is None:
                start = time.monotonic()
                findings = PARTS[part](number, first)
                findings.seconds = time.monotonic() - start
                found = asdict(findings)
                with lines.open("a") as file:
                    record = {"part": part, "chunk": number, "findings": found}
                    file.write(json.dumps(record) + "\n")
                for alarm in (*findings.alarms, *findings.misses):
                    print(alarm, flush=True)
            tallies = found["faults"].values()
            rewritten = found["correct"]["rewrites"]
            done += rewritten if part == "correct" else sum(t["models"] for t in tallies)
            number += shards


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


def report(findings: Findings) -> str:
    """The page of results."""
    versions = f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}"
    where = f"{platform.machine()}, python {platform.python_version()}, {versions}"
    correct = findings.correct
    sections = [
        "# How often the judge is wrong",
        f"{datetime.now(UTC):%Y-%m-%d}, {where}, {findings.seconds:.0f} s. "
        "Written by `python -m benchmarks.judge`.",
        "How many models each judge rejects. *Own rewrite* knows the weights before they were "
        "rounded, as inside `optimize`; *foreign pair* knows the two models only, as `verify`. "
        "The other columns are the rules that these tools publish, re-created here and given the "
        "judge's feeds and ONNX Runtime's outputs without its optimisations: the tools themselves "
        "were not run.",
        table(findings),
        f"The correct models hold {correct.rewrites} folds and fusions; {correct.undecided} "
        f"verdicts on them were inconclusive. Of {findings.not_run} more, ONNX Runtime does not "
        "run the original or there is no input that says anything.",
        f"Faults were put into {findings.sources} models; {findings.without_effect} more of them "
        f"move no element by {LEAST_EFFECT:g} of its size in float64 and do not count. What is "
        "inconclusive, as no feed shows what differs, is no pass and counts as rejected: "
        f"{sum(t.undecided for t in findings.faults.values())} verdicts.",
    ]
    for title, items in (
        ("Alarms", findings.alarms),
        ("Right as written, and made wrong by ONNX Runtime's own optimisations", findings.runtime),
        ("Misses", findings.misses),
    ):
        if items:
            sections += [f"## {title}", "\n".join(f"- {item}" for item in items)]
    return "\n\n".join(sections) + "\n"


def main() -> int:
    """Run, print the table, and exit with 1 if a correct model was rejected or a fault missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rewrites", type=int, default=10_000)
    parser.add_argument("--faults", type=int, default=250, help="in networks and real models")
    parser.add_argument("--kinds", type=int, default=250, help="in models that hide them")
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--shard", default="", metavar="I/N")
    parser.add_argument("--state", type=Path, default=Path(tempfile.gettempdir(), "normonnx-judge"))
    parser.add_argument("--merge", action="store_true")
    arguments = parser.parse_args()
    if not arguments.merge:
        shard, _, shards = (arguments.shard or "0/1").partition("/")
        work(
            arguments.state,
            {
                "correct": arguments.rewrites,
                "kinds": arguments.kinds,
                "faults": arguments.faults,
            },
            first=arguments.first,
            shard=int(shard),
            shards=int(shards),
        )
    findings = merged(arguments.state)
    text = report(findings)
    print(text)
    if arguments.merge or not arguments.shard:
        results = Path(__file__).parent / "results"
        (results / "judge.json").write_text(json.dumps(asdict(findings), indent=1) + "\n")
        (results / "judge.md").write_text(text)
    return 1 if findings.alarms or findings.misses else 0


if __name__ == "__main__":
    sys.exit(main())
