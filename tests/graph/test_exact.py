"""Exact values are the same whether they are kept or made again, and large ones are not kept."""

from __future__ import annotations

import numpy as np

from normonnx.graph.exact import ExactValues
from normonnx.options import Options
from normonnx.pipeline import run
from tests.graphs import model

SMALL, LARGE = np.arange(8.0), np.arange(1e5)


def test_large_values_are_made_again_and_small_ones_kept() -> None:
    values = ExactValues()
    values.remake("small", SMALL, SMALL.copy)
    values.remake("large", LARGE, LARGE.copy)
    assert values["small"] is SMALL
    assert values["large"] is not LARGE
    np.testing.assert_array_equal(values["large"], LARGE)
    np.testing.assert_array_equal(values.maker("small")(), SMALL)
    np.testing.assert_array_equal(values.maker("large")(), LARGE)


def test_what_nobody_can_make_again_is_kept() -> None:
    values = ExactValues()
    values["large"] = LARGE
    assert values["large"] is LARGE
    assert set(values.only({"large", "other"})) == {"large"}
    del values["large"]
    assert "large" not in values
    assert len(values) == 0


def test_a_weight_that_is_folded_into_twice_is_rounded_once() -> None:
    """Conv·Mul·BatchNormalization, and a Mul before it: three factors, one rounding."""
    m = model(
        """(float[1,64,8,8] x) => (float[1,64,8,8] y) {
          p = Mul (x, k)
          c = Conv <kernel_shape=[3,3], pads=[1,1,1,1]> (p, w)
          s = Mul (c, l)
          y = BatchNormalization (s, scale, shift, mean, variance)
        }""",
        k=(1, 64, 1, 1),
        w=(64, 64, 3, 3),
        l=(1, 64, 1, 1),
        scale=(64,),
        shift=(64,),
        mean=(64,),
        variance=np.linspace(0.5, 2, 64, dtype=np.float32),
    )
    wide = {
        name: value.const_value.numpy().astype(np.float64)
        for name, value in m.graph.initializers.items()
        if value.const_value is not None
    }
    outcome = run(m, Options())
    assert [node.op_type for node in outcome.model.graph] == ["Conv"]
    name = str(outcome.model.graph[0].inputs[1].name)
    exact = outcome.exact[name]
    assert outcome.exact[name] is not exact  # made again
    a = wide["scale"] / np.sqrt(wide["variance"] + float(np.float32(1e-5)))
    expected = wide["w"] * wide["k"].reshape(1, -1, 1, 1)
    expected = expected * (a * wide["l"].reshape(-1)).reshape(-1, 1, 1, 1)
    np.testing.assert_allclose(exact, expected, rtol=1e-14)
    stored = outcome.model.graph.initializers[name].const_value
    assert stored is not None
    np.testing.assert_array_equal(stored.numpy(), exact.astype(np.float32))
