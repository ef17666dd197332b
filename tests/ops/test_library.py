"""Finding, asking and registering the library, and what is said when that cannot be."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

import normonnx
from normonnx import doctor
from normonnx.errors import EnvironmentLacksError, ExitCode
from normonnx.runtime import library as room
from normonnx.runtime.library import LibraryFacts, library_facts, library_path, register_custom_ops

_CPU_ONLY = LibraryFacts(Path("lib.so"), normonnx.__version__, 17, "avx2", ())


class _Options:
    def __init__(self) -> None:
        self.registered: list[str] = []

    def register_custom_ops_library(self, path: str) -> None:
        self.registered.append(path)

    def get_session_config_entry(self, name: str) -> str:
        raise RuntimeError(f"no entry {name}")

    def add_session_config_entry(self, name: str, value: str) -> None:
        pass


def test_what_the_library_says(library: Path) -> None:
    facts = library_facts()
    assert facts.path == library
    assert facts.version == normonnx.__version__
    assert facts.api == 17
    assert facts.cpu_isa in {"avx512", "avx2", "baseline"}
    assert str(library) in doctor.diagnose().custom_operators


def test_it_registers(library: Path) -> None:
    facts = normonnx.register_custom_ops(onnxruntime.SessionOptions(), ["CPUExecutionProvider"])
    assert facts.path == library == normonnx.library_path()


def test_a_reason_is_handed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NORMONNX_LIBRARY", raising=False)
    monkeypatch.setattr(room, "_directories", lambda: [tmp_path])
    with pytest.raises(EnvironmentLacksError, match="was not built") as caught:
        library_path()
    assert caught.value.message == "the library of custom operators was not built"
    (tmp_path / "no_library.txt").write_text("there is no C++ compiler\n")
    with pytest.raises(EnvironmentLacksError, match="there is no C") as caught:
        library_path()
    assert "NORMONNX_ORT_INCLUDE_DIR" in caught.value.hint
    assert caught.value.exit_code == ExitCode.INCONCLUSIVE
    diagnosis = doctor.diagnose()
    assert "there is no C++ compiler" in diagnosis.custom_operators
    assert any("NORMONNX_ORT_INCLUDE_DIR" in remark for remark in diagnosis.remarks)
    assert not any("custom operators" in problem for problem in diagnosis.problems)


def test_a_named_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORMONNX_LIBRARY", "/nowhere/lib.so")
    with pytest.raises(EnvironmentLacksError, match="no library at /nowhere"):
        library_path()


def test_a_file_that_is_no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_text("not this")
    monkeypatch.setenv("NORMONNX_LIBRARY", str(tmp_path / "lib.so"))
    with pytest.raises(EnvironmentLacksError, match="does not load"):
        library_facts()


@pytest.mark.parametrize(
    "providers",
    [
        ["CUDAExecutionProvider"],
        [("CUDAExecutionProvider", {"device_id": 0}), "CPUExecutionProvider"],
        ["CudaPluginExecutionProvider"],
    ],
)
def test_a_library_for_the_cpu_is_refused_for_cuda(
    monkeypatch: pytest.MonkeyPatch, providers: list[object]
) -> None:
    monkeypatch.setattr(room, "library_facts", lambda *_: _CPU_ONLY)
    options = _Options()
    with pytest.raises(EnvironmentLacksError, match="no CUDA kernels"):
        register_custom_ops(options, providers)
    assert not options.registered
    register_custom_ops(options, ["CPUExecutionProvider"])
    assert options.registered == ["lib.so"]


def test_doctor_misses_the_kernels_for_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "library_facts", lambda *_: _CPU_ONLY)
    monkeypatch.setattr(doctor, "_loads", lambda *_: True)
    offered = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    assert any("NORMONNX_CUDA=on" in remark for remark in doctor.diagnose().remarks)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered[1:])
    assert not any("NORMONNX_CUDA=on" in remark for remark in doctor.diagnose().remarks)


def test_doctor_sees_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    other = LibraryFacts(Path("lib.so"), "0.0.9", 17, "avx2", ())
    monkeypatch.setattr(room, "library_facts", lambda *_: other)
    assert any("of normonnx 0.0.9" in remark for remark in doctor.diagnose().remarks)


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = LibraryFacts(Path("lib.so"), "0.0.9", 17, "avx2", ())
    monkeypatch.setattr(room, "library_facts", lambda *_: other)
    with pytest.raises(EnvironmentLacksError, match=r"the library is of normonnx 0\.0\.9"):
        register_custom_ops(_Options())


def test_an_old_runtime_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "library_facts", lambda *_: _CPU_ONLY)
    monkeypatch.setattr(onnxruntime, "__version__", "1.16.3")
    with pytest.raises(EnvironmentLacksError, match=r"1\.16\.3 is too old"):
        register_custom_ops(_Options())
