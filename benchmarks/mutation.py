"""Do the tests notice small faults of the code? `python -m benchmarks.mutation --sample 30`.

Every mutant (`mutants`) runs the tests that execute what it changes, the quickest first, until one
fails. The tests are collected once; each mutant is a fork of that process in which the code of one
function is exchanged, so it costs the time of its tests and nothing else. A fault outside of
functions needs a process that imports it.

What is done is kept in --work: a run that was interrupted goes on, and one over other code begins
anew; which lines a file of tests executes is measured again only where that file or the code has
changed. Write to benchmarks/results/mutation.json with --write.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import json
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.mutants import Mutant, mutants_of
from benchmarks.mutation_tests import TIME, Runner, Verdict, hash_of, run_with

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "mutation.json"
ROOMS = ("affine", "norm", "proof", "rewrite", "simplify")
TESTS = (
    *(f"tests/{room}" for room in (*ROOMS, "values", "zoo")),
    *(f"tests/test_{name}.py" for name in "api passes pipeline plan rules steps".split()),
)


def asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", nargs="+", default=ROOMS, help="folders of normonnx")
    parser.add_argument("--files", nargs="+", default=[], help="only files with this in their path")
    parser.add_argument("--sample", type=int, metavar="N", help="of each room, by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--tests", nargs="+", default=TESTS, help="files and folders of tests")
    parser.add_argument("--without", nargs="+", default=[], help="tests with this in their path")
    parser.add_argument("--seconds", type=float, default=60, help="of tests, at most, per mutant")
    work = Path(tempfile.gettempdir()) / "normonnx_mutation"
    parser.add_argument("--work", type=Path, default=work, help="where what is done is kept")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def all_mutants(rooms: Sequence[str], files: Sequence[str]) -> list[Mutant]:
    paths = (path for room in rooms for path in sorted((ROOT / "normonnx" / room).rglob("*.py")))
    chosen = (path for path in paths if not files or any(name in str(path) for name in files))
    return [mutant for path in chosen for mutant in mutants_of(path, ROOT)]


def state_of(options: argparse.Namespace) -> str:
    """A hash of everything that a result depends on."""
    tests = (sorted(options.tests), sorted(options.without))
    asked = (*tests, sorted(options.rooms), options.seconds)
    patterns = ("normonnx/**/*.py", "tests/**/*.py", "benchmarks/mutants.py")
    paths = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
    return hash_of(repr(asked), paths, ROOT)


def drawn(mutants: Sequence[Mutant], each: int, seed: int) -> list[Mutant]:
    """So many of each room."""
    rooms: dict[str, list[Mutant]] = collections.defaultdict(list)
    for mutant in mutants:
        rooms[mutant.room].append(mutant)
    draw = random.Random(seed)
    return [m for own in rooms.values() for m in draw.sample(own, min(each, len(own)))]


def summary(mutants: Sequence[Mutant], verdicts: dict[str, Verdict]) -> dict[str, Any]:
    """Scores by room, and who survived."""
    done = [mutant for mutant in mutants if mutant.key in verdicts]
    rooms: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for mutant in done:
        rooms[mutant.room][verdicts[mutant.key]] += 1
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "mutants": len(done),
        "rooms": {room: {**counts, "score": score(counts)} for room, counts in rooms.items()},
        "score": score(sum(rooms.values(), collections.Counter())),
        "survivors": [
            {
                **{k: v for k, v in asdict(mutant).items() if k in ("file", "before", "after")},
                "line": mutant.lines[0],
                "why": verdicts[mutant.key],
            }
            for mutant in done
            if verdicts[mutant.key] in ("survived", "not executed")
        ],
    }


def score(counts: collections.Counter[str]) -> float:
    """The killed, of all that ran; who took far longer than the tests do is killed, too."""
    ran = sum(counts.values()) - counts["could not be run"]
    return round((counts["killed"] + counts[TIME]) / max(ran, 1), 4)


def main(arguments: Sequence[str] | None = None) -> int:
    options = asked(arguments)
    os.chdir(ROOT)
    work = options.work / state_of(options)
    work.mkdir(parents=True, exist_ok=True)
    mutants = all_mutants(options.rooms, options.files)
    if options.one:
        [mutant] = [mutant for mutant in mutants if mutant.key == options.one]
        return run_with(Runner(ROOT, work, options, [mutant], alone=True))
    if options.sample is not None:
        mutants = drawn(mutants, options.sample, options.seed)
    runner = Runner(ROOT, work, options, mutants)
    code = run_with(runner)
    found = summary(mutants, runner.verdicts)
    found.update(of=len(all_mutants(options.rooms, ())), seed=options.seed, seconds=options.seconds)
    found["without"] = list(options.without)
    for survivor in found["survivors"]:
        place = f"{survivor['file']}:{survivor['line']}"
        print(f"{survivor['why']}: {place}: {survivor['before']}  →  {survivor['after']}")
    for room, counts in found["rooms"].items():
        print(room, counts)
    print(f"{found['score']:.1%} of {found['mutants']} mutants killed")
    if options.write:
        RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
