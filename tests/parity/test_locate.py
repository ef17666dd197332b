"""The guilty rewrite and the first tensor that diverges."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from normonnx.parity.locate import bisect, first_divergence
from normonnx.parity.sessions import Setting
from tests.parity.building import graph_model, replace_weight


@pytest.mark.parametrize("count", [1, 2, 3, 10, 57])
def test_bisect_finds_every_culprit_in_few_tries(count: int) -> None:
    for guilty in range(count):
        tried: list[int] = []

        def fails(prefix: int, guilty: int = guilty, tried: list[int] = tried) -> bool:
            tried.append(prefix)
            return prefix > guilty

        assert bisect(count, fails) == guilty
        assert len(tried) <= count.bit_length() + 1
        assert 0 not in tried


def test_bisect_of_a_right_model_or_of_none() -> None:
    assert bisect(5, lambda prefix: False) is None
    assert bisect(0, lambda prefix: True) is None


TEXT = """(float[n, 4] x) => (float[n, 4] y) {
    a = MatMul(x, w1)
    b = Relu(a)
    c = MatMul(b, w2)
    d = Tanh(c)
    y = MatMul(d, w3)
}"""


def weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(2)
    return {n: random.standard_normal((4, 4)).astype(np.float32) for n in ("w1", "w2", "w3")}


def test_the_first_tensor_that_parts() -> None:
    model = graph_model(TEXT, **weights())
    wrong = replace_weight(model, "w2", weights()["w2"] * np.float32(1.01))
    feeds = {"x": np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)}
    setting = Setting("cpu", as_shipped=False)
    before, after = ir.from_proto(model), ir.from_proto(wrong)
    found = first_divergence(before, after, feeds, setting)
    assert found is not None
    assert (found.tensor, found.producer) == ("c", "MatMul 'MatMul_2'")
    assert found.excess > 100
    assert found.checked == 3
    assert first_divergence(before, before, feeds, setting) is None


def test_models_without_common_names_have_no_such_tensor() -> None:
    other = TEXT.replace("a ", "q ").replace("(a)", "(q)")
    before, after = (ir.from_proto(graph_model(t, **weights())) for t in (TEXT, other))
    feeds = {"x": np.ones((1, 4), np.float32)}
    assert first_divergence(before, after, feeds, Setting("cpu", as_shipped=True)) is None
