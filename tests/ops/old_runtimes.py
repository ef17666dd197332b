"""One built library with ONNX Runtime 1.20, 1.24 and 1.31, each in an environment of its own.

    python tests/ops/old_runtimes.py [VERSION ...]

Not part of the test run: it downloads each of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT))

from normonnx.ops.library import library_path  # noqa: E402

_VERSIONS = ("1.20.1", "1.24.4", "1.31.1")
_PACKAGES = ("onnx", "onnx-ir", "onnxscript", "ml_dtypes", "click", "rich", "pytest", "hypothesis")


def main(versions: tuple[str, ...]) -> int:
    library = library_path().resolve()
    failed = []
    with tempfile.TemporaryDirectory() as room:
        for version in versions:
            python = Path(room) / version / "bin" / "python"
            venv.create(python.parents[1], with_pip=True)
            packages = [f"onnxruntime=={version}", *_PACKAGES]
            subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
            environment = {
                **os.environ,
                "PYTHONPATH": str(_ROOT),
                "NORMONNX_LIBRARY": str(library),
            }
            tests = [str(_ROOT / "tests/ops" / name) for name in ("test_cpu_kernels.py",)]
            done = subprocess.run(
                [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", *tests],
                env=environment,
                cwd=_ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            lines = done.stdout.strip().splitlines()
            sys.stdout.write(f"onnxruntime {version}: {lines[-1] if lines else done.stderr}\n")
            if done.returncode != 0:
                failed.append(version)
                sys.stdout.write("\n".join(line for line in lines if "FAILED" in line) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:]) or _VERSIONS))
