"""A run without the judge loads only what it works with: the rest would take most of its time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from normonnx.cli.deferral import _LATE

PROBE = """
import json, sys
from types import ModuleType
from normonnx.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    executed = [name for name, module in sys.modules.items() if type(module) is ModuleType]
    print(json.dumps(executed), file=sys.stderr)
"""


def executed(*arguments: object, **environment: str) -> set[str]:
    """The modules that a run of the command line executed."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *map(str, arguments)],
        capture_output=True,
        check=True,
        env={**os.environ, **environment},
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    ("model", "asked"), [("conv1d_batchnorm", {"onnxruntime"}), ("transformer_prenorm", set())]
)
def test_optimising_loads_neither_judge_nor_sympy_and_the_runtime_for_a_raise_only(
    models_dir: Path, tmp_path: Path, model: str, asked: set[str]
) -> None:
    output = tmp_path / "out.onnx"
    source = models_dir / f"{model}.onnx"
    modules = executed("optimize", source, "-o", output, "--no-verify")
    assert output.exists()
    assert "normonnx.pipeline" in modules
    unused = {"onnx.reference", "normonnx.judge.judge", "normonnx.report.html"} | asked
    unused |= {"importlib.metadata", "email.parser"}
    assert not modules & (_LATE | unused)


def test_help_loads_not_even_numpy() -> None:
    assert not executed("--help") & {"numpy", "onnx", "onnx_ir", "rich"}


VERSIONS = """
from normonnx.cli.deferral import start_lightly
start_lightly()
import onnx
from importlib.metadata import version
print(onnx.__version__, version("onnx"), version("numpy"))
import importlib.metadata
try:
    importlib.metadata.version("no-such-package")
except importlib.metadata.PackageNotFoundError:
    print(len(importlib.metadata.files("numpy") or ()) > 9, type(importlib.metadata).__name__)
"""


def test_versions_and_metadata_are_what_they_are() -> None:
    done = subprocess.run(
        [sys.executable, "-c", VERSIONS], capture_output=True, text=True, check=True
    )
    onnx, numpy = version("onnx"), version("numpy")
    assert done.stdout.split() == [onnx, onnx, numpy, "True", "module"]
