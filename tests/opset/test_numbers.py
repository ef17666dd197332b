"""What keeps its meaning keeps its node: only the number changes, and axes become inputs."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from normonnx.opset import Known, extends, raise_opset
from tests.graphs import model, proto

TEXT = """(float[n,4] x) => (float[n,1] y) {
  a = MatMul (x, w)
  y = ReduceMean <axes=[-1]> (a)
}"""


def test_the_ir_version_is_raised_no_further_than_the_opset_needs() -> None:
    p = proto(TEXT, opset=13, w=(4, 4))
    p.ir_version = 7
    m = ir.from_proto(p)
    assert raise_opset(m, 17).is_made
    assert m.ir_version == 8


def test_operators_that_only_gained_types_stay_as_they_are() -> None:
    m = model(TEXT, opset=13, w=(4, 4))
    nodes = list(m.graph)
    raised = raise_opset(m, 17)
    assert raised.is_made
    assert (raised.note, raised.replaced) == ("opset 13 → 17", 0)
    assert list(m.graph) == nodes
    onnx.checker.check_model(ir.to_proto(m), full_check=True)


def test_the_axes_of_reductions_become_inputs() -> None:
    m = model(
        """(float[2,3,4] x, bool b) => (float[2,3,4] y) {
          axes_0 = ReduceMean <axes=[-1]> (x)
          p = ReduceMax <axes=[-1], keepdims=1> (x)
          all = ReduceSumSquare (x)
          q = If (b) <
            then_branch = g () => (float[2,1,4] r) { r = ReduceL2 <axes=[1]> (x) },
            else_branch = h () => (float[2,1,4] s) { s = ReduceMin <axes=[1]> (x) }
          >
          t = Sub (axes_0, p)
          u = Add (t, all)
          y = Add (u, q)
        }""",
        opset=14,
    )
    before = ir.to_proto(m)
    assert raise_opset(m, 23).replaced == 0
    after = ir.to_proto(m)
    onnx.checker.check_model(after, full_check=True)
    assert len(m.graph.initializers) == 2
    x = np.random.default_rng(0).standard_normal((2, 3, 4), dtype=np.float32)
    for b in (True, False):
        outputs = [
            onnxruntime.InferenceSession(p.SerializeToString()).run(
                None, {"x": x, "b": np.array(b)}
            )
            for p in (before, after)
        ]
        np.testing.assert_array_equal(*outputs)


def test_the_axes_of_squeeze_and_sum_become_inputs() -> None:
    m = model(
        """(float[2,3,4] x) => (float[2,4] y) {
          a = Unsqueeze <axes=[0, 2]> (x)
          b = Squeeze <axes=[0]> (a)
          c = ReduceSum <axes=[1], keepdims=1> (b)
          d = ReduceMean <axes=[-2], keepdims=1> (c)
          e = Squeeze (d)
          f = Clip (e, low)
          y = Max (f, e)
        }""",
        opset=11,
        low=np.float32(-1),
    )
    before = ir.to_proto(m)
    assert raise_opset(m, 23).replaced == 0
    after = ir.to_proto(m)
    onnx.checker.check_model(after, full_check=True)
    assert not any(node.attribute and node.attribute[0].name == "axes" for node in after.graph.node)
    x = np.random.default_rng(0).standard_normal((2, 3, 4), dtype=np.float32)
    outputs = [
        onnxruntime.InferenceSession(p.SerializeToString()).run(None, {"x": x})
        for p in (before, after)
    ]
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize("operator", ["Softmax", "Hardmax", "LogSoftmax"])
def test_what_works_on_rows_is_kept_where_a_row_is_the_last_axis(operator: str) -> None:
    def over(attributes: str, shape: str) -> bool:
        text = f"(float[{shape}] x) => (float[{shape}] y) {{ y = {operator} {attributes} (x) }}"
        return extends(model(text, opset=12), 13)

    assert over("<axis=2>", "2,3,4")
    assert over("<axis=-1>", "2,3,4")
    assert over("", "3,4")
    assert not over("", "2,3,4")
    assert not over("<axis=1>", "2,3,4")
    assert not over("<axis=-2>", "2,3,4")
    m = model("(float[n] x) => (float[n] y) { y = Softmax <axis=3> (x) }", opset=12)
    assert not extends(m, 13, known=Known(dims=lambda value: None))
    assert extends(m, 13, known=Known(dims=lambda value: (1, 2, 3, 4)))


@pytest.mark.parametrize("operator", ["Softmax", "Hardmax", "LogSoftmax", "Erf", "Resize"])
def test_what_opset_13_changed_is_looked_at(operator: str) -> None:
    m = model(f"(float[2,3,4] x) => (float[2,3,4] y) {{ y = {operator} (x) }}", opset=12)
    assert not extends(m, 13)


def test_a_reduction_over_no_axes_is_looked_at() -> None:
    m = model("(float[2,4] x) => (float[] y) { y = ReduceMax <axes=[1]> (x) }", opset=13)
    assert extends(m, 18)
    m.graph[0].attributes["axes"] = ir.AttrInt64s("axes", [])
    assert extends(m, 17)
    assert not extends(m, 18)


def test_training_outputs_before_opset_14_are_looked_at() -> None:
    text = """(float[2,3,4] x, float[3] s, float[3] b, float[3] m, float[3] v)
    => (float[2,3,4] y, float[3] p, float[3] q, float[3] t, float[3] u) {
      y, p, q, t, u = BatchNormalization (x, s, b, m, v)
    }"""
    assert not extends(model(text, opset=13), 14)
