"""Sizes that weights fix in a product, behind strides or in a branch are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from normonnx.graph.interface import required_inputs
from normonnx.sizes.dimensions import open_shapes
from normonnx.sizes.recorded import Recorded
from normonnx.sizes.walk import Walk
from tests.graphs import proto, value


def walked(of: onnx.ModelProto) -> tuple[Walk, ...]:
    """Walks of a model, each run in ONNX Runtime as well, to outputs of the same shape."""
    m = ir.from_proto(of)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(of.SerializeToString(), options)
    shapes = open_shapes(required_inputs(m))
    walks = Recorded(m).walks
    for walk in walks:
        feeds = _feeds(m, {name: shapes.shape(name, walk.binding) for name in shapes.axes})
        for output, array in zip(of.graph.output, session.run(None, feeds), strict=True):
            tensor = walk.tensor(value(m, output.name))
            assert tensor is not None, (output.name, walk.binding)
            assert tensor.shape == array.shape, (output.name, walk.binding)
    return walks


def _feeds(m: ir.Model, shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    types = {str(v.name): v.dtype.numpy() for v in m.graph.inputs if v.dtype is not None}
    return {name: np.ones(shape, types[name]) for name, shape in shapes.items()}


LENET = """(float[n,1,h,w] x) => (float[n,m] y) {
  a = Conv (x, k) b = MaxPool <kernel_shape=[2,2], strides=[2,2]> (a)
  c = Conv (b, l) d = MaxPool <kernel_shape=[2,2], strides=[2,2]> (c)
  e = Flatten (d) y = MatMul (e, f)
}"""


@pytest.mark.parametrize("size", [(40, 100), (28, 28), (32, 128), (101, 47)])
def test_a_picture_that_is_flattened(size: tuple[int, int]) -> None:
    rows = 4 * ((size[0] - 12) // 4) * ((size[1] - 12) // 4)
    walks = walked(proto(LENET, k=(3, 1, 5, 5), l=(4, 3, 5, 5), f=(rows, 5)))
    assert len(walks) > 1


@pytest.mark.parametrize("stride", [2, 3, 5])
def test_a_square_behind_strides(stride: int) -> None:
    """One name for both sides: the product is that of a size with itself."""
    text = f"""(float[n,1,s,s] x) => (float[n,m] y) {{
      a = Conv <strides=[{stride},{stride}]> (x, k) e = Flatten (a) y = MatMul (e, f)
    }}"""
    walked(proto(text, k=(2, 1, 3, 3), f=(2 * 11 * 11, 5)))


def test_a_product_that_a_weight_is_added_to() -> None:
    """What is open is on the side of the weight."""
    text = """(float[1,1,h,w] x) => (float[1,m] y) {
      a = AveragePool <kernel_shape=[3,3], strides=[3,3]> (x) e = Flatten (a) y = Add (f, e)
    }"""
    walked(proto(text, f=(1, 7 * 5)))


def test_a_branch_that_may_be_taken_fixes_a_size() -> None:
    text = """(float[n,d] x) => (float[n,m] y) {
      r = ReduceMax <keepdims=0> (x) b = Greater (r, zero)
      y = If (b) <
        then_branch = t () => (float[n,m] p) { p = MatMul (x, w) },
        else_branch = e () => (float[n,m] q) { s = Mul (x, v) q = MatMul (s, u) }
      >
    }"""
    of = proto(text, w=(19, 3), v=(19,), u=(19, 3), zero=np.float32(0))
    for walk in walked(of):
        assert walk.binding["d"] == 19
        assert not walk.misfits


@pytest.mark.parametrize("never", ["always", "s"])
def test_a_branch_that_is_not_taken_fixes_a_size_in_a_further_walk(never: str) -> None:
    text = f"""(float[n,d] x) => (float[n,m] y) {{
      z = Size (x) s = Greater (z, none)
      y = If ({never}) <
        then_branch = t () => (float[n,m] p) {{ p = Neg (x) }},
        else_branch = e () => (float[n,m] q) {{ q = MatMul (x, w) }}
      >
    }}"""
    of = proto(text, w=(19, 3), none=np.array(0), always=np.array(True))
    assert all(walk.binding["d"] != 19 and walk.beside for walk in walked(of))
    [further] = Recorded(ir.from_proto(of)).further()
    assert further.binding["d"] == 19
    assert not further.beside


def test_a_branch_for_other_sizes_than_these_fixes_none() -> None:
    """Which is taken follows from the sizes: what is not need not fit."""
    text = """(float[n,d] x) => (float[n,m] y) {
      s = Shape <start=1> (x) c = Equal (s, five) b = Squeeze (c)
      y = If (b) <
        then_branch = t () => (float[n,m] p) { p = MatMul (x, w) },
        else_branch = e () => (float[n,m] q) { q = ReduceMean <axes=[1]> (x) }
      >
    }"""
    of = proto(text, w=(5, 1), five=np.array([5]))
    assert all(walk.binding["d"] != 5 and not walk.misfits for walk in walked(of))
    [further] = Recorded(ir.from_proto(of)).further()
    assert further.binding["d"] == 5


def test_branches_that_never_fit_together() -> None:
    """Where no size does for both, what is known is what fits."""
    text = """(float[n,d] x) => (float[n,3] y) {
      r = ReduceMax <keepdims=0> (x) b = Greater (r, zero)
      y = If (b) <
        then_branch = t () => (float[n,3] p) { p = MatMul (x, w) },
        else_branch = e () => (float[n,3] q) { q = MatMul (x, v) }
      >
    }"""
    m = ir.from_proto(proto(text, w=(5, 3), v=(7, 3), zero=np.float32(0)))
    walks = Recorded(m).walks
    assert len(walks) > 1
    for walk in walks:
        tensor = walk.tensor(value(m, "y"))
        assert walk.misfits
        assert tensor is not None
        assert tensor.shape == (walk.binding["n"], 3)


def test_a_constant_without_elements_is_no_size_that_is_too_small() -> None:
    text = """(float[n,3,h,w] x) => (float[n,3,p,q] y) {
      roi = Constant <value = float[0] {}> () y = Resize (x, roi, by)
    }"""
    assert len(walked(proto(text, by=np.array([1, 1, 2, 2], np.float32)))) > 1


MICROSOFT = "com.microsoft"


def _node(op_type: str, inputs: Sequence[str], domain: str = MICROSOFT, **attributes: Any) -> Any:
    return onnx.helper.make_node(op_type, inputs, ["y"], domain=domain, **attributes)


def test_sizes_at_which_an_operator_is_too_large_to_be_run_are_changed() -> None:
    """What it gives is seen where it is run alone, and not found out otherwise."""
    of = proto("(float[n,700,h,w] x) => (float[n,2,p,q] y) { y = Identity (x) }", k=(2, 700, 3, 3))
    del of.graph.node[:]
    of.graph.node.append(_node("FusedConv", "xk", activation="Relu", kernel_shape=[3, 3]))
    of.opset_import.append(onnx.helper.make_opsetid(MICROSOFT, 1))
    assert len(walked(of)) > 1


@pytest.mark.parametrize(
    ("node", "weights", "fixed"),
    [
        (_node("FusedMatMul", "xw", transB=1), {"w": (3, 19)}, 19),
        (_node("FusedMatMul", "xw"), {"w": (19, 3)}, 19),
        (_node("FusedGemm", "xwb", activation="Relu", transB=1), {"w": (3, 19), "b": (3,)}, 19),
        (_node("BiasGelu", "xb"), {"b": (19,)}, 19),
        (_node("FastGelu", "xb"), {"b": (19,)}, 19),
        (_node("SkipLayerNormalization", "xxg"), {"g": (19,)}, 19),
        (_node("SkipSimplifiedLayerNormalization", "xxg"), {"g": (19,)}, 19),
        (_node("DynamicQuantizeMatMul", "xwsz"),
         {"w": np.ones((19, 3), np.uint8), "s": np.float32([1]), "z": np.uint8([0])}, 19),
        (_node("MatMulNBits", "xws", K=19, N=3, bits=4, block_size=16),
         {"w": np.ones((3, 2, 8), np.uint8), "s": np.ones(6, np.float32)}, 19),
        (_node("QLinearMatMul", "qszwszsz", ""),
         {"w": np.ones((19, 3), np.uint8), "s": np.float32(1), "z": np.uint8(0)}, 19),
        (_node("MatMulInteger", "qw", ""), {"w": np.ones((19, 3), np.uint8)}, 19),
        (_node("Scaler", "x", "ai.onnx.ml", offset=[0.0] * 19, scale=[1.0] * 19), {}, 19),
        (_node("LinearRegressor", "x", "ai.onnx.ml", coefficients=[1.0] * 38, targets=2), {}, 19),
    ],
)  # fmt: skip
def test_a_weight_of_another_operator_fixes_a_size(
    node: onnx.NodeProto, weights: dict[str, Any], fixed: int
) -> None:
    of = proto("(float[n,d] x) => (float[] y) { y = Identity (x) }", **weights)
    if "q" in node.input:
        of.graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info("q", 2, ["n", "d"]))
    del of.graph.node[:]
    of.graph.node.append(node)
    kind = of.graph.output[0].type.tensor_type
    kind.elem_type = {"MatMulInteger": 6, "QLinearMatMul": 2}.get(node.op_type, 1)
    kind.ClearField("shape")
    of.opset_import.append(onnx.helper.make_opsetid(MICROSOFT, 1))
    of.opset_import.append(onnx.helper.make_opsetid("ai.onnx.ml", 1))
    for walk in walked(of):
        assert walk.binding["d"] == fixed


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("(float[n,2,h,w] x) => (float[p,q,r,s] y) { a = Concat <axis=1> (x, k) y = Relu (a) }",
         {"k": (1, 2, 60, 80)}),
        ("(float[n,2,h,w] x) => (float[p,q,r,s] y) { a = Neg (x) y = Concat <axis=-3> (k, a, k) }",
         {"k": (1, 2, 60, 80)}),
        ("""(float[n,2,h,w] x) => (float[p,q,r,s] y) {
           a = Conv <strides=[2,2]> (x, c) y = Concat <axis=1> (a, k)
         }""", {"c": (3, 2, 3, 3), "k": (1, 2, 6, 9)}),
        ("""(float[n,2,h,w] x) => (float[p,q,r,s] y) { a = Add (x, k) y = Conv (a, c) }""",
         {"c": (3, 2, 3, 3), "k": (1, 2, 6, 9)}),
        ("""(float[n,t,8] x) => (float[p,q,r] y) {
           a = MatMul (x, b) y = Concat <axis=2> (a, k)
         }""", {"b": (8, 5), "k": (7, 31, 6)}),
        ("(float[n,s,t] x) => (float[p,q,r] y) { y = LayerNormalization <axis=-2> (x, k) }",
         {"k": (23, 19)}),
        ("(float[n,2,h,w] x) => (float[p,q,r,s] y) { y = PRelu (x, k) }", {"k": (2, 6, 9)}),
        ("""(float[n,c,h,w] x) => (float[p,q,r,s] y) {
           y = GroupNormalization <num_groups=2> (x, k, k)
         }""", {"k": (18,)}),
        ("""(float[n,s,t] x) => (float[p,q,r] y) {
           a = QuantizeLinear (x, k, z) y = DequantizeLinear (a, k, z)
         }""", {"k": np.ones(19, np.float32), "z": np.zeros(19, np.uint8)}),
        ("""(float[n,s,t,d] x) => (float[p,q,r,s] y) {
           y = Einsum <equation="...id,de->...ie"> (x, k)
         }""", {"k": (19, 5)}),
    ],
)  # fmt: skip
def test_a_weight_fixes_several_sizes_of_what_it_meets(text: str, weights: dict[str, Any]) -> None:
    """Each that is mended counts, though the node does not fit until the last is."""
    walked(proto(text, opset=21, **weights))
