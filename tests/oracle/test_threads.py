"""Small matrix products take one thread, and others take what they took before."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from normonnx.oracle import oracle
from normonnx.oracle.oracle import Oracle
from normonnx.oracle.threads import Threads, of_numpy, one_thread
from tests.judge.building import graph_model


@pytest.fixture
def threads() -> Threads:
    found = of_numpy()
    if found is None:
        pytest.skip("NumPy comes without OpenBLAS")
    return found


def test_one_thread_for_a_while(threads: Threads) -> None:
    before = threads.get()
    with one_thread():
        assert threads.get() == 1
    assert threads.get() == before
    with pytest.raises(ValueError, match="x"), one_thread():
        raise ValueError("x")
    assert threads.get() == before


def test_a_costly_evaluation_gives_the_next_one_all(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "(float[2, 2] x) => (float[2, 2] y) { y = MatMul(x, x) }"
    one = Oracle(ir.from_proto(graph_model(text)))
    seen = []
    for most in (10**9, 1, 10**9):
        monkeypatch.setattr(oracle, "_MANY", most)
        one.run({"x": np.ones((2, 2), np.float32)}, observer=lambda *_: seen.append(threads.get()))
    assert seen[:2] == [1, 1]
    assert seen[2] == threads.get()
