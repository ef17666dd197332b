"""The CUDA kernels without a GPU: their source runs on the CPU, a thread for each of theirs.

What this cannot say: how fast they are, and what a GPU's own memory and rounding do.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_FLAGS = ("-std=c++20", "-O1", "-g", "-w", "-pthread")
_TIERS = "warp512 warp1k block2k block4k block8k block16k cluster16k streaming columns".split()
_THREADS = "-fsanitize=thread"
_UNDEFINED = ("-fsanitize=undefined", "-fno-sanitize-recover=undefined")


def _build(custom_ops: Path, directory: Path, *flags: str) -> Path:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    program = directory / "cuda_on_cpu"
    source = str(custom_ops / "tests" / "cuda_on_cpu.cc")
    built = subprocess.run(
        [compiler, *_FLAGS, *flags, source, "-o", str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "san" in built.stderr and "cannot find" in built.stderr:
        pytest.skip("the compiler has not this sanitizer")
    assert built.returncode == 0, built.stderr
    return program


def _run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("ThreadSanitizer does not start on this machine")
    return done


def test_every_tier_and_every_alignment(custom_ops: Path, tmp_path: Path) -> None:
    """No guard beside a tensor is touched, and no 16-byte access is at another address."""
    done = _run(_build(custom_ops, tmp_path, *_UNDEFINED))
    assert done.returncode == 0, done.stdout + done.stderr[:4000]
    for tier in _TIERS:
        for dtype in ("f32", "f16", "f16_f32", "bf16", "bf16_f32"):
            assert f"ok   {dtype}_{tier} " in done.stdout, (dtype, tier)


def test_no_races(custom_ops: Path, tmp_path: Path) -> None:
    done = _run(_build(custom_ops, tmp_path, _THREADS), "quick")
    assert "WARNING: ThreadSanitizer" not in done.stderr, done.stderr[:4000]
    assert done.returncode == 0, done.stdout


def test_a_missing_barrier_is_a_race(custom_ops: Path, tmp_path: Path) -> None:
    program = _build(custom_ops, tmp_path, _THREADS, "-DNX_WITHOUT_BARRIER")
    done = _run(program, "block")
    assert "WARNING: ThreadSanitizer: data race" in done.stderr
