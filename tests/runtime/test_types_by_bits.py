"""Types that NumPy does not have, sequences, optionals, maps and texts: in and out of a session."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from normonnx.judge import verify
from normonnx.judge.comparison import flattened, is_float
from normonnx.runtime.hosting import Host
from normonnx.runtime.sessions import SessionFailedError, Setting
from tests.judge.building import graph_model

WRITTEN = Setting("cpu", as_shipped=False)
TYPES: list[tuple[str, Any]] = [
    ("bfloat16", ml_dtypes.bfloat16),
    ("float8e4m3fn", ml_dtypes.float8_e4m3fn),
    ("float8e4m3fnuz", ml_dtypes.float8_e4m3fnuz),
    ("float8e5m2", ml_dtypes.float8_e5m2),
    ("float8e5m2fnuz", ml_dtypes.float8_e5m2fnuz),
]
apart = pytest.mark.parametrize("isolated", [False, True])


def loaded(text: str, opset: int = 22, **weights: Any) -> ir.Model:
    return ir.from_proto(graph_model(text, opset=opset, **weights))


def ran(model: ir.Model, feeds: dict[str, Any], *, isolated: bool) -> dict[str, Any]:
    with Host(model, isolated=isolated) as host:
        return host.session(WRITTEN).run(feeds)


@pytest.mark.parametrize(("told", "dtype"), TYPES)
@pytest.mark.parametrize("shape", [(2, 3), (), (0, 3)])
def test_floats_beside_numpys(told: str, dtype: Any, shape: tuple[int, ...]) -> None:
    kind = f"{told}[{','.join(map(str, shape))}]" if shape else told
    model = loaded(
        f"({kind} x, float[2] z) => ({kind} y, float[2] w) {{ y = Identity(x) w = Neg(z) }}"
    )
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape).astype(dtype)
    for isolated in (False, True) if shape == (2, 3) and told == "bfloat16" else (False,):
        outputs = ran(model, {"x": x, "z": np.ones(2, np.float32)}, isolated=isolated)
        assert outputs["y"].dtype == dtype
        assert outputs["y"].tolist() == x.tolist()
        assert outputs["w"].tolist() == [-1, -1]
        assert is_float(outputs["y"])


@pytest.mark.parametrize(("told", "dtype"), [("int4", ml_dtypes.int4), ("uint4", ml_dtypes.uint4)])
def test_integers_of_four_bits(told: str, dtype: Any) -> None:
    number = {"int4": TensorProto.INT4, "uint4": TensorProto.UINT4}[told]
    model = loaded(
        f"""({told}[5] x) => (float[5] y, {told}[5] z) {{
            y = Cast<to = 1>(x) a = Mul(y, h) z = Cast<to = {number}>(a) }}""",
        h=np.float32(0.5),
    )
    x = np.array([2, 4, 6, 0, 4]).astype(dtype)
    outputs = ran(model, {"x": x}, isolated=False)
    assert outputs["y"].tolist() == [2, 4, 6, 0, 4]
    assert outputs["z"].dtype == dtype
    assert outputs["z"].astype(int).tolist() == [1, 2, 3, 0, 2]
    if told == "int4":
        negative = np.array([-2, -8, 6, 0, 4]).astype(dtype)
        outputs = ran(model, {"x": negative}, isolated=False)
        assert outputs["z"].astype(int).tolist() == [-1, -4, 3, 0, 2]


def test_what_the_runtime_does_not_take_beside_them_is_told() -> None:
    model = loaded(
        "(string[2] x, bfloat16 z) => (bfloat16 y, string[2] w) { y = Identity(z) w = Identity(x) }"
    )
    feeds = {"x": np.array(["a", "b"], object), "z": np.array(1, ml_dtypes.bfloat16)}
    with pytest.raises(SessionFailedError, match="texts and sequences cannot be given"):
        ran(model, feeds, isolated=False)


@apart
def test_sequences_optionals_and_texts(isolated: bool) -> None:
    model = loaded(
        """(seq(float[2]) s, optional(float[2]) o, optional(seq(float[2])) q, string[2] t)
        => (seq(float[2]) y, bool h, bool i, string[2] u) {
            y = Identity(s) h = OptionalHasElement(o) i = OptionalHasElement(q) u = Identity(t)
        }""",
        opset=18,
    )
    two = [np.zeros(2, np.float32), np.ones(2, np.float32)]
    texts = np.array(["a", "ß"], object)
    outputs = ran(model, {"s": two, "o": None, "q": two, "t": texts}, isolated=isolated)
    assert [a.tolist() for a in outputs["y"]] == [[0, 0], [1, 1]]
    assert (bool(outputs["h"]), bool(outputs["i"])) == (False, True)
    assert outputs["u"].tolist() == ["a", "ß"]


def scores(factor: float, labels: dict[str, Any]) -> ir.Model:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Softmax", ["a"], ["p"]),
        helper.make_node("ZipMap", ["p"], ["y"], domain="ai.onnx.ml", **labels),
    ]
    weight = np.eye(3, dtype=np.float32) * np.float32(factor)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [onnx.ValueInfoProto(name="y")],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    return ir.from_proto(helper.make_model(graph, opset_imports=imports, ir_version=8))


@apart
@pytest.mark.parametrize(
    "labels", [{"classlabels_int64s": [1, 4, 9]}, {"classlabels_strings": ["a", "b", "c"]}]
)
def test_maps_are_compared(labels: dict[str, Any], isolated: bool) -> None:
    outputs = ran(scores(1.0, labels), {"x": np.eye(3, dtype=np.float32)[:2]}, isolated=isolated)
    flat = flattened(outputs)
    (keys,) = labels.values()
    assert flat["y keys"].tolist() == keys * 2
    assert flat["y values"].dtype == np.float32
    assert flat["y values"].shape == (6,)
    if isolated:
        return
    same = verify(scores(1.0, labels), scores(1.0, labels))
    assert same.status == "pass", same.first_failure
    other = verify(scores(1.0, labels), scores(1.01, labels))
    assert other.status == "fail"


MODELS = {
    "bfloat16": """(bfloat16[n,8] x) => (bfloat16[n,8] y) {
        a = Cast<to = 1>(x) b = Mul(a, w) y = Cast<to = 16>(b) }""",
    "float8 in": "(float8e4m3fn[n,8] x) => (float[n,8] y) { a = Cast<to = 1>(x) y = Mul(a, w) }",
    "float8 out": "(float[n,8] x) => (float8e5m2[n,8] y) { a = Mul(x, w) y = Cast<to = 19>(a) }",
    "sequence": """(seq(float[n,8]) x) => (seq(float[n,8]) y) {
        z = Constant<value_int = 0>() a = SequenceAt(x, z) b = Mul(a, w)
        y = SequenceInsert(x, b) }""",
    "optional": """(optional(float[n,8]) x) => (float[n,8] y) {
        a = OptionalGetElement(x) y = Mul(a, w) }""",
    "scalar": "(float x, float[n] z) => (float[n] y) { a = Mul(z, w) y = Div(a, x) }",
}


@pytest.mark.parametrize("text", MODELS.values(), ids=MODELS)
def test_models_with_them_have_a_verdict(text: str) -> None:
    right = verify(*(loaded(text, w=np.float32(1.5)) for _ in range(2)))
    assert right.status == "pass", right.first_failure
    wrong = verify(loaded(text, w=np.float32(1.5)), loaded(text, w=np.float32(2.5)))
    assert wrong.status == "fail"
