"""What the installed ONNX Runtime is found to take, and that no opset goes beyond it."""

from __future__ import annotations

import itertools
import sys

import onnxruntime
import pytest

from normonnx.opset import raise_opset
from normonnx.runtime import installed as runtime
from normonnx.runtime import releases
from tests.graphs import model


def test_it_takes_old_opsets_and_none_that_is_to_come() -> None:
    assert runtime.takes_opset(13, 8)
    assert not runtime.takes_opset(9999, 8)
    assert runtime.title().startswith("ONNX Runtime 1.")


def test_what_is_known_of_a_release_is_what_it_says() -> None:
    release = runtime._installed()
    assert release is not None
    assert ".".join(map(str, release)) == ".".join(onnxruntime.__version__.split(".")[:2])
    known = [row for row in releases._TAKES if releases.surely_takes(release, *row[1:])]
    assert known
    for _, opset, ir_version in known:
        assert runtime._loads(opset, ir_version)


@pytest.mark.parametrize(
    ("opset", "ir_version", "oldest"),
    [(11, 6, "1.0"), (13, 7, "1.6"), (17, 8, "1.12"), (17, 9, "1.15"), (19, 9, "1.16"),
     (21, 10, "1.18"), (9999, 8, ""), (13, 9999, "")],
)  # fmt: skip
def test_the_oldest_release_that_loads_a_model(opset: int, ir_version: int, oldest: str) -> None:
    assert releases.oldest_for(opset, ir_version) == oldest


def test_the_table_only_grows() -> None:
    numbers = [(tuple(map(int, since.split("."))), o, i) for since, o, i in releases._TAKES]
    for one, next_one in itertools.pairwise(numbers):
        assert one[0] < next_one[0]
        assert one[1] <= next_one[1]
        assert one[2] <= next_one[2]


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
