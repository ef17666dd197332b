"""The same model gives the same bytes, and what is optimised has nothing left to optimise."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import normonnx

MODELS = sorted((Path(__file__).resolve().parent.parent / "models").glob("*.onnx"))

SURROUNDINGS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "hash seed 1, one thread, backwards": (
        {"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        tuple(str(path) for path in reversed(MODELS)),
    ),
    "hash seed 2, four threads, three jobs": (
        {"PYTHONHASHSEED": "2", "OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4"},
        ("--jobs", "3", *(str(path) for path in MODELS)),
    ),
    "hash seed at random, another zone and language": (
        {"PYTHONHASHSEED": "random", "TZ": "Asia/Kathmandu", "LC_ALL": "C", "COLUMNS": "40"},
        tuple(str(path) for path in MODELS),
    ),
}


@pytest.fixture(scope="module")
def expected() -> dict[str, str]:
    """What this process makes of each model."""
    return {path.name: _digest(normonnx.optimize(path, verify=False).to_bytes()) for path in MODELS}


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_same_bytes_whatever_is_around(
    surroundings: str, tmp_path: Path, expected: dict[str, str]
) -> None:
    environment, arguments = SURROUNDINGS[surroundings]
    command = [sys.executable, "-m", "normonnx", "optimize", *arguments]
    done = subprocess.run(
        [*command, "--output-dir", str(tmp_path), "--no-verify", "-q"],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {p.name: _digest(p.read_bytes()) for p in tmp_path.glob("*.onnx")} == expected


@pytest.mark.parametrize("target", ["onnx", "ort", "normonnx"])
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_nothing_is_left_to_do(path: Path, target: str) -> None:
    """optimize(optimize(m)) = optimize(m), byte for byte."""
    once = normonnx.optimize(path, target=target, verify=False)
    assert once.report.rewrites
    twice = normonnx.optimize(once.to_bytes(), target=target, verify=False)
    assert twice.report.rewrites == ()
    assert twice.to_bytes() == once.to_bytes()
    kept = normonnx.optimize(once.model, target=target, verify=False)
    assert kept.to_bytes() == once.to_bytes()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
