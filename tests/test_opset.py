from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from normonnx.opset import raise_opset
from tests.graphs import model, proto

TEXT = """(float[n,4] x) => (float[n,1] y) {
  a = MatMul (x, w)
  y = ReduceMean <axes=[-1]> (a)
}"""


def test_the_whole_model_is_converted_and_keeps_its_face() -> None:
    p = proto(TEXT, opset=13, w=(4, 400))
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
    m = model(TEXT, opset=13, w=(4, 4000))
    raised, _ = raise_opset(m, 17)
    assert raised is not None
    assert raised.graph.initializers["w"].const_value is m.graph.initializers["w"].const_value


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
