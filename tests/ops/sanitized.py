"""The library under AddressSanitizer and UndefinedBehaviorSanitizer, run through the kernel tests.

    python tests/ops/sanitized.py [BUILD_DIRECTORY]

Not part of the test run: the instrumented build alone takes minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def main(build: Path) -> int:
    configure = [
        *("cmake", "-S", str(_ROOT / "custom_ops"), "-B", str(build)),
        *("-DNORMONNX_SANITIZE=address,undefined", "-DNORMONNX_CUDA=off"),
        *("-DNORMONNX_VERSION=0.1.0", "-DNORMONNX_REQUIRED=ON"),
        *("-DCMAKE_BUILD_TYPE=None", "-DCMAKE_CXX_FLAGS=-O1"),
    ]
    subprocess.run(configure, check=True)
    subprocess.run(["cmake", "--build", str(build), "-j", "2"], check=True)
    runtime = subprocess.run(
        ["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    environment = {
        **os.environ,
        "NORMONNX_LIBRARY": str(build / "libnormonnx_ops.so"),
        "LD_PRELOAD": runtime,
        # Python's own memory is never given back.
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "PYTHONPATH": str(_ROOT),
    }
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        str(_ROOT / "tests/ops/test_cpu_kernels.py"),
    ]
    return subprocess.run(tests, env=environment, cwd=_ROOT, check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(Path(sys.argv[1]).resolve()))
    with tempfile.TemporaryDirectory() as directory:
        sys.exit(main(Path(directory)))
