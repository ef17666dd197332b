"""The assertion for pytest, as a function and as a fixture that pytest finds."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from normonnx.judge import Verdict
from normonnx.pytest_plugin import assert_onnx_parity, message
from tests.judge.building import graph_model, replace_weight, respelled

ROOT = Path(__file__).resolve().parent.parent
TEXT = """(float[n, 4] x) => (float[n, 4] y) {
    a = MatMul(x, w)
    y = Tanh(a)
}"""
EYE = np.eye(4, dtype=np.float32)
RIGHT = graph_model(TEXT, w=EYE)
WRONG = replace_weight(RIGHT, "w", EYE * np.float32(1.01))


def test_models_that_are_the_same() -> None:
    verdict = assert_onnx_parity(RIGHT, RIGHT, seed=3)
    assert verdict.passed
    assert verdict.seed == 3


def test_the_message_says_what_is_wrong_by_how_much_and_where() -> None:
    with pytest.raises(AssertionError) as failed:
        assert_onnx_parity(RIGHT, WRONG)
    lines = str(failed.value).splitlines()
    assert lines[0].startswith("ONNX models do not compute the same: 'y' is at ")
    text = "\n".join(lines)
    for part in (
        "Output 'y' (CPU, optimisations ",
        "  elements that differ: ",
        "  greatest absolute difference: ",
        "  greatest relative difference: ",
        "  worst at [",
        "\nThe models first differ at 'a' (MatMul 'MatMul_0')",
        "Inputs: x [",
    ):
        assert part in text
    assert_onnx_parity(RIGHT, WRONG, rtol={"y": 0.1})


def test_inconclusive_is_no_success() -> None:
    nan = graph_model("(float[n] x) => (float[n] y) { y = Mul(x, w) }", w=np.float32([np.nan]))
    with pytest.raises(AssertionError, match="nothing was proved: "):
        assert_onnx_parity(nan, respelled(nan))
    assert message(Verdict("inconclusive", first_failure="no feed")).endswith("no feed")


def test_the_entry_point_is_the_plugin() -> None:
    entries = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert import_module(entries["pytest11"]["normonnx"]).assert_onnx_parity is assert_onnx_parity


def test_pytest_finds_the_fixture(tmp_path: Path) -> None:
    (tmp_path / "test_models.py").write_text(
        "import pytest\n"
        "def test_right(assert_onnx_parity):\n"
        "    assert assert_onnx_parity('right.onnx', 'right.onnx').passed\n"
        "def test_wrong(assert_onnx_parity):\n"
        "    assert_onnx_parity('right.onnx', 'wrong.onnx')\n"
    )
    for name, model in (("right", RIGHT), ("wrong", WRONG)):
        (tmp_path / f"{name}.onnx").write_bytes(model.SerializeToString())
    # -p does what the entry point does where normonnx is installed.
    plugin = ["-p", "normonnx.pytest_plugin", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", *plugin, str(tmp_path)]
    env = {
        "PYTHONPATH": str(ROOT),
        "PATH": "/usr/bin:/bin",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert "worst at [" in done.stdout
    # The traceback ends at the caller's line, not inside the plugin.
    assert "api.verify(" not in done.stdout


def test_the_plugin_imports_nothing_heavy() -> None:
    code = (
        "import sys, normonnx.pytest_plugin; "
        "sys.exit(any(m in sys.modules for m in ('numpy', 'onnx', 'onnxruntime')))"
    )
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0
