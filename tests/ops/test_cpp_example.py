"""ONNX Runtime in C++ with the library: the documented program, and whole models."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from nodes import Node, model

import normonnx

_HERE = Path(__file__).resolve().parent
_PAGE = _HERE.parents[1] / "docs" / "custom_operators.md"
_FETCH = _HERE.parents[1] / "custom_ops" / "cmake" / "debian_header.sh"
_INCLUDES = (
    os.environ.get("NORMONNX_ORT_INCLUDE_DIR", ""),
    "/usr/include/onnxruntime",
    "/usr/local/include/onnxruntime",
)
# As the build fetches it, see custom_ops/cmake/ort_header.cmake.
_PACKAGE = (
    "1.21.0+dfsg-1",
    "14f7d959d5deacbcf1504830d4189f91fc67382b399ed9ae9d3aa9c4050ced08",
)
_OPEN = 4

Compile = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def headers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the headers of the C++ API are: installed, or fetched as the build does."""
    for place in (Path(one) for one in _INCLUDES if one):
        if (place / "onnxruntime_cxx_api.h").is_file():
            return place
    fetched = tmp_path_factory.mktemp("headers")
    done = subprocess.run(
        ["sh", _FETCH, fetched, *_PACKAGE], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        pytest.skip("there is no onnxruntime_cxx_api.h, and it cannot be fetched here")
    return fetched


@pytest.fixture(scope="module")
def compiled(headers: Path, tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compiles a program and links it with the ONNX Runtime that Python uses."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    runtimes = sorted((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    if not runtimes:
        pytest.skip("this ONNX Runtime has no library for C++")
    room = tmp_path_factory.mktemp("programs")
    (room / "libonnxruntime.so.1").symlink_to(runtimes[0])

    def build(name: str, code: str) -> Path:
        (room / f"{name}.cc").write_text(code)
        command = [
            *(compiler, "-std=c++17", "-I", str(headers), str(room / f"{name}.cc")),
            *(str(runtimes[0]), f"-Wl,-rpath,{room}", "-o", str(room / name)),
        ]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr
        return room / name

    return build


def test_the_documented_program_loads_the_operators(
    library: Path, compiled: Compile, tmp_path: Path
) -> None:
    (code,) = re.findall(r"```cpp\n(.*?)```", _PAGE.read_text(), flags=re.DOTALL)
    (tmp_path / "model.onnx").write_bytes(
        model(Node("FusedAddLayerNormalization")).SerializeToString()
    )
    command = [compiled("example", code), library, tmp_path / "model.onnx"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Without the library there is no such operator, and the program ends with an error.
    command[1] = tmp_path / "nothing.so"
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize("name", ["transformer_postnorm", "conformer_batchnorm_layernorm"])
def test_a_model_runs_as_its_original(
    name: str, models_dir: Path, library: Path, compiled: Compile, tmp_path: Path
) -> None:
    _check(models_dir / f"{name}.onnx", library, compiled, tmp_path)


def test_a_bert_runs_as_its_original(
    shared_models: Path, library: Path, compiled: Compile, tmp_path: Path
) -> None:
    _check(shared_models / "hf__bert__ts13_eval.onnx", library, compiled, tmp_path)


def _check(source: Path, library: Path, compiled: Compile, tmp_path: Path) -> None:
    result = normonnx.optimize(source, target="normonnx", verify=False)
    assert any(node.domain == "normonnx" for node in result.model.graph)
    result.save(tmp_path / "model.onnx", unverified=True)
    program = compiled("run_model", (_HERE / "run_model.cc").read_text())
    done = subprocess.run(
        [program, library, tmp_path / "model.onnx"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.splitlines():
        name, *numbers = line.split(" ")
        found[name] = np.array(numbers, np.float64)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    original = onnxruntime.InferenceSession(
        str(source), options, providers=["CPUExecutionProvider"]
    )
    feeds = {}
    for value in original.get_inputs():
        shape = [size if isinstance(size, int) else _OPEN for size in value.shape]
        kind = np.int64 if value.type == "tensor(int64)" else np.float32
        feeds[value.name] = (1 - np.arange(np.prod(shape)) % 2).astype(kind).reshape(shape)
    outputs = original.run(None, feeds)
    for value, wanted in zip(original.get_outputs(), outputs, strict=True):
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(found[value.name], wanted.ravel(), rtol=0, atol=1e-5 * scale)
