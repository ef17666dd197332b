"""One built library with ONNX Runtime 1.17, 1.20, 1.24 and 1.31, each in an environment of its own.

    python tests/ops/old_runtimes.py [--room DIRECTORY] [VERSION ...]

Writes ``benchmarks/results/kernels_old_runtimes.json``. Not part of the test run: it downloads each
of them. Environments that are in the directory already are used as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from datetime import UTC, datetime
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT))

from normonnx.ops.library import library_path  # noqa: E402

_RESULTS = _ROOT / "benchmarks" / "results" / "kernels_old_runtimes.json"
_VERSIONS = ("1.17.3", "1.20.1", "1.24.4", "1.31.1")
_PACKAGES = ("onnx", "onnx-ir", "onnxscript", "ml_dtypes", "click", "rich", "pytest", "hypothesis")
# ONNX Runtime before 1.19 is built against NumPy 1.
_OLD_NUMPY = {"1.17.3": ("numpy<2",)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="*", default=_VERSIONS)
    parser.add_argument("--room", type=Path)
    arguments = parser.parse_args()
    if arguments.room is not None:
        return run(arguments.room.resolve(), arguments.versions)
    with tempfile.TemporaryDirectory() as room:
        return run(Path(room), arguments.versions)


def run(room: Path, versions: tuple[str, ...]) -> int:
    """The kernel tests in every environment; 1 if any fails."""
    results = {}
    for version in versions:
        results[version] = tests(environment(room / f"ort-{version}", version))
        sys.stdout.write(f"onnxruntime {version}: {results[version]}\n")
    made = {"date": datetime.now(UTC).date().isoformat(), "onnxruntime": results}
    _RESULTS.write_text(json.dumps(made, indent=1) + "\n")
    return int(any("passed" not in one or "failed" in one for one in results.values()))


def environment(directory: Path, version: str) -> Path:
    """The Python of an environment with this ONNX Runtime."""
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
        packages = [f"onnxruntime=={version}", *_PACKAGES, *_OLD_NUMPY.get(version, ())]
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    return python


def tests(python: Path) -> str:
    """The last line that pytest says, without its time."""
    done = subprocess.run(
        [
            *(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"),
            _ROOT / "tests" / "ops" / "test_cpu_kernels.py",
        ],
        env={
            **os.environ,
            "PYTHONPATH": str(_ROOT),
            "NORMONNX_LIBRARY": str(library_path().resolve()),
        },
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    sys.stdout.writelines(f"{line}\n" for line in lines if line.startswith("FAILED"))
    return lines[-1].partition(" in ")[0] if lines and done.returncode in (0, 1) else done.stderr


if __name__ == "__main__":
    sys.exit(main())
