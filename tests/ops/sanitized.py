"""The library under AddressSanitizer and UndefinedBehaviorSanitizer, run through the kernel tests.

    python tests/ops/sanitized.py [BUILD_DIRECTORY]

All instruction sets that the machine has, through ``test_cpu_kernels.py``; then the CUDA kernels,
compiled for the CPU, under both sanitizers. (Under ThreadSanitizer they are in the test run.) Not
part of the test run itself: the instrumented build alone takes minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_FLAGS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
_OPTIONS = {
    # Python's own memory is never given back.
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}


def main(build: Path) -> int:
    return _library(build) or _cuda_on_cpu(build / "cuda_on_cpu")


def _library(build: Path) -> int:
    configure = [
        *("cmake", "-S", str(_ROOT / "custom_ops"), "-B", str(build)),
        *("-DNORMONNX_SANITIZE=address,undefined", "-DNORMONNX_CUDA=off"),
        *("-DNORMONNX_VERSION=0.1.0", "-DNORMONNX_REQUIRED=ON"),
        *("-DCMAKE_BUILD_TYPE=None", "-DCMAKE_CXX_FLAGS=-O1"),
    ]
    subprocess.run(configure, check=True)
    subprocess.run(["cmake", "--build", str(build), "-j", "1"], check=True)
    # Whoever throws must be found by the sanitizer when it starts: Python itself is not of C++.
    preloaded = " ".join(_runtime(name) for name in ("libasan.so", "libstdc++.so"))
    tests = [
        *(sys.executable, "-m", "pytest", "-q", "-x", "-s", "-p", "no:cacheprovider"),
        str(_ROOT / "tests/ops/test_cpu_kernels.py"),
    ]
    environment = {
        **os.environ,
        **_OPTIONS,
        "NORMONNX_LIBRARY": str(build / "libnormonnx_ops.so"),
        "LD_PRELOAD": preloaded,
        "PYTHONPATH": str(_ROOT),
    }
    return subprocess.run(tests, env=environment, cwd=_ROOT, check=False).returncode


def _cuda_on_cpu(program: Path) -> int:
    source = _ROOT / "custom_ops/tests/cuda_on_cpu.cc"
    flags = ("-std=c++20", "-O1", "-g", "-pthread", "-w", *_FLAGS)
    subprocess.run(["g++", *flags, str(source), "-o", str(program)], check=True)
    done = subprocess.run(
        [program], env={**os.environ, **_OPTIONS}, stdout=subprocess.PIPE, text=True, check=False
    )
    sys.stdout.write(f"CUDA kernels on the CPU: {done.stdout.strip().splitlines()[-1:]}\n")
    return done.returncode


def _runtime(name: str) -> str:
    found = subprocess.run(
        ["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(Path(sys.argv[1]).resolve()))
    with tempfile.TemporaryDirectory() as directory:
        sys.exit(main(Path(directory)))
