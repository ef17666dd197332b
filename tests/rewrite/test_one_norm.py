"""A norm that stays is one near miss, whatever arithmetic it is spelled with."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

import normonnx

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'
MEANS = "m = ReduceMean<axes=[-1]>(x) d = Sub(x, m) q = Mul(d, d) v = ReduceMean<axes=[-1]>(q)"
ENDS = {
    "Div": "s = Sqrt(e) n = Div(d, s)",
    "Reciprocal": "r = Sqrt(e) s = Reciprocal(r) n = Mul(d, s)",
}


def model(text: str, **weights: np.ndarray) -> onnx.ModelProto:
    found = parser.parse_model(f"{HEAD} g {text}")
    found.graph.initializer.extend(
        numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()
    )
    return found


def around(end: str) -> str:
    return (
        f"(float[2,3,8] x) => (float[2,3,8] y) {{ {MEANS} e = Add(v, eps) {ENDS[end]} "
        "g = Mul(n, scale) z = Add(g, bias) y = Mul(z, d) }"
    )


@pytest.mark.parametrize("end", ENDS)
def test_one_norm_is_one_line(end: str) -> None:
    """Epsilon varies along the rows, so no operator takes it."""
    random = np.random.default_rng(0)
    weights = {
        "eps": random.uniform(1, 2, (3, 1)),
        "scale": random.uniform(1, 2, 8),
        "bias": random.uniform(1, 2, 8),
    }
    result = normonnx.optimize(model(around(end), **weights), verify=False)
    assert not result.report.rewrites
    (miss,) = result.report.near_misses
    assert miss.rule == "NX101"
    (site,) = normonnx.inspect(model(around(end), **weights)).sites
    assert (site.rule, site.verdict) == ("NX101", "stays")


def test_arithmetic_elsewhere_is_still_told() -> None:
    random = np.random.default_rng(0)
    weights = {
        "eps": random.uniform(1, 2, (3, 1)),
        "scale": random.uniform(1, 2, 8),
        "bias": random.uniform(1, 2, 8),
        "k": random.uniform(1, 2, 8),
    }
    text = around("Div").replace("y = Mul(z, d)", "t = Mul(z, d) u = Mul(t, k) y = Softmax(u)")
    found = normonnx.optimize(model(text, **weights), verify=False).report.near_misses
    assert sorted(miss.rule for miss in found) == ["NX003", "NX101"]
