from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from normonnx.opset import extends, raise_opset
from tests.graphs import model, proto

TEXT = """(float[n,4] x) => (float[n,1] y) {
  a = MatMul (x, w)
  y = ReduceMean <axes=[-1]> (a)
}"""


CONVERTED = """(float[n,4] x) => (float[n,1] y) {
  a = MatMul (x, w)
  b, c = Split <axis=1> (a)
  y = ReduceMean <axes=[-1]> (b)
}"""
"""From opset 18 on a Split must say into how many parts."""


def test_the_whole_model_is_converted_and_keeps_its_face() -> None:
    p = proto(CONVERTED, opset=13, w=(4, 400))
    p.graph.doc_string, p.producer_name = "a graph", "a tool"
    p.metadata_props.add(key="k", value="v")
    p.graph.input[0].doc_string = "an input"
    m = ir.from_proto(p)
    raised, note = raise_opset(m, 18)
    assert note == "opset 13 → 18"
    assert raised is not None
    out = ir.to_proto(raised)
    onnx.checker.check_model(out, full_check=True)
    assert [(o.domain, o.version) for o in out.opset_import] == [("", 18)]
    mean = next(node for node in out.graph.node if node.op_type == "ReduceMean")
    assert len(mean.input) == 2
    assert out.graph.input[0] == p.graph.input[0]
    assert out.graph.output[0] == p.graph.output[0]
    assert (out.graph.doc_string, out.producer_name) == ("a graph", "a tool")
    assert out.metadata_props[0].value == "v"
    weight = onnx.numpy_helper.to_array(out.graph.initializer[0])
    np.testing.assert_array_equal(weight, onnx.numpy_helper.to_array(p.graph.initializer[0]))
    # The model handed in is as it was.
    assert ir.to_proto(m).opset_import[0].version == 13
    assert m.graph.initializers["w"].const_value is not None


def test_large_weights_are_not_copied() -> None:
    m = model(CONVERTED, opset=13, w=(4, 4000))
    raised, _ = raise_opset(m, 18)
    assert raised is not None
    assert raised is not m
    assert raised.graph.initializers["w"].const_value is m.graph.initializers["w"].const_value


def test_large_constants_are_not_copied_and_stay_nodes() -> None:
    m = model(CONVERTED, opset=13, w=(4, 4000))
    weight = m.graph.initializers.pop("w")
    node = ir.node("Constant", [], {"value": weight.const_value})
    node.outputs[0].name = "w"
    weight.replace_all_uses_with(node.outputs[0])
    m.graph.insert_before(m.graph[0], node)
    raised, _ = raise_opset(m, 18)
    assert raised is not None
    assert [str(n.op_type) for n in raised.graph][:2] == ["Constant", "MatMul"]
    assert raised.graph[0].attributes["value"].value is weight.const_value
    assert [value.name for value in raised.graph.inputs] == ["x"]
    assert not set(raised.graph.initializers) & {"w"}
    onnx.checker.check_model(ir.to_proto(raised), full_check=True)


def test_the_ir_version_is_raised_no_further_than_the_opset_needs() -> None:
    p = proto(TEXT, opset=13, w=(4, 4))
    p.ir_version = 7
    raised, _ = raise_opset(ir.from_proto(p), 17)
    assert raised is not None
    assert raised.ir_version == 8


def test_what_the_converter_cannot_do_is_said() -> None:
    p = proto("(float[2,3] x) => (float[2,3] y) { y = Relu (x) }", opset=13)
    p.graph.node[0].op_type = "NoSuchOperator"
    raised, note = raise_opset(ir.from_proto(p), 17)
    assert raised is None
    assert note.startswith("opset stays 13")


def test_operators_that_only_gained_types_stay_as_they_are() -> None:
    m = model(TEXT, opset=13, w=(4, 4))
    nodes = list(m.graph)
    raised, note = raise_opset(m, 17)
    assert raised is m
    assert note == "opset 13 → 17"
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
    raised, _ = raise_opset(m, 23)
    assert raised is m
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
    raised, _ = raise_opset(m, 23)
    assert raised is m
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
def test_what_works_on_rows_is_raised_where_a_row_is_the_last_axis(operator: str) -> None:
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
    assert not extends(m, 13, rank=lambda value: None)
    assert extends(m, 13, rank=lambda value: 4)


@pytest.mark.parametrize("operator", ["Softmax", "Hardmax", "LogSoftmax", "Erf", "Resize"])
def test_what_opset_13_changed_is_left_to_the_converter(operator: str) -> None:
    m = model(f"(float[2,3,4] x) => (float[2,3,4] y) {{ y = {operator} (x) }}", opset=12)
    assert not extends(m, 13)


def test_a_reduction_over_no_axes_is_left_to_the_converter() -> None:
    m = model("(float[2,4] x) => (float[] y) { y = ReduceMax <axes=[1]> (x) }", opset=13)
    assert extends(m, 18)
    m.graph[0].attributes["axes"] = ir.AttrInt64s("axes", [])
    assert extends(m, 17)
    assert not extends(m, 18)


def test_operators_that_changed_are_converted() -> None:
    # The default of RoiAlign's new attribute is not what it did before.
    rois = """(float[1,1,8,8] x, float[1,4] r, int64[1] b) => (float[1,1,2,2] y) {
      y = RoiAlign <output_height=2, output_width=2> (x, r, b)
    }"""
    assert extends(model(rois, opset=13), 15)
    assert not extends(model(rois, opset=13), 16)
    raised, _ = raise_opset(model(rois, opset=13), 17)
    assert raised is not None
    assert raised.graph[0].attributes["coordinate_transformation_mode"].as_string() == (
        "output_half_pixel"
    )


def test_training_outputs_before_opset_14_are_left_to_the_converter() -> None:
    text = """(float[2,3,4] x, float[3] s, float[3] b, float[3] m, float[3] v)
    => (float[2,3,4] y, float[3] p, float[3] q, float[3] t, float[3] u) {
      y, p, q, t, u = BatchNormalization (x, s, b, m, v)
    }"""
    assert not extends(model(text, opset=13), 14)
