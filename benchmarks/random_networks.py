"""Random networks tried out in several processes, and what became of them written down.

What `benchmarks.networks` and `benchmarks.simplify_networks` share: a network is named by its seed,
a trial says what became of it, and a process that ends is a crash of one network.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import onnx
import onnxruntime

CHUNK = 10
EACH = 100
"""After so many networks the results are written, so that a run cut short leaves them."""

_NAMED = re.compile(r"'[^']*'")
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[-+]?\d+)?")


class Tried(Protocol):
    """What became of a network."""

    seed: int
    target: str
    wrong: list[str]
    crash: str


T = TypeVar("T", bound=Tried)


def run(
    description: str,
    results: Path,
    try_out: Callable[[int], T],
    ended: Callable[[int], T],
    summary: Callable[[Sequence[T]], dict[str, Any]],
    *,
    count: int,
) -> None:
    """Read the command line, try networks out, print and write; exits with 1 for a flaw.

    Args:
        description: of the command.
        results: where to write, unless told otherwise.
        try_out: tries the network of a seed; it is handed to other processes.
        ended: what became of a network whose process ended.
        summary: what is written of all trials, by seed.
        count: how many networks there are, unless told otherwise.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--count", type=int, default=count)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--output", type=Path, default=results)
    given = parser.parse_args()
    began = time.monotonic()
    found: list[T] = []
    seeds = range(given.start, given.start + given.count)
    for trial in _all_trials(seeds, given.jobs, try_out, ended):
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


def _all_trials(
    seeds: range, jobs: int, try_out: Callable[[int], T], ended: Callable[[int], T]
) -> Iterator[T]:
    """Trials as they end; where a process ended, its seeds are tried again, each alone."""
    tried = partial(_trials, try_out)
    chunks = [seeds[i : i + CHUNK] for i in range(0, len(seeds), CHUNK)]
    again: list[int] = []
    with ProcessPoolExecutor(jobs) as pool:
        running = {pool.submit(tried, chunk): chunk for chunk in chunks}
        for done in as_completed(running):
            try:
                yield from done.result()
            except BrokenProcessPool:
                again += running[done]
    for seed in again:
        with ProcessPoolExecutor(1) as pool:
            try:
                yield pool.submit(tried, [seed]).result()[0]
            except BrokenProcessPool:
                yield ended(seed)


def _trials(try_out: Callable[[int], T], seeds: Sequence[int]) -> list[T]:
    """What became of some networks, one after the other."""
    return [try_out(seed) for seed in seeds]


def kind(reason: str) -> str:
    """A reason without what is the model's own: names and numbers."""
    return _NUMBER.sub("N", _NAMED.sub("'…'", reason))


def by_kind(reasons: Iterable[tuple[int, str]]) -> dict[str, dict[str, Any]]:
    """Of each kind of reason how often there is one, and in which seeds; the frequent first."""
    seeds: dict[str, list[int]] = {}
    for seed, reason in reasons:
        seeds.setdefault(kind(reason), []).append(seed)
    return {
        reason: {"count": len(of), "seeds": sorted(set(of))}
        for reason, of in sorted(seeds.items(), key=lambda item: -len(item[1]))
    }
