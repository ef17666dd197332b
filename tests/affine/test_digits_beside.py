"""A branch that centres numbers far from zero is not taken into the convolution beside it."""

from __future__ import annotations

import numpy as np
import pytest

import normonnx
from tests.judge.building import graph_model

TEXT = """(float[N, 4, 8, 8] x) => (float[N, 4, 8, 8] y) {
    c = Conv<pads = [1, 1, 1, 1]>(x, w)
    b = BatchNormalization(x, scale, bias, mean, var)
    y = Add(c, b)
}"""


@pytest.mark.parametrize(("mean", "folds"), [(0.5, True), (1000.0, False)])
def test_a_shift_far_from_zero_stays_in_front(mean: float, folds: bool) -> None:
    random = np.random.default_rng(0)
    model = graph_model(
        TEXT,
        w=(1e-3 * random.standard_normal((4, 4, 3, 3))).astype(np.float32),
        scale=np.ones(4, np.float32),
        bias=np.zeros(4, np.float32),
        mean=np.full(4, mean, np.float32),
        var=np.ones(4, np.float32),
    )
    result = normonnx.optimize(model, verify=False)
    assert ("NX005" in {r.rule for r in result.report.rewrites}) == folds
    if not folds:
        assert any("of the 24 bits" in miss.reason for miss in result.report.near_misses)
