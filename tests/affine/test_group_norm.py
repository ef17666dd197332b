"""A GroupNormalization takes maps along the channels, which onnx's inference knows no shape of."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from normonnx import pipeline
from normonnx.options import Options
from tests.affine.rows import bn, in_runtime
from tests.graphs import operators, proto

BATCH_NORM = "y = BatchNormalization (c, s, o, m, v)"
WEIGHTS = {"k": (4, 1, 1), "l": (4, 1, 1), **bn(4, signs=True)}


@pytest.mark.parametrize(
    ("behind", "opset", "becomes", "reason"),
    [
        (BATCH_NORM, 21, "GroupNormalization", ""),
        ("d = Mul (c, k) y = Add (d, l)", 21, "GroupNormalization", ""),
        ("d = Mul (c, k) y = Add (d, l)", 18, "GroupNormalization Mul Add", "before opset 21"),
        (BATCH_NORM, 18, "GroupNormalization BatchNormalization", "before opset 21"),
        ("y = Mul (c, r)", 21, "GroupNormalization Mul", "the map varies along axis 3"),
        ("y = Add (c, q)", 21, "GroupNormalization Add", "varies along several axes"),
    ],
)
def test_a_map_behind_it(behind: str, opset: int, becomes: str, reason: str) -> None:
    """It is taken where there is a scale for each channel; where not, that is told."""
    per = 4 if opset >= 21 else 2
    of = proto(
        f"""(float[n,4,5,6] x) => (float[n,4,5,6] y) {{
          c = GroupNormalization <num_groups=2> (x, g, e) {behind}
        }}""",
        opset=opset, g=(per,), e=(per,), r=(6,), q=(4, 5, 1), **WEIGHTS,
    )  # fmt: skip
    outcome = pipeline.run(ir.from_proto(of), Options())
    assert operators(outcome.model) == becomes
    told = [miss.reason for miss in outcome.journal.near_misses.values()]
    assert any(reason in one for one in told) if reason else not told
    feeds = {"x": np.random.default_rng(0).normal(size=(2, 4, 5, 6)).astype(np.float32)}
    [before], [after] = in_runtime(of, feeds), in_runtime(ir.to_proto(outcome.model), feeds)
    np.testing.assert_allclose(after, before, rtol=0, atol=2e-5 * np.abs(before).max())
