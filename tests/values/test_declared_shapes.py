"""What a file declares of a shape is believed where nothing else is known, and only there."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from normonnx.api import optimize
from normonnx.graph.dims import Product
from normonnx.options import Options
from tests.graphs import model, proto, value
from tests.values.beliefs import believed, untrue

_CONV_BN = """(float[n,3,h,w] x) => (float[n,4,h,w] y) {
    r = Sigmoid (x) c = Conv <pads=[1,1,1,1]> (r, k) y = BatchNormalization (c, s, b, m, v)
}"""
_WEIGHTS = {
    "k": (4, 3, 3, 3),
    "s": (4,),
    "b": (4,),
    "m": (4,),
    "v": np.float32([1, 2, 3, 4]),
}


def _declare(m: onnx.ModelProto, name: str, dims: list[object]) -> None:
    info = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims)
    m.graph.value_info.append(info)


def test_a_stale_shape_of_a_value_in_between_changes_nothing() -> None:
    m = proto(_CONV_BN, **_WEIGHTS)
    _declare(m, "r", [1, 3, 1, 1])
    _declare(m, "c", [1, 4, 1, 1])
    m.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 7
    model = ir.from_proto(m)
    assert not untrue(model, {"x": np.ones((2, 3, 5, 6), np.float32)})
    shapes = believed(model)
    assert shapes.dims(value(model, "r")) == shapes.dims(value(model, "x"))


def test_a_stale_shape_within_a_branch_changes_nothing() -> None:
    m = proto(
        """(bool c, float[n,8] x) => (float[n,8] y) {
            y = If (c) <
                then_branch = t () => (float[3,8] a) { e = Relu (x) a = Exp (e) },
                else_branch = f () => (float[3,8] b) { b = Neg (x) }
            >
        }"""
    )
    for attribute in m.graph.node[0].attribute:
        info = onnx.helper.make_tensor_value_info("e", onnx.TensorProto.FLOAT, [3, 8])
        if attribute.name == "then_branch":
            attribute.g.value_info.append(info)
    model = ir.from_proto(m)
    assert believed(model).dims(value(model, "y")) == (Product(1, ("n",)), 8)


def test_what_an_unknown_operator_declares_is_the_only_knowledge_there_is() -> None:
    m = proto("(float[n,8] x) => (float[n,8] y) { a = Relu (x) b = Relu (a) y = Tile (b, t) }")
    m.graph.node[1].domain = "elsewhere"
    m.opset_import.append(onnx.helper.make_opsetid("elsewhere", 1))
    m.graph.initializer.append(onnx.numpy_helper.from_array(np.int64([1, 2]), "t"))
    _declare(m, "a", [5, 5])
    _declare(m, "b", ["n", 6])
    model = ir.from_proto(m)
    shapes = believed(model)
    n = Product(1, ("n",))
    assert shapes.dims(value(model, "a")) == (n, 8)
    assert shapes.dims(value(model, "b")) == (n, 6)
    assert shapes.static(value(model, "y")) is None
    assert (shapes.dims(value(model, "y")) or ())[1:] == (12,)


@pytest.mark.parametrize("size", [-1, 0, "", "?", "None", "-1", "?x:2"])
@pytest.mark.parametrize("channels", [False, True])
def test_exporters_ways_to_write_unknown_are_no_sizes(size: int | str, channels: bool) -> None:
    m = proto(_CONV_BN, **_WEIGHTS)
    for info in (m.graph.input[0], m.graph.output[0]):
        for axis, dim in enumerate(info.type.tensor_type.shape.dim):
            if axis != 1 or channels:
                dim.Clear()
                setattr(dim, "dim_value" if isinstance(size, int) else "dim_param", size)
    model = ir.from_proto(m)
    for shape in ((2, 3, 5, 6), (1, 3, 9, 4)):
        assert not untrue(model, {"x": np.ones(shape, np.float32)})
    shapes = believed(model)
    # Two dimensions of which nothing is known are not the same.
    assert len(set(shapes.dims(value(model, "x")) or ())) == 4
    assert (shapes.dims(value(model, "c")) or ())[1] == 4


@pytest.mark.parametrize("channels", [False, True])
def test_a_norm_folds_behind_dimensions_of_minus_one(channels: bool) -> None:
    m = proto(_CONV_BN, **_WEIGHTS)
    for info in (m.graph.input[0], m.graph.output[0]):
        for axis, dim in enumerate(info.type.tensor_type.shape.dim):
            if axis != 1 or channels:
                dim.dim_value = -1
    done = optimize(m, options=Options(verify=False))
    graph = ir.to_proto(done.model).graph
    assert "BatchNormalization" not in [node.op_type for node in graph.node]
    assert graph.input[0] == m.graph.input[0]
    assert graph.output[0] == m.graph.output[0]


def test_two_unknown_dimensions_are_not_taken_as_equal() -> None:
    m = proto("(float[] x, float[] z) => (float[] y) { h = Shape (z) y = Expand (x, h) }")
    for info in (*m.graph.input, *m.graph.output):
        info.CopyFrom(
            onnx.helper.make_tensor_value_info(info.name, onnx.TensorProto.FLOAT, [None, None])
        )
    model = ir.from_proto(m)
    for one, other in (((2, 6), (1, 1)), ((1, 1), (3, 4)), ((2, 1), (2, 5))):
        assert not untrue(model, {"x": np.ones(one, "f"), "z": np.ones(other, "f")})
    shapes = believed(model)
    every = {*(shapes.dims(value(model, "x")) or ()), *(shapes.dims(value(model, "z")) or ())}
    assert len(every) == 4


def test_what_a_body_is_given_follows_from_its_node() -> None:
    m = model(
        """(float[n,4] x) => (float[] last) {
          last, all = Loop (turns, go, x) <
            body = b (int64 i, bool g, float[1,1] s) => (bool o, float[1,1] t, float[1,1] k) {
              o = Identity (g) t = Mul (s, w) k = Neg (t)
            }
          >
        }""",
        turns=np.array(2), go=np.array(True), w=(4,),
    )  # fmt: skip
    shapes = believed(m)
    [loop] = m.graph
    body = loop.attributes["body"].as_graph()
    assert [shapes.dims(v) for v in body.inputs] == [(), (), (Product(1, ("n",)), 4)]
    assert [shapes.rank(v) for v in body.outputs] == [0, 2, 2]
    assert shapes.dims(loop.outputs[0]) == (Product(1, ("n",)), 4)
    assert (shapes.dims(loop.outputs[1]) or ())[1:] == (Product(1, ("n",)), 4)


def test_what_a_scan_is_given_is_a_slice() -> None:
    m = model(
        """(float[2] s, float[3,n,2] x) => (float[] t, float[] all) {
          t, all = Scan <num_scan_inputs: int = 1, scan_input_axes: ints = [1], body: graph =
            b (float[9] a, float[9,9] e) => (float[9] c, float[9] k) {
              c = Identity (a) k = Neg (e) }> (s, x)
        }"""
    )
    shapes = believed(m)
    [scan] = m.graph
    body = scan.attributes["body"].as_graph()
    assert [shapes.dims(v) for v in body.inputs] == [(2,), (3, 2)]
    assert shapes.dims(scan.outputs[0]) == (2,)
    assert (shapes.dims(scan.outputs[1]) or ())[1:] == (3, 2)
