"""The C++ program of the documentation, compiled, linked with ONNX Runtime and run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import onnxruntime
import pytest
from nodes import Node, model

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "custom_operators.md"
_INCLUDES = (
    os.environ.get("NORMONNX_ORT_INCLUDE_DIR", ""),
    "/usr/include/onnxruntime",
    "/usr/local/include/onnxruntime",
)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The documented program; it takes the library and a model."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    headers = (Path(one) for one in _INCLUDES if one)
    include = next((one for one in headers if (one / "onnxruntime_cxx_api.h").is_file()), None)
    if include is None:
        pytest.skip("there is no onnxruntime_cxx_api.h; NORMONNX_ORT_INCLUDE_DIR names its place")
    runtimes = sorted((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    if not runtimes:
        pytest.skip("this ONNX Runtime has no library for C++")
    (tmp_path / "libonnxruntime.so.1").symlink_to(runtimes[0])
    (code,) = re.findall(r"```cpp\n(.*?)```", _PAGE.read_text(), flags=re.DOTALL)
    (tmp_path / "example.cc").write_text(code)
    command = [
        *(compiler, "-std=c++17", "-I", str(include), str(tmp_path / "example.cc")),
        *(str(runtimes[0]), f"-Wl,-rpath,{tmp_path}", "-o", str(tmp_path / "example")),
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return tmp_path / "example"


def test_the_documented_program_loads_the_operators(
    library: Path, program: Path, tmp_path: Path
) -> None:
    (tmp_path / "model.onnx").write_bytes(
        model(Node("FusedAddLayerNormalization")).SerializeToString()
    )
    command = [program, library, tmp_path / "model.onnx"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Without the library there is no such operator, and the program ends with an error.
    command[1] = tmp_path / "nothing.so"
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
