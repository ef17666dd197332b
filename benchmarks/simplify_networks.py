"""Networks with shape arithmetic, simplified and compared without the judge.

    python -m benchmarks.simplify_networks [--count N] [--start SEED] [--jobs J] [--output FILE]

Each network of tests/networks/shape_arithmetic.py is optimised for one target in turn, and compared
with the original in ONNX Runtime at several sizes, as tests/networks/shape_trial.py has it. Counted
are wrong results, crashes, rewrites lost to the proof, and nodes before and after. Writes
benchmarks/results/simplify_networks.json; exits with 1 where something is wrong or crashed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from benchmarks.networks import CHUNK, EACH, by_kind
from tests.networks.shape_trial import TARGETS, SizedTrial, try_out_sized

RESULTS = Path(__file__).parent / "results" / "simplify_networks.json"


def trials(seeds: Sequence[int]) -> list[SizedTrial]:
    """What became of some networks, one after the other."""
    return [try_out_sized(seed) for seed in seeds]


def all_trials(seeds: range, jobs: int) -> Iterator[SizedTrial]:
    """Trials as they end; a network of a process that ended is a crash."""
    chunks = [seeds[i : i + CHUNK] for i in range(0, len(seeds), CHUNK)]
    again: list[int] = []
    with ProcessPoolExecutor(jobs) as pool:
        running = {pool.submit(trials, chunk): chunk for chunk in chunks}
        for done in as_completed(running):
            try:
                yield from done.result()
            except BrokenProcessPool:
                again += running[done]
    for seed in again:
        with ProcessPoolExecutor(1) as pool:
            try:
                yield pool.submit(trials, [seed]).result()[0]
            except BrokenProcessPool:
                yield SizedTrial(seed, TARGETS[seed % len(TARGETS)], crash="the process ended")


def summary(found: Sequence[SizedTrial]) -> dict[str, Any]:
    """Counts, with the networks to look at."""
    return {
        "networks": len(found),
        "not_run_by_the_runtime": [trial.seed for trial in found if not trial.runs],
        "nodes_before": sum(trial.nodes[0] for trial in found),
        "nodes_after": sum(trial.nodes[1] for trial in found),
        "compared_at_sizes": sum(trial.sizes for trial in found),
        "wrong": [asdict(trial) for trial in found if trial.wrong],
        "crashes": [asdict(trial) for trial in found if trial.crash],
        "lost_to_the_proof": by_kind(
            (trial.seed, reason) for trial in found for reason in trial.unproved
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    began = time.monotonic()
    found: list[SizedTrial] = []
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
