"""Splits for sibling Slices, Pads inside convolutions, products with what is around them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, numpy_helper

import normonnx

W = np.random.default_rng(1).standard_normal((4, 3, 3, 3)).astype(np.float32)
M = np.random.default_rng(2).standard_normal((6, 5)).astype(np.float32)


def model(text: str, opset: int = 17, **weights: np.ndarray) -> ModelProto:
    made = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> g {text}')
    made.graph.initializer.extend(numpy_helper.from_array(w, n) for n, w in weights.items())
    return made


def run(proto: ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found: list[np.ndarray] = session.run(None, feeds)
    return found


def simplified(proto: ModelProto) -> tuple[Counter[str], ModelProto]:
    """What is left, and the model, which computes the same; a second run changes nothing."""
    result = normonnx.optimize(proto, verify=False).to_bytes()
    assert normonnx.optimize(result, verify=False).to_bytes() == result
    after = onnx.load_from_string(result)
    onnx.checker.check_model(after, full_check=True)
    random = np.random.default_rng(0)
    feeds = {
        value.name: random.standard_normal(
            [dim.dim_value or 2 for dim in value.type.tensor_type.shape.dim]
        ).astype(np.float32)
        for value in proto.graph.input
    }
    for one, other in zip(run(proto, feeds), run(after, feeds), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    return Counter(node.op_type for node in after.graph.node), after


SLICES = """(float[n,6] x) => (float[n,2] a, float[n,4] b) {{
  axis = Constant<value = int64[1] {{ {axis} }}>()
  s0 = Constant<value = int64[1] {{ {s0} }}>()
  e0 = Constant<value = int64[1] {{ {e0} }}>()
  s1 = Constant<value = int64[1] {{ {s1} }}>()
  e1 = Constant<value = int64[1] {{ {e1} }}>()
  one = Constant<value = int64[1] {{ 1 }}>()
  p = Slice(x, s0, e0, axis, one)
  q = Slice(x, s1, e1, axis, one)
  a = Relu(p)
  b = Neg(q)
}}"""


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_slices_that_share_a_tensor_out_are_one_split(opset: int) -> None:
    text = SLICES.format(axis=1, s0=0, e0=2, s1=2, e1=9223372036854775807)
    left, after = simplified(model(text, opset))
    assert left == {"Split": 1, "Relu": 1, "Neg": 1}
    assert list(after.graph.node[0].output) == ["p", "q"], "they keep their names"


@pytest.mark.parametrize(
    "places",
    [
        {"axis": 1, "s0": 0, "e0": 2, "s1": 1, "e1": 5},  # they overlap
        {"axis": 1, "s0": 0, "e0": 2, "s1": 2, "e1": 5},  # something is left over
        {"axis": 1, "s0": 1, "e0": 2, "s1": 2, "e1": 6},  # it begins later
    ],
)
def test_slices_that_do_not_stay(places: dict[str, int]) -> None:
    left, _ = simplified(
        model(
            SLICES.format(**places)
            .replace("float[n,2]", "float[n,p]")
            .replace("float[n,4]", "float[n,q]")
        )
    )
    assert left["Slice"] == 2


CONV = """(float[1,3,8,8] x) => (float[1,4,h,w] y) {{
  pads = Constant<value = int64[8] {{ {pads} }}>()
  fill = Constant<value = float {{ {fill} }}>()
  p = Pad<mode = "{mode}">(x, pads, fill)
  y = Conv<pads = [{own}]>(p, W)
}}"""


def padded(
    pads: str = "0,0,0,1,0,0,1,2", fill: float = 0.0, mode: str = "constant", own: str = "0,0,0,0"
) -> ModelProto:
    return model(CONV.format(pads=pads, fill=fill, mode=mode, own=own), W=W)


@pytest.mark.parametrize("own", ["0,0,0,0", "1,1,0,2"])
def test_zeros_around_what_a_convolution_reads_are_its_own(own: str) -> None:
    left, after = simplified(padded(own=own))
    assert left == {"Conv": 1}
    pads = next(a.ints for a in after.graph.node[0].attribute if a.name == "pads")
    assert list(pads) == [
        a + b for a, b in zip(map(int, own.split(",")), [0, 1, 1, 2], strict=True)
    ]


@pytest.mark.parametrize(
    "proto",
    [
        padded(fill=1.0),
        padded(mode="reflect"),
        padded(pads="0,0,0,-1,0,0,1,2"),
        model(CONV.format(pads="0,0,0,1,0,0,1,2", fill=0.0, mode="constant", own="0,0,0,0").replace(
            "pads = [0,0,0,0]", 'auto_pad = "SAME_UPPER"'), W=W),
        model(CONV.format(pads="0,1,0,0,0,0,0,0", fill=0.0, mode="constant", own="0,0,0,0"),
              W=np.concatenate([W, W[:, :1]], axis=1)),
    ],
    ids=["ones", "reflected", "cut", "automatic", "along the channels"],
)  # fmt: skip
def test_pads_that_a_convolution_cannot_make(proto: ModelProto) -> None:
    left, _ = simplified(proto)
    assert left == {"Pad": 1, "Conv": 1}


def test_a_pad_that_others_read_stays() -> None:
    text = CONV.format(pads="0,0,0,1,0,0,1,2", fill=0.0, mode="constant", own="0,0,0,0")
    text = text.replace("(float[1,4,h,w] y)", "(float[1,4,h,w] y, float[1,3,u,v] r)")
    left, _ = simplified(model(text.replace("y = Conv", "r = Relu(p)\n y = Conv"), W=W))
    assert left == {"Pad": 1, "Conv": 1, "Relu": 1}


def test_transposes_around_a_product_go() -> None:
    text = """(float[n,5] x) => (float[n,6] y) {
      t = Transpose(x)
      p = MatMul(M, t)
      y = Transpose<perm = [1, 0]>(p)
    }"""
    left, _ = simplified(model(text, M=M))
    assert left == {"MatMul": 1}


def test_a_batch_of_products_keeps_its_batch() -> None:
    text = """(float[b,n,6] x, float[b,5,n] z) => (float[b,5,6] y) {
      t = Transpose<perm = [0, 2, 1]>(x)
      s = Transpose<perm = [0, 2, 1]>(z)
      p = MatMul(t, s)
      y = Transpose<perm = [0, 2, 1]>(p)
    }"""
    left, after = simplified(model(text))
    assert left == {"MatMul": 1}
    assert list(after.graph.node[0].input) == ["z", "x"]


def test_a_transpose_of_other_axes_stays() -> None:
    text = """(float[2,3,5] x) => (float[6,2,3] y) {
      t = Transpose<perm = [0, 2, 1]>(x)
      p = MatMul(M, t)
      y = Transpose<perm = [1, 0, 2]>(p)
    }"""
    left, _ = simplified(model(text, M=M))
    assert left == {"Transpose": 2, "MatMul": 1}


GEMM = "(float[n,6] x) => (float[n,5] y) { p = MatMul(x, M)\n y = Add({sum}) }"


@pytest.mark.parametrize("order", ["p, b", "b, p"])
def test_a_product_and_a_vector_are_a_gemm(order: str) -> None:
    left, after = simplified(
        model(GEMM.replace("{sum}", order), M=M, b=np.float32([1, 2, 3, 4, 5]))
    )
    assert left == {"Gemm": 1}
    assert {tensor.name for tensor in after.graph.initializer} == {"M", "b"}


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        (GEMM.replace("{sum}", "p, b").replace("[n,6] x", "[2,n,6] x").replace("[n,5]", "[2,n,5]"),
         {"b": np.float32([1, 2, 3, 4, 5])}),
        (GEMM.replace("{sum}", "p, b").replace("[n,5]", "[7,5]").replace("[n,6]", "[1,6]"),
         {"b": np.ones((7, 5), np.float32)}),
        (GEMM.replace("{sum}", "p, b").replace("[n,", "[5,"), {"b": np.ones((5, 1), np.float32)}),
    ],
    ids=["rank 3", "the sum is larger", "a column"],
)  # fmt: skip
def test_sums_that_are_no_gemm(text: str, weights: dict[str, np.ndarray]) -> None:
    left, _ = simplified(model(text, M=M, **weights))
    assert left == {"MatMul": 1, "Add": 1}


def test_a_gemm_transposes_what_it_reads_itself() -> None:
    text = """(float[6,n] x) => (float[n,5] y) {
      t = Transpose(x)
      y = Gemm<alpha = 0.5>(t, M, b)
    }"""
    left, _ = simplified(model(text, M=M, b=np.float32([1, 2, 3, 4, 5])))
    assert left == {"Gemm": 1}
