"""Inputs that must be of one type are, or the model is refused, as ONNX Runtime refuses it."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto

from normonnx import model_io
from normonnx.errors import InvalidModelError
from tests.graphs import proto

HALF = np.ones(4, np.float16)
MIXED = {
    "scale of a norm": "y = LayerNormalization <axis=-1> (x, h, h)",
    "operand": "y = Add (x, h)",
    "one of many": "y = Concat <axis=0> (x, x, h)",
    "behind other nodes": """
      c = Cast <to=10> (x)
      a = Relu (x)
      b = Mul (h, h)
      y = Sub (a, b)
    """,
}
RIGHT = {
    "a cast between": "c = Cast <to=1> (h) y = Add (x, c)",
    "types that need not agree": "s = Constant <value_ints=[2,2]> () y = Reshape (x, s)",
    "a left out input": "y = Clip (x, , m)",
    "an exponent of its own": "y = Pow (x, h)",
    "a branch": """y = If (q) <
        then_branch = g () => (float[n] t) { t = Relu (x) },
        else_branch = k () => (float[n] e) { e = Exp (x) }
      >""",
}


def built(nodes: str) -> ModelProto:
    text = f"(float[4] x, bool q) => (y) {{ {nodes} }}"
    return proto(text.replace("=> (y)", "=> (float y)"), h=HALF, m=np.float32(1))


def loads(model: ModelProto) -> bool:
    model.graph.output[0].ClearField("type")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("nodes", MIXED.values(), ids=MIXED)
def test_two_types_where_one_is_needed_are_refused(nodes: str) -> None:
    model = built(nodes)
    with pytest.raises(InvalidModelError, match=r"needs inputs of one type, and '.*' is FLOAT"):
        model_io.load(model)
    assert not loads(model)


@pytest.mark.parametrize("nodes", RIGHT.values(), ids=RIGHT)
def test_what_need_not_agree_is_taken(nodes: str) -> None:
    model = built(nodes)
    model_io.load(model)
    assert loads(model)


def test_operators_that_onnx_does_not_know_are_taken() -> None:
    model = built("y = own.Add (x, h)")
    model.opset_import.add(domain="own", version=1)
    model_io.load(model)


def test_old_opsets_are_taken() -> None:
    # The schema of that time wants the counts in the type of the input, and nobody wrote them so.
    text = "(float[4] x) => (float y) { y = Tile (x, n, a) }"
    counts = {"n": np.array(2, np.int64), "a": np.array(0, np.int64)}
    model_io.load(proto(text, opset=1, **counts))
