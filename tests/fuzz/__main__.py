"""Try out many mutants and write down what came of them.

    python -m tests.fuzz [--count 10000] [--first 0] [--result benchmarks/results/fuzz.json]

Exit code 1 if any crashed, hung, ended in an error nobody foresaw, or became a wrong model.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.shared_models import installed
from tests.fuzz.mutate import mutant
from tests.fuzz.trial import BROKEN, Bench, Trial

WHOLE_EVERY = 10
"""One mutant of so many goes through all that a user gets, the judge included."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--result", type=Path)
    arguments = parser.parse_args()
    start = time.perf_counter()
    broken: list[Trial] = []
    outcomes: Counter[str] = Counter()
    families: Counter[str] = Counter()
    with Bench() as bench:
        for number in range(arguments.first, arguments.first + arguments.count):
            made = mutant(number)
            trial = bench.try_out(made, whole=number % WHOLE_EVERY == 0)
            outcomes[trial.outcome] += 1
            families[made.family] += 1
            if trial.outcome in BROKEN:
                broken.append(trial)
                told = f"{number} {made.family}[{made.seed}] {', '.join(made.changes)}"
                sys.stdout.write(f"{told}: {trial.outcome}: {trial.detail}\n")
                sys.stdout.flush()
    facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "versions": installed(),
        "mutants": arguments.count,
        "first": arguments.first,
        "judged_as_a_user_would": len(
            range(-(-arguments.first // WHOLE_EVERY) * WHOLE_EVERY,
                  arguments.first + arguments.count, WHOLE_EVERY)
        ),
        "seconds": round(time.perf_counter() - start),
        "families": dict(sorted(families.items())),
        "outcomes": dict(sorted(outcomes.items())),
        "broken": [
            {"number": trial.number, "outcome": trial.outcome, "detail": trial.detail}
            for trial in broken
        ],
    }  # fmt: skip
    text = json.dumps(facts, indent=1) + "\n"
    sys.stdout.write(text)
    if arguments.result is not None:
        arguments.result.write_text(text, encoding="utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
