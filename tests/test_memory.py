"""Memory that the system refuses: one clear error, exit 4, and nothing half-written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from normonnx import api
from normonnx.errors import (
    InternalError,
    MemoryLacksError,
    UsageError,
    WriteError,
    is_starved,
    ours,
)
from tests.judge.building import graph_model

Run = Callable[..., tuple[int, str, str]]

REFUSALS = (
    MemoryError(),
    np._core._exceptions._ArrayMemoryError((1 << 40,), np.dtype(np.float64)),
    OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    RuntimeError("Exception during initialization: std::bad_alloc"),
    ImportError("a.so: failed to map segment from shared object"),
    RuntimeError("can't start new thread"),
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A MatMul with a scale that is folded into it."""
    rng = np.random.default_rng(0)
    found = graph_model(
        "(float[N, 64] x) => (float[N, 64] y) { h = MatMul(x, w) y = Mul(h, s) }",
        w=rng.standard_normal((64, 64)).astype(np.float32),
        s=rng.uniform(0.5, 1.5, 64).astype(np.float32),
    )
    onnx.save(found, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.mark.parametrize("error", REFUSALS, ids=lambda e: type(e).__name__)
def test_it_is_known_whoever_says_so(error: Exception) -> None:
    assert is_starved(error)
    assert isinstance(ours(error), MemoryLacksError)


def test_other_errors_are_what_they_were() -> None:
    assert isinstance(ours(RuntimeError("boom")), InternalError)
    assert isinstance(ours(OSError(errno.EIO, "an error")), InternalError)
    assert isinstance(ours(OSError(errno.ENOSPC, "no space")), WriteError)
    asked = UsageError("what")
    assert ours(asked) is asked


@pytest.mark.parametrize("error", REFUSALS[:3], ids=lambda e: type(e).__name__)
def test_every_command_ends_in_one_clear_error(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def starve(*_: Any, **__: Any) -> None:
        raise error

    for name in ("optimize", "verify", "inspect", "bench"):
        monkeypatch.setattr(api, name, starve)
    result = model.with_name("o.onnx")
    for words in (
        ("optimize", model, "-o", result),
        ("verify", model, model),
        ("inspect", model),
        ("bench", model, model),
    ):
        code, out, err = run(*words)
        assert code == 4
        assert "error[NX-E21]: there is not enough memory" in out + err
        assert "--no-verify needs least" in out + err
        assert "internal error" not in out + err
    assert sorted(p.name for p in model.parent.iterdir()) == ["m.onnx"]


def test_a_result_that_finds_no_memory_is_not_wrong(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, session = [0], onnxruntime.InferenceSession

    def starving(content: bytes, *given: Any, **named: Any) -> Any:
        nodes = onnx.load_from_string(content).graph.node
        if len(nodes) == 1:  # the result
            made[0] += 1
            raise RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc")
        return session(content, *given, **named)

    monkeypatch.setattr(onnxruntime, "InferenceSession", starving)
    result = model.with_name("o.onnx")
    code, _, err = run("optimize", model, "-o", result)
    assert made[0]
    assert code == 4
    assert "error[NX-E21]: there is not enough memory: ONNX Runtime: std::bad_alloc" in err
    assert not result.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
def test_under_a_limit_of_the_address_space(model: Path) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (800 << 20, 800 << 20))

    result = model.with_name("o.onnx")
    command = [sys.executable, "-P", "-m", "normonnx", "optimize", str(model), "-o", str(result)]
    # One thread: what a library of linear algebra does without memory for its own is not ours.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=limit, env=environment, check=False
    )
    told = done.stdout + done.stderr
    assert done.returncode in (0, 4), told
    assert result.exists() == (done.returncode == 0)
    assert "NX-E99" not in told
    assert "Traceback" not in told
    assert done.returncode == 0 or "not enough memory" in told
