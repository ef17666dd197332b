"""One built library with every ONNX Runtime from 1.17 on, each in an environment of its own.

    python tests/ops/old_runtimes.py [--room DIRECTORY] [VERSION ...]

Runs the tests of the kernels and of shape inference there, and sees that 1.16 is told which version
is needed. Writes ``benchmarks/results/kernels_old_runtimes.json``. Not part of the test run: it
downloads each of them. Environments that are in the directory already are used as they are.
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

from normonnx.runtime.library import library_path  # noqa: E402

_RESULTS = _ROOT / "benchmarks" / "results" / "kernels_old_runtimes.json"
_VERSIONS = (
    *("1.17.3", "1.18.1", "1.19.2", "1.20.1", "1.21.1", "1.22.1", "1.23.2", "1.24.4", "1.25.1"),
    *("1.26.0", "1.27.0", "1.28.0", "1.29.0", "1.30.0", "1.31.1", "1.32.0"),
)
_TOO_OLD = "1.16.3"
_REFUSAL = "need ONNX Runtime 1.17 or newer, and this is 1.16.3"
_TESTS = ("test_cpu_kernels.py", "test_shape_inference.py")
_PACKAGES = (
    *("onnx", "onnx-ir", "onnxscript", "ml_dtypes", "msgspec"),
    *("click", "rich", "pytest", "hypothesis"),
)
# ONNX Runtime before 1.19 is built against NumPy 1.
_OLD_NUMPY = dict.fromkeys(("1.16.3", "1.17.3", "1.18.1"), ("numpy<2",))
_REGISTER = """
import sys, onnxruntime
onnxruntime.SessionOptions().register_custom_ops_library(sys.argv[1])
"""


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
    told = refusal(environment(room / f"ort-{_TOO_OLD}", _TOO_OLD))
    sys.stdout.write(f"onnxruntime {_TOO_OLD}: {told}\n")
    results = {}
    for version in versions:
        results[version] = tests(environment(room / f"ort-{version}", version))
        sys.stdout.write(f"onnxruntime {version}: {results[version]}\n")
    made = {
        "date": datetime.now(UTC).date().isoformat(),
        "onnxruntime": results,
        "too old": {_TOO_OLD: told},
    }
    _RESULTS.write_text(json.dumps(made, indent=1) + "\n")
    broken = any("passed" not in one or "failed" in one for one in results.values())
    return int(broken or _REFUSAL not in told)


def environment(directory: Path, version: str) -> Path:
    """The Python of an environment with this ONNX Runtime."""
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
        packages = [f"onnxruntime=={version}", *_PACKAGES, *_OLD_NUMPY.get(version, ())]
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    return python


def refusal(python: Path) -> str:
    """What an ONNX Runtime that is too old says when the library is registered."""
    command = [python, "-c", _REGISTER, library_path().resolve()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stderr.strip().splitlines() or [f"nothing, exit code {done.returncode}"])[-1]


def tests(python: Path) -> str:
    """The last line that pytest says, without its time."""
    done = subprocess.run(
        [
            *(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"),
            *(_ROOT / "tests" / "ops" / name for name in _TESTS),
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
