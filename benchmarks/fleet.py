"""A fleet of thousands of models, killed half-way and taken up again.

    python -m benchmarks.fleet [--count 2000] [--result]

The models are copies of two of models/, each with a name of its own inside, in twenty directories;
among them are files that are no models. The first run is killed with SIGKILL, its crew too, once
half of the results are there; the second one must do the rest, and that only. With --result the
numbers go to benchmarks/results/fleet.json.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx

from benchmarks.shared_models import installed

ROOT = Path(__file__).parent.parent
SEEDS = ("tutorial_dense_batchnorm", "tutorial_dense_layernorm")
_DIRECTORIES = 20
_BROKEN_EVERY = 100
_JOBS = 2


def write(directory: Path, count: int) -> int:
    """The models; how many of them are none."""
    seeds = [onnx.load(ROOT / "models" / f"{name}.onnx") for name in SEEDS]
    broken = 0
    for number in range(count):
        room = directory / f"{number % _DIRECTORIES:02}"
        room.mkdir(parents=True, exist_ok=True)
        proto = seeds[number % len(seeds)]
        proto.graph.doc_string = f"model {number}"
        content = proto.SerializeToString()
        if number % _BROKEN_EVERY == _BROKEN_EVERY - 1:
            content, broken = content[: len(content) // 2], broken + 1
        (room / f"{number}.onnx").write_bytes(content)
    return broken


def command(models: Path, out: Path, report: Path) -> list[str]:
    """How normonnx is called, both times."""
    return [
        *(sys.executable, "-m", "normonnx", "optimize", str(models), "--output-dir", str(out)),
        *("--jobs", str(_JOBS), "--resume", "--no-verify", "-q", "--report", f"json={report}"),
    ]


def results(out: Path) -> dict[str, int]:
    """When each result was written, by its path."""
    return {str(path): path.stat().st_mtime_ns for path in out.rglob("*.onnx")}


def measure(count: int) -> dict[str, Any]:
    """Both runs, and whether nothing was lost and nothing done twice.

    Raises:
        RuntimeError: something was.
    """
    with tempfile.TemporaryDirectory(prefix="fleet-") as room:
        models, out, report = Path(room, "models"), Path(room, "out"), Path(room, "r.json")
        broken = write(models, count)
        start = time.perf_counter()
        first = subprocess.Popen(command(models, out, report), start_new_session=True)
        while first.poll() is None and len(results(out)) < count // 2:
            time.sleep(0.2)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        killed = time.perf_counter() - start
        before = results(out)
        start = time.perf_counter()
        second = subprocess.run(
            command(models, out, report), capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - start
        told = json.loads(report.read_text(encoding="utf-8"))
        after = results(out)
        rewritten = sum(after[path] != when for path, when in before.items())
        statuses = [model["status"] for model in told["models"]]
        skipped = sum("finished by an earlier run" in model["notes"] for model in told["models"])
        left = sum(path.name.startswith(".normonnx-") and path.suffix == ".tmp"
                   for path in out.rglob("*"))  # fmt: skip
        # Who finishes while the signal comes has written a result that is on no list yet.
        if (
            len(after) != count - broken
            or statuses.count("refused") != broken
            or statuses.count("unverified") != count - broken
            or rewritten > _JOBS
            or skipped < len(before) - _JOBS
        ):
            raise RuntimeError(f"{second.stdout}{len(after)} results, {rewritten} written twice")
        return {
            "models": count,
            "no models": broken,
            "directories": _DIRECTORIES,
            "jobs": _JOBS,
            "seconds until killed": round(killed, 1),
            "results when killed": len(before),
            "seconds of the second run": round(seconds, 1),
            "skipped by the second run": skipped,
            "done by both runs": rewritten,
            "temporary files left": left,
            "results": len(after),
            "line": second.stdout.strip().splitlines()[-1],
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--result", action="store_true")
    arguments = parser.parse_args()
    facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "versions": installed(),
        **measure(arguments.count),
    }
    text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
    print(text)
    if arguments.result:
        (ROOT / "benchmarks" / "results" / "fleet.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
