"""A raise replaces what it has to, and touches nothing else, or it is refused as a whole."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from normonnx.opset import Known, raise_opset
from tests.graphs import context, model, proto

CONVERTED = """(float[n,4] x) => (float[n,1] y) {
  a = MatMul (x, w)
  b, c = Split <axis=1> (a)
  y = ReduceMean <axes=[-1]> (b)
}"""
"""From opset 18 on a Split must say into how many parts."""

RESIZE = """(float[1,2,4,4] x) => (float[1,2,7,8] y) {
  y = Resize <mode="linear"> (x, k)
}"""


def known_of(m: ir.Model) -> Known:
    about = context(m)
    return Known(about.shapes.dtype, about.shapes.dims, about.constants.array)


def test_the_model_keeps_its_face() -> None:
    p = proto(CONVERTED, opset=13, w=(4, 4000))
    p.graph.doc_string, p.producer_name = "a graph", "a tool"
    p.metadata_props.add(key="k", value="v")
    p.graph.input[0].doc_string = "an input"
    m = ir.from_proto(p)
    weight = m.graph.initializers["w"].const_value
    raised = raise_opset(m, 18, known=known_of(m))
    assert raised.note == "opset 13 → 18: 1 Split evaluated in both, they agree exactly"
    assert (raised.is_made, raised.replaced) == (True, 1)
    assert m.graph.initializers["w"].const_value is weight
    out = ir.to_proto(m)
    onnx.checker.check_model(out, full_check=True)
    assert [(o.domain, o.version) for o in out.opset_import] == [("", 18)]
    assert [node.name for node in out.graph.node] == [node.name for node in p.graph.node]
    assert [list(node.output) for node in out.graph.node] == [["a"], ["b", "c"], ["y"]]
    assert out.graph.input[0] == p.graph.input[0]
    assert out.graph.output[0] == p.graph.output[0]
    assert (out.graph.doc_string, out.producer_name) == ("a graph", "a tool")
    assert out.metadata_props[0].value == "v"


@pytest.mark.parametrize(
    ("text", "opset", "wanted", "sentence"),
    [
        (
            "(float[2,3] x) => (float[2,3] y) { y = NoSuchOperator (x) }",
            13,
            17,
            "onnx knows no operator NoSuchOperator in opset 13",
        ),
        (
            "(float[2,3,4] x) => (float[2,3,4] y) { y = Hardmax <axis=1> (x) }",
            11,
            17,
            "Hardmax 'Hardmax_0' means something else from opset 17 on",
        ),
        (
            "(float[1,2,8,8] x, float[1,4] r, int64[1] b) => (float[1,2,2,2] y) "
            "{ y = RoiAlign <output_height=2, output_width=2> (x, r, b) }",
            16,
            23,
            f"ONNX Runtime {onnxruntime.__version__} has no kernel for RoiAlign 'RoiAlign_0' "
            "in opset 23",
        ),
        (
            "(float[2,4,3] x, float[2] s, float[2] b) => (float[2,4,3] y) "
            "{ y = GroupNormalization <num_groups=2> (x, s, b) }",
            18,
            23,
            "onnx.version_converter has no form of GroupNormalization 'GroupNormalization_0' "
            "for opset 23",
        ),
    ],
)
def test_what_cannot_be_raised_is_named(text: str, opset: int, wanted: int, sentence: str) -> None:
    before = proto(text, opset=opset)
    m = ir.from_proto(before)
    raised = raise_opset(m, wanted)
    assert not raised.is_made
    assert raised.note == f"opset stays {opset}: {sentence}"
    assert ir.to_proto(m).graph == ir.to_proto(ir.from_proto(before)).graph
    assert m.opset_imports == {"": opset}


def test_an_input_of_which_nothing_is_known_refuses_the_raise() -> None:
    m = model("(float[2,3,4] x) => (float[2,3,4] y) { y = Softmax (x) }", opset=12)
    raised = raise_opset(m, 17, known=Known(dims=lambda value: None))
    assert raised.note == (
        "opset stays 12: Softmax 'Softmax_0' may mean something else from opset 17 on, and cannot "
        "be evaluated alone: the rank of its input 'x' is not known"
    )


def test_a_model_with_functions_stays() -> None:
    text = "(float[2] x) => (float[2] y) { y = local.F (x) }"
    function = '<domain: "local", opset_import: ["" : 13]> F (a) => (b) { b = Relu (a) }'
    raised = raise_opset(model(text, opset=13, functions=function), 17)
    assert raised.note == "opset stays 13: the model has functions of its own"


def test_a_resize_of_opset_10_says_what_it_meant() -> None:
    before = proto(RESIZE, opset=10, k=np.array([1, 1, 1.8, 2], np.float32))
    m = ir.from_proto(before)
    assert raise_opset(m, 17).is_made
    node = next(node for node in m.graph if node.op_type == "Resize")
    mode = node.attributes["coordinate_transformation_mode"].as_string()
    assert (node.name, mode) == ("Resize_0", "asymmetric")
    x = np.random.default_rng(0).standard_normal((1, 2, 4, 4), dtype=np.float32)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    outputs = [
        onnxruntime.InferenceSession(p.SerializeToString(), options).run(None, {"x": x})
        for p in (before, ir.to_proto(m))
    ]
    np.testing.assert_array_equal(*outputs)


def test_nodes_in_a_branch_are_replaced_there() -> None:
    text = """(float[2,3,4] x, bool c) => (float[2,3,4] y) {
      y = If (c) <
        then_branch = g () => (float[2,3,4] p) { p = Softmax <axis=1> (x) },
        else_branch = h () => (float[2,3,4] q) { q = Softmax <axis=0> (x) }
      >
    }"""
    before = proto(text, opset=12)
    m = ir.from_proto(before)
    assert raise_opset(m, 17).replaced == 2
    after = ir.to_proto(m)
    onnx.checker.check_model(after, full_check=True)
    x = np.random.default_rng(0).standard_normal((2, 3, 4), dtype=np.float32)
    for c in (True, False):
        outputs = [
            onnxruntime.InferenceSession(p.SerializeToString()).run(
                None, {"x": x, "c": np.array(c)}
            )
            for p in (before, after)
        ]
        np.testing.assert_allclose(*outputs, rtol=1e-6)


def test_the_runtime_can_be_asked_in_a_process_of_its_own() -> None:
    m = model(CONVERTED, opset=13, w=(4, 4))
    assert raise_opset(m, 18, known=known_of(m), isolated=True).is_made


def test_without_a_runtime_the_oracle_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("normonnx.opset.evidence.runner", lambda *_, **__: None)
    monkeypatch.setattr("normonnx.opset.kernels.runner", lambda *_, **__: None)
    m = model(RESIZE, opset=10, k=np.array([1, 1, 1.8, 2], np.float32))
    assert raise_opset(m, 17).is_made
    m = model("(float[2,3,4] x) => (float[2,3,4] y) { y = Hardmax (x) }", opset=12)
    assert not raise_opset(m, 17).is_made


def test_nodes_that_read_what_another_replaced_one_gave_read_the_new_one() -> None:
    m = model(
        """(float[2,8] x) => (float[2,2] y) {
          a, b = Split <axis=1> (x)
          c, d = Split <axis=1> (b)
          y = Relu (d)
        }""",
        opset=13,
    )
    before = ir.to_proto(m)
    raised = raise_opset(m, 18, known=known_of(m))
    assert raised.replaced == 2
    m.clone()  # refuses values of nodes that are gone
    x = np.arange(16, dtype=np.float32).reshape(2, 8)
    sessions = (
        onnxruntime.InferenceSession(p.SerializeToString(), providers=["CPUExecutionProvider"])
        for p in (before, ir.to_proto(m))
    )
    was, now = (session.run(None, {"x": x})[0] for session in sessions)
    np.testing.assert_array_equal(was, now)
