"""Run what normonnx writes, for every target, in other versions of ONNX Runtime.

    python benchmarks/old_runtimes.py [VERSION ...]        1.20.1 and 1.31.1 if none is named

For each version a temporary environment gets that onnxruntime and nothing of normonnx, so nodes of
the domain normonnx are run by their functions. Each model of models/ and, where it is there, of
../shared/models is optimised for each target with the opset capped at what the version takes, and
run there at every optimisation level. The outputs are compared with those of the original,
unoptimised, in the version installed here. Writes benchmarks/results/old_runtimes.json and .md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime

from normonnx import model_io, pipeline
from normonnx.feeds.source import FeedSource
from normonnx.options import Options
from normonnx.runtime.sessions import SessionFailedError

HOUSE = Path(__file__).parent.parent
RESULTS = HOUSE / "benchmarks" / "results"
RUNNER = Path(__file__).with_name("old_runtime_runner.py")
# Highest opset: of 1.20.1, as its own error message says; of the others, whatever is wanted.
CAPS: dict[str, int | None] = {"1.20.1": 21, "1.31.1": None}
TARGETS: dict[str, dict[str, Any]] = {
    "onnx": {"target": "onnx"},
    "onnx, GroupNormalization": {"target": "onnx", "rules_on": frozenset({"NX103"})},
    "onnx, opset capped at the model's": {"target": "onnx", "opset": 0},
    "ort": {"target": "ort"},
    "normonnx": {"target": "normonnx"},
}
TOLERANCE = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-9}


def feed_of(path: Path, model: ir.Model) -> tuple[dict[str, Any], list[Any]]:
    """Inputs that the original accepts, and its outputs for them."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(feed: Mapping[str, Any]) -> object:
        try:
            return session.run(None, dict(feed))
        except Exception as error:
            raise SessionFailedError(str(error)) from error

    source = FeedSource(model, seed=0)
    source.ask(run, deadline=time.monotonic() + 60)
    inputs = dict(source.decisive(0).inputs)
    return inputs, session.run(None, inputs)


def write(folder: Path, cap: int | None) -> dict[str, list[str]]:
    """The optimised models with inputs and wanted outputs; by model the targets written."""
    written: dict[str, list[str]] = {}
    models = [*(HOUSE / "models").glob("*.onnx"), *(HOUSE.parent / "shared/models").glob("*.onnx")]
    for path in sorted(models):
        model = model_io.load(path).model
        inputs, outputs = feed_of(path, model)
        arrays = {f"in:{name}": array for name, array in inputs.items()}
        arrays |= {f"out:{i}": array for i, array in enumerate(outputs)}
        np.savez(folder / f"{path.stem}.npz", **arrays)
        own = model.opset_imports.get("", 0)
        if cap is not None and own > cap:
            continue
        for number, asked in enumerate(TARGETS.values()):
            opset = own if asked.get("opset") == 0 else cap
            outcome = pipeline.run(model, Options(**{**asked, "opset": opset}))
            destination = folder / f"{path.stem}@{number}.onnx"
            model_io.save(outcome.model, destination)
            onnx.checker.check_model(str(destination), full_check=True)
            written.setdefault(path.stem, []).append(destination.name)
    return written


def environment(room: Path, version: str) -> Path:
    venv.create(room, with_pip=True)
    python = room / "bin" / "python"
    wanted = [f"onnxruntime=={version}", "numpy"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    return python


def main() -> None:
    versions = sys.argv[1:] or list(CAPS)
    report: dict[str, Any] = {}
    for version in versions:
        with tempfile.TemporaryDirectory() as room:
            folder = Path(room) / "models"
            folder.mkdir()
            written = write(folder, CAPS.get(version))
            python = environment(Path(room) / "venv", version)
            found = subprocess.run(
                [python, RUNNER, folder, json.dumps(TOLERANCE)],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            report[version] = {"models": len(written), "runs": json.loads(found.stdout)}
    lines = [
        "# What is written, in other versions of ONNX Runtime",
        "",
        "Every model of models/ and ../shared/models at four optimisation levels, without normonnx "
        "in the environment; onnx.checker accepts every file with full_check. Made by "
        "benchmarks/old_runtimes.py.",
        "",
        "| ONNX Runtime | target | models | equal at every level | problems |",
        "|---|---|---|---|---|",
    ]
    for version, one in report.items():
        for number, target in enumerate(TARGETS):
            runs = [r for r in one["runs"] if r["file"].endswith(f"@{number}.onnx")]
            equal = sum(not r["problems"] for r in runs)
            told = "; ".join(f"{r['file']}: {r['problems'][0]}" for r in runs if r["problems"])
            lines.append(f"| {version} | {target} | {len(runs)} | {equal} | {told or 'none'} |")
    print("\n".join(lines))
    (RESULTS / "old_runtimes.json").write_text(json.dumps(report, indent=1) + "\n")
    (RESULTS / "old_runtimes.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
