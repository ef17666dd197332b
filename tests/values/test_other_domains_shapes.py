"""Dimensions and types behind operators beside ONNX's own, as ONNX Runtime really gives them."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from normonnx.api import optimize
from normonnx.values.constants import Constants
from normonnx.values.shapes import Shapes
from tests.graphs import proto, value
from tests.values.beliefs import believed, untrue

_BYTES = np.zeros((16, 1, 16), np.uint8)
_PER_TENSOR = {"s": np.float32(0.1), "z": np.uint8(3)}

_MICROSOFT = {
    "Gelu": ("Gelu (x)", {}),
    "QuickGelu": ("QuickGelu (x)", {}),
    "FastGelu": ("FastGelu (x, w)", {"w": (32,)}),
    "BiasGelu": ("BiasGelu (x, w)", {"w": (32,)}),
    "BiasSplitGelu": ("BiasSplitGelu (x, w)", {"w": (32,)}),
    "BiasAdd": ("BiasAdd (x, w, x)", {"w": (32,)}),
    "FusedMatMul": ("FusedMatMul <transB=1> (x, w)", {"w": (7, 32)}),
    "FusedMatMul, left": ("FusedMatMul <transA=1> (x, x)", {}),
    "MatMulNBits": (
        "MatMulNBits <K=32, N=16, bits=4, block_size=32> (x, w, scales)",
        {"w": _BYTES, "scales": (16,)},
    ),
    "MatMulBnb4": (
        "MatMulBnb4 <K=32, N=16, block_size=32, quant_type=1> (x, w, scales)",
        {"w": np.zeros(256, np.uint8), "scales": (16,)},
    ),
    "SkipLayerNormalization": ("SkipLayerNormalization (x, x, w)", {"w": (32,)}),
    "SkipSimplifiedLayerNormalization": (
        "SkipSimplifiedLayerNormalization (x, x, w)",
        {"w": (32,)},
    ),
    "QuantizeLinear": ("QuantizeLinear (x, s, z)", _PER_TENSOR),
    "DequantizeLinear": ("DequantizeLinear (q, s, z)", _PER_TENSOR),
    "QLinearAdd": ("QLinearAdd (q, s, z, w, s, z, s, z)", {**_PER_TENSOR, "w": np.uint8([[3]])}),
    "QLinearMul": ("QLinearMul (q, s, z, w, s, z, s, z)", {**_PER_TENSOR, "w": np.uint8([[3]])}),
    "QLinearSigmoid": ("QLinearSigmoid (q, s, z, s, z)", _PER_TENSOR),
    "QLinearLeakyRelu": ("QLinearLeakyRelu (q, s, z, s, z)", _PER_TENSOR),
    "Inverse": ("Inverse (square)", {}),
}

_LEARNING = {
    "Scaler": "Scaler <offset=[0.5], scale=[2.0]> (m)",
    "Normalizer": 'Normalizer <norm="L2"> (m)',
    "Imputer": "Imputer <imputed_value_floats=[1.0], replaced_value_float=0.0> (m)",
    "Binarizer": "Binarizer <threshold=0.5> (m)",
    "ArrayFeatureExtractor": "ArrayFeatureExtractor (m, places)",
    "LinearRegressor": ("LinearRegressor <coefficients=[1.0,2.0,3.0,4.0,5.0,6.0], targets=2> (m)"),
    "OneHotEncoder": "OneHotEncoder <cats_int64s=[0,1,2,3]> (i)",
}


def _model(call: str, domain: str, weights: dict[str, object]) -> ir.Model:
    m = proto(
        f"""(float[n,t,32] x, uint8[n,t] q, float[n,3] m, int64[n] i, float[n,4,4] square)
            => (float[] y) {{ c = {call} y = Identity (c) }}""",
        opset=15,
        **weights,
        places=np.int64([0, 2]),
    )
    m.graph.output[0].ClearField("type")
    m.graph.node[0].domain = domain
    m.opset_import.append(onnx.helper.make_opsetid(domain, 2 if domain == "ai.onnx.ml" else 1))
    return ir.from_proto(m)


_FEEDS = {
    "x": np.ones((2, 2, 32), np.float32),
    "q": np.ones((2, 2), np.uint8),
    "m": np.ones((2, 3), np.float32),
    "i": np.ones(2, np.int64),
    "square": np.stack([np.eye(4, dtype=np.float32)] * 2),
}


def _holds(m: ir.Model) -> None:
    try:
        found = untrue(m, _FEEDS)
    except Exception as error:
        if "NOT_IMPLEMENTED" in str(error) or "Could not find an implementation" in str(error):
            pytest.skip("the installed ONNX Runtime has no CPU kernel for it")
        raise
    assert not found
    shapes = believed(m)
    assert shapes.dims(value(m, "y")) is not None
    assert shapes.dtype(value(m, "c")) is not None


@pytest.mark.parametrize("name", _MICROSOFT)
def test_microsoft(name: str) -> None:
    call, weights = _MICROSOFT[name]
    _holds(_model(call, "com.microsoft", dict(weights)))


@pytest.mark.parametrize("call", _LEARNING.values(), ids=_LEARNING.keys())
def test_machine_learning(call: str) -> None:
    _holds(_model(call, "ai.onnx.ml", {}))


@pytest.mark.parametrize("opset", [11, 13, 17, 18])
def test_our_own_before_onnx_can_infer_their_functions(opset: int) -> None:
    """Both outputs of a sum and its norm have the shape of the first input."""
    over = "<axes=[1]> (" if opset < 18 else "("
    more = "" if opset < 18 else ", along"
    m = proto(
        f"""(float[n,5,32] x, float[n,5,32] r) => (float[] y, float[] z) {{
            a = Add (x, r)
            m = ReduceMean {over}a{more}) d = Sub (a, m)
            q = Mul (d, d) v = ReduceMean {over}q{more})
            w = Add (v, e) s = Sqrt (w) y = Div (d, s) z = Relu (a)
        }}""",
        opset=opset,
        e=np.float32(1e-5),
        **({} if opset < 18 else {"along": np.array([1])}),
    )
    made = optimize(m, target="normonnx", verify=False).model
    [norm] = [node for node in made.graph if node.domain == "normonnx"]
    shapes = believed(made)
    assert all(shapes.dims(out) == shapes.dims(norm.inputs[0]) for out in norm.outputs)
    assert shapes.rank(norm.outputs[-1]) == 3
    feeds = {name: np.ones((2, 5, 32), np.float32) for name in "xr"}
    assert not untrue(made, feeds)


def test_norms_of_our_own_before_the_model_names_their_domain() -> None:
    """It gets it at the end of a run: until then what is behind them is known all the same."""
    m = proto(
        """(float16[n,t,8] x) => (float[n,t,8] y) {
            a = FusedRMSNormalization (x, s) b = FusedLayerNormalization (a, s)
            c = Cast <to=1> (b) y = Relu (c)
        }""",
        s=np.ones(8, np.float16),
    )
    for node in m.graph.node[:2]:
        node.domain = "normonnx"
    found = ir.from_proto(m)
    shapes = Shapes(found, Constants(found))
    half, single = ir.DataType.FLOAT16, ir.DataType.FLOAT
    for name, dtype in {"a": half, "b": half, "c": single}.items():
        assert shapes.dtype(value(found, name)) == dtype
        assert shapes.dims(value(found, name)) == shapes.dims(value(found, "x"))
