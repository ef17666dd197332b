"""BatchNormalization of every opset and mode, names that clash, and numbers that are awkward."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from normonnx import pipeline
from normonnx.options import Options
from tests.affine.rows import Row, bn, channel, check
from tests.graphs import operators, proto, unsimplified

X = "(float[2,3,7,6] x) => (float[] y)"
HALF = "(float16[2,3,7,6] x) => (float16[] y)"
SIGNED = bn(4, signs=True)
W, B = (4, 3, 3, 3), (4,)
CONV = "c = Conv (x, W, b)\n"
CALL = "BatchNormalization <{}> (c, s, o, m, v)"


def batch_norm(attributes: str) -> str:
    return f"{X} {{ {CONV} y = {CALL.format(attributes)} }}"


LAYER: dict[str, Any] = {"W": W, "b": B, **SIGNED}

OPSETS = (
    *(Row(f"opset {opset}", batch_norm("epsilon=0.01"), "Conv", weights=LAYER, opset=opset)
      for opset in (7, 8, 9, 11, 13, 14, 15, 16, 18, 21, 22)),
    Row("opset 6, test form", batch_norm("is_test=1"), "Conv", weights=LAYER, opset=6, runs=False),
    Row("opset 8 with the attribute of a running mean", batch_norm("momentum=0.9, spatial=1"),
        "Conv", weights=LAYER, opset=8),
)  # fmt: skip


@pytest.mark.parametrize("row", OPSETS, ids=str)
def test_opset(row: Row) -> None:
    check(row)


def untyped(text: str, opset: int, **weights: Any) -> ir.Model:
    """A model that inference of its opset has no schema for."""
    return ir.from_proto(proto(text, opset=opset, **weights))


def reason(model: ir.Model, options: Options | None = None) -> str:
    outcome = pipeline.run(model, options or Options())
    assert operators(outcome.model) == operators(model)
    return next(m.reason for m in outcome.journal.near_misses.values() if m.rule == "NX001")


@pytest.mark.parametrize(
    ("dropout", "opset"),
    [
        ("c = Dropout (d)", 6),
        ("c = Dropout <is_test=0> (d)", 6),
        ("c = Dropout (d, ratio, training)", 13),
        ("c, mask = Dropout (d)\n z = Not (mask)", 13),
    ],
)
def test_a_dropout_that_may_drop_is_not_crossed(dropout: str, opset: int) -> None:
    """Before opset 7 it drops unless it is told not to, from 12 on where it is told to."""
    call = CALL.format("is_test=1" if opset < 7 else "epsilon=0.01")
    body = f"d = Conv (x, W, b)\n {dropout}\n y = {call}"
    text = f"(float[2,3,7,6] x) => (float[2,4,5,4] y) {{ {body} }}"
    weights = LAYER | {"ratio": np.float32(0), "training": np.array(True)}
    outcome = unsimplified(untyped(text, opset, **weights))
    assert not outcome.journal.rewrites
    assert "may be in training mode" in next(iter(outcome.journal.near_misses.values())).reason


@pytest.mark.parametrize("attributes", ["is_test=0", "epsilon=0.01"])
def test_the_training_form_of_opset_6_is_left(attributes: str) -> None:
    text = f"(float[2,3,7,6] x) => (float[2,4,5,4] y) {{ {CONV} y = {CALL.format(attributes)} }}"
    assert "training mode" in reason(untyped(text, 6, **LAYER))


def test_opset_1_is_read() -> None:
    call = CALL.format("is_test=1, consumed_inputs=[0,0,0,1,1], epsilon=0.01")
    text = f"(float[2,3,7,6] x) => (float[2,4,5,4] y) {{ {CONV} y = {call} }}"
    model = untyped(text, 1, **LAYER)
    assert operators(pipeline.run(model, Options()).model) == "Conv"
    trap = untyped(text.replace("is_test=1", "is_test=0"), 1, **LAYER)
    assert "training mode" in reason(trap)


@pytest.mark.parametrize("opset", [7, 8])
def test_statistics_of_each_element_are_left(opset: int) -> None:
    text = f"(float[2,3,7,6] x) => (float[2,4,5,4] y) {{ {CONV} y = {CALL.format('spatial=0')} }}"
    each = {name: np.broadcast_to(value[:, None, None], (4, 5, 4)) for name, value in bn(4).items()}
    model = untyped(text, opset, W=W, b=B, **each)
    assert "spatial=0" in reason(model)


def test_training_mode_is_left() -> None:
    text = (
        f"(float[2,3,7,6] x) => (float[2,4,5,4] y, float[4] mean, float[4] var) {{ {CONV}"
        "y, mean, var = BatchNormalization <training_mode=1> (c, s, o, m, v) }"
    )
    assert "training mode" in reason(untyped(text, 15, **LAYER))
    silent = (
        f"(float[2,3,7,6] x) => (float[2,4,5,4] y) {{ {CONV}"
        "y = BatchNormalization <training_mode=1> (c, s, o, m, v) }"
    )
    assert "training mode" in reason(untyped(silent, 15, **LAYER))


def test_running_statistics_that_are_read_are_training() -> None:
    text = (
        f"(float[2,3,7,6] x) => (float[2,4,5,4] y, float[4] mean) {{ {CONV}"
        "y, mean = BatchNormalization (c, s, o, m, v) }"
    )
    assert "training mode" in reason(untyped(text, 9, **LAYER))


def test_a_parameter_the_caller_may_override() -> None:
    model = proto(batch_norm("epsilon=0.01").replace("float[] y", "float[2,4,5,4] y"), **LAYER)
    model.graph.input.append(onnx.helper.make_tensor_value_info("s", 1, [4]))
    listed = ir.from_proto(model)
    outcome = pipeline.run(listed, Options())
    (miss,) = outcome.journal.near_misses.values()
    assert "its scale is not a constant" in miss.reason
    assert "--freeze-initializers" in miss.remedy
    frozen = pipeline.run(listed, Options(freeze_initializers=True))
    assert operators(frozen.model) == "Conv"


@pytest.mark.parametrize(
    ("made", "listed", "remedy"),
    [
        ("w = Identity (z)", False, ""),
        ("z2 = Identity (z)", True, "--freeze-initializers makes it one"),
    ],
)
def test_a_weight_that_only_the_caller_has_names_the_way_out(
    made: str, listed: bool, remedy: str
) -> None:
    weights = {"w": (4, 3)} if listed else {}
    text = "(float[n,3] x, float[4,3] z) => (float[n,4] y) "
    model = proto(f"{text} {{ {made}\n c = Gemm <transB=1> (x, w)\n y = Mul (c, k) }}",
                  k=B, **weights)  # fmt: skip
    if listed:
        model.graph.input.append(onnx.helper.make_tensor_value_info("w", 1, [4, 3]))
    options = Options(simplify=False)
    (miss,) = pipeline.run(ir.from_proto(model), options).journal.near_misses.values()
    assert "'w' of Gemm" in miss.reason
    assert miss.remedy == remedy


def test_new_names_clash_with_nothing() -> None:
    """Every name that a new constant would like to have is taken by another initializer."""
    taken = ("Conv_0_bias", "W_1", "c_shift", "c_scale", "W_bias", "Conv_0_weight")
    spare = dict.fromkeys(taken, (4,))
    use = "\n".join(
        f"t{i + 1} = Add (t{i}, {name})" for i, name in enumerate(taken)
    ).replace("t0", "t")  # fmt: skip
    text = (
        "(float[2,3,7,6] x, float[4] t) => (float[2,4,5,4] y, float[2,4,5,4] z, float[4] t6) {"
        "c = Conv (x, W)\n y = BatchNormalization (c, s, o, m, v)\n z = Conv (x, W)\n" + use + "}"
    )
    original = proto(text, W=W, **SIGNED, **spare)
    outcome = pipeline.run(ir.from_proto(original), Options(allow_duplicate=True))
    optimized = ir.to_proto(outcome.model)
    onnx.checker.check_model(optimized, full_check=True)
    stored = {t.name: numpy_helper.to_array(t) for t in optimized.graph.initializer}
    given = {t.name: numpy_helper.to_array(t) for t in original.graph.initializer}
    assert operators(outcome.model).count("BatchNormalization") == 0
    np.testing.assert_array_equal(stored["W"], given["W"])
    names = [v.name for v in optimized.graph.initializer]
    names += [out for node in optimized.graph.node for out in node.output]
    assert len(set(names)) == len(names)


HALVES = np.linspace(-1, 1, 108).reshape(W).astype(np.float16)
SMALL = {name: value.astype(np.float16) for name, value in SIGNED.items()}

NUMBERS = (
    Row("variance of zero", batch_norm("epsilon=0.001"), "Conv",
        weights=LAYER | {"v": np.zeros(4, np.float32)}),
    Row("γ of zero, below zero and tiny", batch_norm("epsilon=0.001"), "Conv",
        weights=LAYER | {"s": np.float32([0, -2, 1e-20, 1])}),
    Row("huge ratios", batch_norm("epsilon=0.0"), "Conv",
        weights=LAYER | {"s": np.float32([1e-8, 1e8, 1, -1e4]),
                         "v": np.float32([1e8, 1e-8, 1, 1e-6])}),
    Row("float16", f"{HALF} {{ c = Conv (x, W)\n y = BatchNormalization (c, s, o, m, v) }}", "Conv",
        weights={"W": HALVES, **SMALL}),
    Row("float16 with statistics in float32",
        f"{HALF} {{ c = Conv (x, W)\n y = BatchNormalization (c, s, o, m, v) }}", "Conv",
        weights={"W": HALVES, **SMALL, "m": SIGNED["m"], "v": SIGNED["v"]}, opset=15),
    Row("float16 with all parameters in float32",
        f"{HALF} {{ c = Conv (x, W)\n y = BatchNormalization (c, s, o, m, v) }}", "Conv",
        weights={"W": HALVES, **SIGNED}, opset=15, runs=False),
    Row("trap: a channel in float16 that would vanish among the denormals",
        f"{HALF} {{ c = Conv (x, W)\n y = Mul (c, k) }}", "Conv Mul", "channel 3, would vanish",
        weights={"W": HALVES * np.float16(1e-3),
                 "k": channel(1, 2, 4, 1e-5).astype(np.float16)}, runs=False),
    Row("the same numbers in float32",
        f"{X} {{ c = Conv (x, W)\n y = Mul (c, k) }}", "Conv",
        weights={"W": HALVES.astype(np.float32) * np.float32(1e-3), "k": channel(1, 2, 4, 1e-5)}),
)  # fmt: skip


@pytest.mark.parametrize("row", NUMBERS, ids=str)
def test_numbers(row: Row) -> None:
    check(row)


def test_no_finite_scale_names_the_channel() -> None:
    """Variance and epsilon of zero: the model itself divides by zero there."""
    text = f"(float[2,3,7,6] x) => (float[2,4,5,4] y) {{ {CONV} y = {CALL.format('epsilon=0.0')} }}"
    model = untyped(text, 17, **LAYER | {"v": np.float32([1, 1, 0, 1])})
    assert "is not finite in channel 2" in reason(model)


def test_an_overflow_names_the_channel_and_the_way_out() -> None:
    text = f"{HALF} {{ c = Conv (x, W)\n y = Mul (c, k) }}".replace("[] y", "[2,4,5,4] y")
    large = channel(1, 2, 60000, 4).astype(np.float16)
    model = untyped(text, 17, W=HALVES * np.float16(10), k=large)
    outcome = pipeline.run(model, Options())
    (miss,) = outcome.journal.near_misses.values()
    assert "channel 2, would overflow in float16" in miss.reason
    assert miss.remedy == "keep this layer in float32"
    assert operators(outcome.model) == "Conv Mul"
