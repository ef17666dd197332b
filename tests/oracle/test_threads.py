"""Small matrix products take one thread, and others take what they took before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
from threadpoolctl import threadpool_info

from normonnx.oracle import oracle
from normonnx.oracle.oracle import Oracle
from normonnx.oracle.threads import one_thread
from tests.judge.building import graph_model


def blas() -> list[int]:
    """How many threads each library of matrix products uses."""
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


@pytest.fixture
def threads() -> Callable[[], list[int]]:
    if not any(number > 1 for number in blas()):
        pytest.skip("matrix products have one thread here anyway")
    return blas


def test_one_thread_for_a_while(threads: Callable[[], list[int]]) -> None:
    before = threads()
    with one_thread():
        assert set(threads()) == {1}
    assert threads() == before
    with pytest.raises(ValueError, match="x"), one_thread():
        raise ValueError("x")
    assert threads() == before


def test_a_costly_evaluation_gives_the_next_one_all(
    threads: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "(float[2, 2] x) => (float[2, 2] y) { y = MatMul(x, x) }"
    one = Oracle(ir.from_proto(graph_model(text)))
    seen: list[list[int]] = []
    for most in (10**9, 1, 10**9):
        monkeypatch.setattr(oracle, "_MANY", most)
        one.run({"x": np.ones((2, 2), np.float32)}, observer=lambda *_: seen.append(threads()))
    assert [set(numbers) for numbers in seen[:2]] == [{1}, {1}]
    assert seen[2] == threads()
