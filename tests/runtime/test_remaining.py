"""The nodes that ONNX Runtime leaves of a model, counted without its weights."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from normonnx.runtime.remaining import nodes_left
from tests.graphs import model, proto

FUSED = """(float[n,64] x) => (float[n,64] y) {
  a = MatMul (x, w)
  b = Add (a, c)
  d = Relu (b)
  e = Identity (d)
  y = Mul (e, s)
}"""


def _left_with_weights(p: onnx.ModelProto, folder: Path) -> int:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "left.onnx")
    onnxruntime.InferenceSession(p.SerializeToString(), options, ["CPUExecutionProvider"])
    return len(onnx.load(folder / "left.onnx").graph.node)


@pytest.mark.parametrize("isolated", [False, True])
def test_they_are_those_that_are_left_with_the_weights(tmp_path: Path, isolated: bool) -> None:
    p = proto(FUSED, opset=13, w=(64, 64), c=(64,), s=(64,))
    left = nodes_left(ir.from_proto(p), isolated=isolated)
    assert left == _left_with_weights(p, tmp_path)
    assert left is not None
    assert left < len(p.graph.node)


def test_large_weights_are_not_read() -> None:
    m = model(FUSED, opset=13, w=(64, 64), c=(64,), s=(64,))
    tensor = ir.ExternalTensor(
        "nowhere", 0, 4 * 64 * 64, ir.DataType.FLOAT, shape=ir.Shape([64, 64]), name="w"
    )
    m.graph.initializers["w"].const_value = tensor
    assert nodes_left(m) is not None
    assert m.graph.initializers["w"].const_value is tensor


def test_nodes_of_branches_count() -> None:
    text = """(float[2] x, bool c) => (float[2] y) {
      y = If (c) <
        then_branch = g () => (float[2] p) { p = Relu (x) },
        else_branch = h () => (float[2] q) { r = Exp (x) q = Sin (r) }
      >
    }"""
    assert nodes_left(model(text)) == 4


def test_a_model_that_does_not_load_has_none() -> None:
    assert nodes_left(model("(float[2] x) => (float[2] y) { y = NoSuchOperator (x) }")) is None
