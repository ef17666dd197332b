"""Types: half precision around single, double, and what each may hold."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest

from .fusing import difference, fuse, random_feeds
from .text import LAYER, RMS, WHOLE, layer, model

HALF = {"x": "float16[2,3,8] h", "y": "float16[2,3,8] y"}
DOUBLE = {"x": "double[2,3,8] x", "y": "double[2,3,8] y"}
UP, DOWN = "x = Cast <to=1> (h)", "Cast <to=10>"
EXACT = np.float16([0.5, 1, -2, 0.25, 1, 3, -1, 8]).astype(np.float32)


def check(proto: onnx.ModelProto, operators: str, tolerance: float) -> onnx.ModelProto:
    fused = fuse(proto)
    assert [op for op in fused.operators if op != "Constant"] == operators.split(), fused.reasons
    for seed, spread in enumerate((1.0, 1e-2)):
        feeds = random_feeds(proto, seed, spread=spread)
        assert difference(proto, fused.proto, feeds) < tolerance
    return fused.proto


def test_half_throughout() -> None:
    proto = model(layer(WHOLE, x="float16[2,3,8] x", y=HALF["y"]), dtype=np.float16,
                  weights={"two": np.float16(2), "eps": np.float16(1e-3)})  # fmt: skip
    check(proto, "LayerNormalization", 1e-3)


def test_scale_in_half_behind_the_cast() -> None:
    body = f"{UP} {LAYER} c = {DOWN} (n) k = Mul (c, g) y = Add (k, b)"
    proto = model(layer(body, **HALF), {"g": EXACT, "b": EXACT})
    for tensor in proto.graph.initializer:
        if tensor.name in "gb":
            half = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(half, tensor.name))
    check(proto, "LayerNormalization", 1e-6)


def test_scale_in_single_that_half_holds() -> None:
    body = f"{UP} {WHOLE.replace('y = Add', 'o = Add')} y = {DOWN} (o)"
    check(model(layer(body, **HALF), {"g": EXACT, "b": EXACT}), "LayerNormalization", 1e-6)


def test_scale_in_single_that_half_would_round() -> None:
    body = f"{UP} {WHOLE.replace('y = Add', 'o = Add')} y = {DOWN} (o)"
    check(model(layer(body, **HALF)), "Cast LayerNormalization Cast", 1e-6)


def test_rms_between_casts() -> None:
    body = f"{UP} {RMS} c = {DOWN} (n) y = Mul (c, g)"
    proto = model(layer(body, **HALF), {"g": EXACT.astype(np.float16)})
    [tensor] = [t for t in proto.graph.initializer if t.name == "g"]
    tensor.CopyFrom(onnx.numpy_helper.from_array(EXACT.astype(np.float16), "g"))
    check(proto, "RMSNormalization", 1e-6)


def test_only_the_statistics_in_single() -> None:
    body = (f"x = Cast <to=1> (h) p = Mul (x, x) v = ReduceMean <axes=[-1]> (p) e = Add (v, eps)"
            f" r = Sqrt (e) i = Reciprocal (r) c = {DOWN} (i) y = Mul (h, c)")  # fmt: skip
    check(model(layer(body, **HALF)), "RMSNormalization", 1e-6)


def test_a_mean_taken_before_the_cast() -> None:
    body = (f"a = ReduceMean <axes=[-1]> (h) m = Cast <to=1> (a) {UP} d = Sub (x, m)"
            " p = Mul (d, d) v = ReduceMean <axes=[-1]> (p) e = Add (v, eps) r = Sqrt (e)"
            " y = Div (d, r)")  # fmt: skip
    proto = model(layer(body, x=HALF["x"], y="float[2,3,8] y"))
    check(proto, "Cast LayerNormalization", 1e-6)


def test_a_cast_to_the_same_type_goes() -> None:
    body = f"x = Cast <to=1> (h) {LAYER} c = Cast <to=1> (n) k = Mul (g, c) y = Add (k, b)"
    check(model(layer(body, x="float[2,3,8] h")), "LayerNormalization", 1e-6)


def test_double_states_the_type_of_its_statistics() -> None:
    proto = model(layer(WHOLE, **DOUBLE), {"eps": np.float64(2**-10)}, dtype=np.float64)
    for tensor in proto.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    node = fuse(proto).node("LayerNormalization")
    assert {a.name: a.i for a in node.attribute}["stash_type"] == onnx.TensorProto.DOUBLE


@pytest.mark.parametrize("kind", ["LayerNormalization", "RMSNormalization"])
def test_double_with_an_epsilon_that_the_attribute_cannot_hold(kind: str) -> None:
    body = WHOLE if kind[0] == "L" else f"{RMS} y = Mul (n, g)"
    proto = model(layer(body, **DOUBLE), {"eps": np.float64(1e-2)}, dtype=np.float64)
    fused = fuse(proto)
    assert not fused.norms
    assert "is no float32 number, and an attribute can only hold it as one" in fused.reasons[0]


def test_statistics_in_double_stay_in_double() -> None:
    body = f"x = Cast <to=11> (h) {LAYER} y = Cast <to=1> (n)"
    proto = model(layer(body, x="float[2,3,8] h"),
                  {"two": np.float64(2), "eps": np.float64(2**-10)}, dtype=np.float64)  # fmt: skip
    fused = fuse(proto)
    assert fused.operators == ["Cast", "LayerNormalization", "Cast"]
    assert fused.node("LayerNormalization").attribute[-1].i == onnx.TensorProto.DOUBLE


def test_bfloat16_around_single() -> None:
    body = f"{UP} {LAYER} c = Cast <to=16> (n) y = Mul (c, g)"
    proto = model(layer(body, x="bfloat16[2,3,8] h", y="bfloat16[2,3,8] y"), {"g": EXACT})
    [tensor] = [t for t in proto.graph.initializer if t.name == "g"]
    brain = onnx.numpy_helper.to_array(tensor).astype(ml_dtypes.bfloat16)
    tensor.CopyFrom(onnx.numpy_helper.from_array(brain, "g"))
    check(proto, "LayerNormalization", 1e-6)


def test_a_narrowing_cast_of_the_input_stays() -> None:
    body = f"x = {DOWN} (h) {LAYER} y = Identity (n)"
    proto = model(layer(body, x="float[2,3,8] h", y="float16[2,3,8] y"), dtype=np.float16,
                  weights={"two": np.float16(2), "eps": np.float16(1e-3)})  # fmt: skip
    assert fuse(proto).operators == ["Cast", "LayerNormalization"]


@pytest.mark.parametrize("rounded", ["m", "d", "v"])
def test_what_is_rounded_to_half_within_a_norm_stays_so(rounded: str) -> None:
    steps = {
        "m": "ReduceMean <axes=[-1]> (x)",
        "d": "Sub (x, m)",
        "p": "Mul (d, d)",
        "v": "ReduceMean <axes=[-1]> (p)",
        "e": "Add (v, eps)",
        "r": "Sqrt (e)",
        "y": "Div (d, r)",
    }
    body = " ".join(
        f"{name}s = {step} {name}h = {DOWN} ({name}s) {name} = Cast <to=1> ({name}h)"
        if name == rounded
        else f"{name} = {step}"
        for name, step in steps.items()
    )
    proto = model(layer(body))
    fused = fuse(proto)
    assert fused.operators.count("Cast") == 2
    assert difference(proto, fused.proto, random_feeds(proto, 0)) < 1e-6
