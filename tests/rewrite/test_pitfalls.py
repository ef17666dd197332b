"""What ONNX Runtime gets wrong by itself, and that no rewrite leads it there."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from normonnx.options import Options
from normonnx.pipeline import run
from tests.graphs import proto

BETWEEN = """(float[2,3,4] x) => (float[2,5] y) {{
  c = Conv (x, w)
  t = Transpose <perm = [0, 2, 1]> (c)
  d = Mul (t, scale)
  y = MatMul (d, {right})
}}"""


def outputs(model: onnx.ModelProto, level: str) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    (y,) = session.run(None, {"x": x})
    return np.asarray(y)


@pytest.mark.parametrize("right", ["vector", "matrix"])
def test_what_stays_between_a_transpose_and_a_vector(right: str) -> None:
    text = BETWEEN.format(right=right)
    text = text if right == "vector" else text.replace("float[2,5] y", "float[2,4,6] y")
    text = text.replace("float[2,5] y", "float[2,4] y")
    before = proto(
        text,
        w=(5, 3, 1),
        scale=(5,),
        **({"vector": (5,)} if right == "vector" else {"matrix": (5, 6)}),
    )
    outcome = run(ir.from_proto(before), Options())
    after = ir.to_proto(outcome.model)
    for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"):
        np.testing.assert_allclose(
            outputs(after, level), outputs(before, "ORT_DISABLE_ALL"), rtol=1e-5, atol=1e-5
        )
    reasons = [miss.reason for miss in outcome.journal.near_misses.values()]
    if right == "vector":
        assert any("by a vector, and wrongly" in reason for reason in reasons)
        assert not outcome.journal.rewrites
    else:
        assert outcome.journal.rewrites
        assert "Mul" not in {node.op_type for node in outcome.model.graph}


RANGE = """(float[2] x, int64[k] s) => (int64[r] y) {
  size = Size (x)
  c = Equal (size, two)
  n = If (c) <then_branch = t () => (int64[m] a) { a = Identity (three) },
              else_branch = e () => (int64 b) { b = Size (s) }>
  y = Range (z, n, step)
}"""


def test_a_range_over_a_vector_is_not_shown_to_be_one() -> None:
    """ONNX Runtime runs it as long as it cannot tell the rank of what it reads."""
    numbers = {"two": np.int64(2), "z": np.int64(0), "step": np.int64(1)}
    before = proto(RANGE, three=np.int64([3]), **numbers)
    found = run(ir.from_proto(before), Options())
    feeds = {"x": np.zeros(2, np.float32), "s": np.int64([3, 4])}
    for model in (before, ir.to_proto(found.model)):
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        np.testing.assert_array_equal(session.run(None, feeds)[0], [0, 1, 2])
