"""Networks of the blocks that people build from, optimised and compared without the judge.

    python -m benchmarks.networks [--count N] [--start SEED] [--jobs J] [--output FILE]

Each network of tests/networks is optimised for one target in turn, and its outputs are compared
with the original's in ONNX Runtime, as tests/networks/trial.py has it. Counted are wrong results,
crashes, rewrites that were lost to the proof, and networks with more BatchNormalizations left than
the runtime leaves at its basic level. Writes benchmarks/results/networks.json; exits with 1 where
a result is wrong or something crashed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.random_networks import by_kind, run
from tests.networks.trial import TARGETS, Trial, try_out

RESULTS = Path(__file__).parent / "results" / "networks.json"


def tried(seed: int) -> Trial:
    """What became of a network, with what is left counted."""
    return try_out(seed, count_left=True)


def ended(seed: int) -> Trial:
    """What became of a network whose process ended."""
    return Trial(seed, TARGETS[seed % len(TARGETS)], crash="the process ended")


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


if __name__ == "__main__":
    run(__doc__ or "", RESULTS, tried, ended, summary, count=2000)
