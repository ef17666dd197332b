"""What the installed ONNX Runtime is found to take, and that no opset goes beyond it."""

from __future__ import annotations

import sys

import onnxruntime
import pytest

from normonnx.opset import raise_opset
from normonnx.runtime import installed as runtime
from tests.graphs import model


def test_it_takes_old_opsets_and_none_that_is_to_come() -> None:
    assert runtime.takes_opset(13, 8)
    assert not runtime.takes_opset(9999, 8)
    assert runtime.title().startswith("ONNX Runtime 1.")


def test_what_is_known_of_a_release_is_what_it_says() -> None:
    release = runtime._installed()
    assert release is not None
    assert ".".join(map(str, release)) == ".".join(onnxruntime.__version__.split(".")[:2])
    for since, opset, ir_version in runtime._TAKES:
        if since <= release:
            assert runtime._loads(opset, ir_version)


def test_a_release_that_is_not_told_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime.takes_opset.cache_clear()
    monkeypatch.setattr(runtime, "_installed", lambda: (0, 0))
    assert runtime.takes_opset(13, 8)
    assert not runtime.takes_opset(9999, 8)
    runtime.takes_opset.cache_clear()


def test_a_runtime_that_cannot_be_imported_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert runtime._loads(9999, 8)


def test_an_opset_that_it_does_not_take_is_not_raised_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "takes_opset", lambda opset, ir_version: opset < 18)
    m = model("(float[2,4] x) => (float[2,4] y) { y = Relu (x) }", opset=13)
    assert raise_opset(m, 17).is_made
    raised = raise_opset(m, 18)
    assert not raised.is_made
    assert raised.note.startswith("opset stays 17: ONNX Runtime 1.")
    assert raised.note.endswith("does not take opset 18")
