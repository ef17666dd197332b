"""Run models with stored inputs and compare with stored outputs; see old_runtimes.py.

    python old_runtime_runner.py FOLDER TOLERANCES

It runs in an environment that has numpy and some version of onnxruntime, and nothing else.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL")
NOTHING = 1e-6
"""What only matters to outputs that are next to nothing, a saturated Sigmoid's say."""


def problems(path: Path, stored: Any, tolerances: dict[str, float]) -> list[str]:
    inputs = {name[3:]: stored[name] for name in stored.files if name.startswith("in:")}
    wanted = [stored[f"out:{i}"] for i in range(len(stored.files) - len(inputs))]
    found = []
    for level in LEVELS:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
            outputs = session.run(None, inputs)
        except Exception as error:
            found.append(f"{level}: {str(error)[:200]}")
            continue
        for place, (a, b) in enumerate(zip(wanted, outputs, strict=True)):
            if np.shape(a) != np.shape(b):
                found.append(f"{level}: output {place} has shape {np.shape(b)}")
            elif a.dtype.kind == "f":
                off = float(np.abs(a.astype(np.float64) - b).max(initial=0.0))
                scale = float(np.abs(a).max(initial=0.0))
                if not off <= tolerances[a.dtype.name] * scale + NOTHING:
                    found.append(f"{level}: output {place} of size {scale:.2g} is off by {off:.2g}")
            elif not np.array_equal(a, b):
                found.append(f"{level}: output {place} differs")
    return found


def main() -> None:
    folder, tolerances = Path(sys.argv[1]), json.loads(sys.argv[2])
    report = []
    for path in sorted(folder.glob("*.onnx")):
        stored = np.load(folder / f"{path.stem.rpartition('@')[0]}.npz")
        report.append({"file": path.name, "problems": problems(path, stored, tolerances)})
    print(json.dumps(report))


if __name__ == "__main__":
    main()
