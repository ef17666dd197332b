"""Sessions run what they are given, in the setting they are asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from normonnx.judge import VerifyOptions
from normonnx.judge.running import settings
from normonnx.runtime import hosting
from normonnx.runtime.hosting import Host
from normonnx.runtime.providers import preload
from normonnx.runtime.sessions import SessionFailedError, Setting, _sentence
from tests.judge.building import graph_model

TEXT = "(float[N] x) => (float[N] y) { a = Exp(x) b = Neg(a) y = Abs(b) }"
WRITTEN = Setting("cpu", as_shipped=False)


def test_every_provider_runs_with_optimisations_off_and_on() -> None:
    labels = [s.label for s in settings(VerifyOptions(providers=("cpu", "cuda")), kernels=False)]
    assert labels == [
        "CPU, optimisations off",
        "CPU, optimisations on",
        "CUDA, optimisations off",
        "CUDA, optimisations on",
    ]


def test_a_session_gives_the_outputs_by_name_and_ignores_other_inputs() -> None:
    with Host(ir.from_proto(graph_model(TEXT))) as host:
        outputs = host.session(WRITTEN).run({"x": np.zeros(2, np.float32), "other": np.ones(1)})
    assert {name: a.tolist() for name, a in outputs.items()} == {"y": [1, 1]}


def test_inner_values_can_be_marked() -> None:
    with Host(ir.from_proto(graph_model(TEXT))) as host:
        session = host.session(WRITTEN, marked={"b": "inside"})
        outputs = session.run({"x": np.zeros(1, np.float32)})
        assert {name: a.tolist() for name, a in outputs.items()} == {"y": [1], "inside": [-1]}
        # A name that is not there leaves the outputs as they are.
        plain = host.session(WRITTEN, marked={"nowhere": "inside"})
        assert list(plain.run({"x": np.zeros(1, np.float32)})) == ["y"]


def test_failures_say_what_the_runtime_says() -> None:
    broken = ir.from_proto(graph_model(TEXT.replace("Exp", "NoSuchThing")))
    with Host(broken) as host, pytest.raises(SessionFailedError, match="NoSuchThing"):
        host.session(WRITTEN)
    with Host(ir.from_proto(graph_model(TEXT))) as host:
        session = host.session(WRITTEN)
    with pytest.raises(SessionFailedError, match="Invalid rank for input: x"):
        session.run({"x": np.zeros((2, 2), np.float32)})


def test_large_models_go_through_a_file_that_is_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hosting, "_BYTES_LIMIT", 10)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    text = "(float[N, 4] x) => (float[N, 4] y) { y = MatMul(x, w) }"
    host = Host(ir.from_proto(graph_model(text, w=np.eye(4, dtype=np.float32))))
    assert list(tmp_path.iterdir())
    outputs = host.session(WRITTEN).run({"x": np.ones((1, 4), np.float32)})
    assert outputs["y"].tolist() == [[1, 1, 1, 1]]
    host.close()
    assert not list(tmp_path.iterdir())


def test_falling_back_to_the_processor_can_be_allowed() -> None:
    cuda = Setting("cuda", as_shipped=True)
    with Host(ir.from_proto(graph_model(TEXT)), allow_fallback=True) as host:
        session = host.session(cuda)
        if session.ran == "CUDAExecutionProvider":
            pytest.skip("there is nothing to fall back from")
        assert session.ran == "CPUExecutionProvider"
        assert session.run({"x": np.zeros(1, np.float32)})["y"].tolist() == [1]


def test_what_the_runtime_says_is_told_without_where_in_its_code() -> None:
    deep = "failed:/src/core/x.cc:46 void f(const std::function<void(int)>&, int) It is so (1)"
    assert (
        _sentence(RuntimeError(f"[ONNXRuntimeError] : 1 : FAIL : {deep}")) == "failed: It is so (1)"
    )
    assert _sentence(RuntimeError("no place, f(x) told")) == "no place, f(x) told"


def test_what_is_told_of_missing_libraries_is_no_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        onnxruntime, "preload_dlls", lambda: sys.stdout.write("no cublas\n"), raising=False
    )
    preload()
    assert capsys.readouterr() == ("", "no cublas\n")
