"""Networks of the blocks that people build from, optimised and compared without the judge.

    python -m benchmarks.networks [--count N] [--start SEED] [--jobs J] [--output FILE]

Each network of tests/networks is optimised for one target in turn, and its outputs are compared
with the original's in ONNX Runtime, as tests/networks/trial.py has it. Counted are wrong results,
crashes, rewrites that were lost to the proof, and networks with more BatchNormalizations left than
the runtime leaves at its basic level. Writes benchmarks/results/networks.json; exits with 1 where
a result is wrong or something crashed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from tests.networks.trial import TARGETS, Trial, try_out

RESULTS = Path(__file__).parent / "results" / "networks.json"
CHUNK = 10
EACH = 100
"""After so many networks the results are written, so that a run cut short leaves them."""

_NAMED = re.compile(r"'[^']*'")
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[-+]?\d+)?")


def trials(seeds: Sequence[int]) -> list[Trial]:
    """What became of some networks, one after the other."""
    return [try_out(seed, count_left=True) for seed in seeds]


def alone(seed: int) -> Trial:
    """What became of a network that may end its process."""
    with ProcessPoolExecutor(1) as pool:
        try:
            return pool.submit(trials, [seed]).result()[0]
        except BrokenProcessPool:
            return Trial(seed, TARGETS[seed % len(TARGETS)], crash="the process ended")


def all_trials(seeds: range, jobs: int) -> Iterator[Trial]:
    """Trials as they end; where a process ended, its seeds are tried again, each alone."""
    chunks = [seeds[i : i + CHUNK] for i in range(0, len(seeds), CHUNK)]
    again: list[int] = []
    with ProcessPoolExecutor(jobs) as pool:
        running = {pool.submit(trials, chunk): chunk for chunk in chunks}
        for done in as_completed(running):
            try:
                yield from done.result()
            except BrokenProcessPool:
                again += running[done]
    yield from map(alone, again)


def kind(reason: str) -> str:
    """A reason without what is the model's own: names and numbers."""
    return _NUMBER.sub("N", _NAMED.sub("'…'", reason))


def summary(found: Sequence[Trial]) -> dict[str, Any]:
    """Counts by kind, with the seeds to look at."""
    lost = by_kind((trial.seed, reason) for trial in found for reason in trial.unproved)
    stay = by_kind((trial.seed, reason) for trial in found for reason in trial.left_because)
    left = [trial.seed for trial in found if trial.left]
    return {
        "networks": len(found),
        "not_run_by_the_runtime": [trial.seed for trial in found if not trial.runs],
        "by_target": dict(sorted(Counter(trial.target for trial in found).items())),
        "rewrites": sum(trial.rewrites for trial in found),
        "rewritten": sum(trial.rewrites > 0 for trial in found),
        "compared_at_two_sizes": sum(trial.sizes > 1 for trial in found),
        "wrong": [asdict(trial) for trial in found if trial.wrong],
        "crashes": [asdict(trial) for trial in found if trial.crash],
        "lost_to_the_proof": lost,
        "more_left_than_by_the_runtime": {"count": len(left), "seeds": left, "because": stay},
    }


def by_kind(reasons: Iterable[tuple[int, str]]) -> dict[str, dict[str, Any]]:
    """Of each kind of reason how often there is one, and in which seeds; the frequent first."""
    seeds: dict[str, list[int]] = {}
    for seed, reason in reasons:
        seeds.setdefault(kind(reason), []).append(seed)
    return {
        reason: {"count": len(of), "seeds": sorted(set(of))}
        for reason, of in sorted(seeds.items(), key=lambda item: -len(item[1]))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    began = time.monotonic()
    found: list[Trial] = []
    for trial in all_trials(range(given.start, given.start + given.count), given.jobs):
        found.append(trial)
        for flaw in [*trial.wrong, *filter(None, [trial.crash])]:
            print(f"{trial.seed} for {trial.target}: {flaw}", flush=True)
        if len(found) % EACH == 0 or len(found) == given.count:
            facts = {
                "date": f"{datetime.now(UTC):%Y-%m-%d}",
                "onnx": onnx.__version__,
                "onnxruntime": onnxruntime.__version__,
                "start": given.start,
                "seconds": round(time.monotonic() - began),
                **summary(sorted(found, key=lambda trial: trial.seed)),
            }
            given.output.write_text(json.dumps(facts, indent=1) + "\n")
            print(f"{len(found)} of {given.count}", flush=True)
    wrong, crashes = (sum(bool(getattr(t, part)) for t in found) for part in ("wrong", "crash"))
    print(f"{len(found)} networks, {wrong} wrong, {crashes} crashes")
    sys.exit(bool(wrong or crashes))


if __name__ == "__main__":
    main()
