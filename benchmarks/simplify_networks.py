"""Networks with shape arithmetic, simplified and compared without the judge.

    python -m benchmarks.simplify_networks [--count N] [--start SEED] [--jobs J] [--output FILE]

Each network of tests/networks/shape_arithmetic.py is optimised for one target in turn, and compared
with the original in ONNX Runtime at several sizes, as tests/networks/shape_trial.py has it. Counted
are wrong results, crashes, rewrites lost to the proof, and nodes before and after. Writes
benchmarks/results/simplify_networks.json; exits with 1 where something is wrong or crashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.random_networks import by_kind, run
from tests.networks.shape_trial import TARGETS, SizedTrial, try_out_sized

RESULTS = Path(__file__).parent / "results" / "simplify_networks.json"


def ended(seed: int) -> SizedTrial:
    """What became of a network whose process ended."""
    return SizedTrial(seed, TARGETS[seed % len(TARGETS)], crash="the process ended")


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


if __name__ == "__main__":
    run(__doc__ or "", RESULTS, try_out_sized, ended, summary, count=10_000)
