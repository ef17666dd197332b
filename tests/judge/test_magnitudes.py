"""No element hides behind a larger one: groups of like size, zeroed, scaled and inverted."""

from __future__ import annotations

import numpy as np
import pytest

from normonnx.judge.metrics import measure
from normonnx.judge.tiers import rounding
from normonnx.judge.tiers.magnitudes import groups, levels
from tests.judge.building import graph_model, judge, respelled

F32 = np.dtype(np.float32)
RANDOM = np.random.default_rng(0)


def test_levels_by_hand() -> None:
    t = np.array([20.0, -17.0, 1.0, 0.5, 0.0])
    far = np.array([3.0, 4.0, 0.0, 1e-3, 0.0])
    found = levels(t, far, np.zeros(5))
    assert [(v.size, v.count, v.magnitude) for v in found[:3]] == [
        (1, 2, 20),
        (0, 1, 1),
        (-1, 1, 0.5),
    ]
    assert found[0].original.rms == pytest.approx(np.sqrt(12.5))
    assert found[0].original.largest == 4
    assert found[3].count == 1
    assert found[3].magnitude == 0


def test_levels_that_noise_mixes_are_one_group() -> None:
    t = np.repeat([1.0, 1e-3, 1e-4], 10)
    found = levels(t, np.full(30, 1e-3), np.zeros(30))
    assert len(set(groups([found]).values())) == 1
    quiet = levels(t, np.abs(t) * 1e-7, np.zeros(30))
    assert len(set(groups([quiet]).values())) > 1


def test_few_elements_join_those_next_to_them() -> None:
    t = np.array([1.0] * 20 + [0.5] * 3)
    found = levels(t, np.zeros(23), np.zeros(23))
    assert len(found) == 2
    assert len(set(groups([found]).values())) == 1
    far_away = levels(np.array([1e9] * 20 + [0.5] * 3), np.zeros(23), np.zeros(23))
    assert len(set(groups([far_away]).values())) == 2


def scores_beside(other: float) -> tuple[np.ndarray, np.ndarray]:
    """The truth and the original's output: scores of a size of 1 beside larger numbers."""
    t = RANDOM.standard_normal((64, 8))
    t[:, 0] = other * (1 + 0.1 * RANDOM.random(64))
    return t, t.astype(np.float32)


@pytest.mark.parametrize("other", [-1e9, 640.0, 3e38, 1e4])
@pytest.mark.parametrize("kind", ["zeroed", "a thousandth", "inverted"])
@pytest.mark.parametrize("count", [8, 100])
def test_no_group_can_be_changed_beside_larger_numbers(other: float, kind: str, count: int) -> None:
    t, o = scores_beside(other)
    factor = {"zeroed": 0.0, "a thousandth": 1.001, "inverted": -1.0}[kind]
    y = o.copy()
    rows = RANDOM.choice(64 * 7, count, replace=False)
    y[rows // 7, 1 + rows % 7] *= np.float32(factor)
    assert rounding.alone(measure(o, o, t).levels, F32) <= 1
    assert rounding.alone(measure(o, y, t).levels, F32) > 1


MASKED = """(float[B, 6, 8] x, bool[B, 6, 6] mask) => (float[B, 6, 6] y) {
    q = MatMul(x, w)
    k = Transpose<perm = [0, 2, 1]>(x)
    s = MatMul(q, k)
    y = Where(mask, s, fill)
}"""


def test_a_masks_fill_hides_nothing() -> None:
    weight = RANDOM.standard_normal((8, 8)).astype(np.float32)
    fill = np.array(-1e9, np.float32)
    right, scaled, zeroed = (
        graph_model(MASKED, w=(weight * f).astype(np.float32), fill=fill) for f in (1, 1.001, 0)
    )
    assert judge(right, respelled(right)).passed
    assert judge(right, scaled).status == "fail"
    assert judge(right, zeroed).status == "fail"


def test_what_the_runtime_computes_otherwise_is_held_to_the_original() -> None:
    """ONNX Runtime's Resize of opset 10 takes other pixels than the standard."""
    text = """(float[2, 3, 8, 8] x) => (float[2, 3, h, w] y) {
        r = Mul(x, k)
        y = Resize<mode = "nearest">(r, s)
    }"""
    scales = np.array([1, 1, 0.5, 0.6], np.float32)
    right, wrong = (
        graph_model(text, opset=10, k=np.array([k], np.float32), s=scales) for k in (1, 1.001)
    )
    same = judge(right, respelled(right))
    assert same.passed
    assert same.grade == "original"
    assert judge(right, wrong).status == "fail"
