"""Maps that must not be moved or merged, since digits would be lost or were meant to be.

Beside each that stays stand the ordinary ones that fold all the same. What ONNX Runtime gives on
the data that a model is made for is compared as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from normonnx import pipeline
from normonnx.options import Options
from normonnx.pipeline import Outcome
from tests.affine.rows import Row, bn, channel, check, in_runtime
from tests.graphs import operators, proto

ROWS = "(float[n,4] x) => (float[n,3] y)"
PLANES = "(float[n,3,7,6] x) => (float[n,4,5,4] y)"
W, DENSE = (4, 3, 3, 3), {"W": (4, 3), "b": (3,)}
MEANS, SPREADS = np.float32([5e6, 4.2e5, 1.7e9, 300]), np.float32([100, 100, 3600, 5])
ONES = np.ones(4, np.float32)


def optimized(text: str, *, opset: int = 17, **weights: Any) -> tuple[onnx.ModelProto, Outcome]:
    original = proto(text, opset=opset, **weights)
    return original, pipeline.run(ir.from_proto(original), Options())


def reasons(outcome: Outcome) -> str:
    return "; ".join(miss.reason for miss in outcome.journal.near_misses.values())


def distance(original: onnx.ModelProto, outcome: Outcome, x: np.ndarray) -> float:
    """The largest difference in ONNX Runtime, of the size of what the original gives."""
    (a,), (b,) = (in_runtime(m, {"x": x}) for m in (original, ir.to_proto(outcome.model)))
    assert np.isfinite(a).all()
    return float(np.abs(a - b).max() / np.abs(a).max())


@pytest.mark.parametrize(
    ("body", "weights", "fragment"),
    [
        ("d = Sub (x, m)\n e = Div (d, s)\n y = Gemm (e, W, b)", {"m": MEANS, "s": SPREADS},
         "moving it behind Gemm 'Gemm_2' would lose 24 of the 24 bits of float"),
        ("d = Sub (x, m)\n e = Mul (d, s)\n y = MatMul (e, W)", {"m": MEANS, "s": 1 / SPREADS},
         "moving it behind MatMul 'MatMul_2' would lose 24 of the 24 bits of float"),
        ("d = Add (m, x)\n e = Div (d, s)\n y = Gemm (e, W, b)", {"m": -MEANS, "s": SPREADS},
         "of the 24 bits of float"),
        ("d = Sub (m, x)\n e = Div (d, s)\n y = Gemm (e, W, b)", {"m": MEANS, "s": SPREADS},
         "of the 24 bits of float"),
        ("d = Sub (x, m)\n y = Gemm (d, W, b)", {"m": MEANS}, "taken to spread by 4"),
        ("d = Sub (x, m)\n e = Div (d, s)\n f = Mul (e, g)\n y = Gemm (f, W, b)",
         {"m": MEANS, "s": SPREADS, "g": (4,)}, "of the 24 bits of float"),
        ("e = BatchNormalization (x, g, o, m, v)\n y = Gemm (e, W, b)",
         {"m": MEANS, "v": SPREADS**2, "g": ONES, "o": ONES}, "of the 24 bits of float"),
        ("d = Sub (x, m)\n e = Div (d, s)\n f = Add (e, g)\n y = Relu (f)",
         {"m": MEANS, "s": SPREADS, "g": (4,)}, "writing Sub 'Sub_0' as a product"),
        # Near in itself, and only the scale behind it says that the data are nearer.
        ("d = Sub (x, m)\n e = Div (d, s)\n y = Gemm (e, W, b)",
         {"m": ONES * 100, "s": ONES / 100}, "would lose 13 of the 24 bits"),
    ],
)  # fmt: skip
def test_a_shift_that_is_large_against_the_spread_stays(
    body: str, weights: dict[str, Any], fragment: str
) -> None:
    text = f"{ROWS if 'Relu' not in body else ROWS.replace('n,3', 'n,4')} {{ {body} }}"
    needed = {name: w for name, w in (DENSE | weights).items() if f"{name}" in body}
    original, outcome = optimized(text, **needed)
    first = operators(ir.from_proto(original)).split()[0]
    assert operators(outcome.model).split()[0] == first
    assert fragment in reasons(outcome)
    noise = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    m, s = np.abs(weights["m"]), SPREADS if weights["m"][0] > 100 else ONES / 100
    assert distance(original, outcome, (m + noise * s).astype(np.float32)) < 2e-6


FOLDS = (
    Row("ImageNet", "(float[n,3,h,w] x) => (float[] y) { d = Sub (x, m)\n e = Div (d, s)\n"
        "y = Conv (e, W) }", "Conv",
        weights={"W": W, "m": channel(0.485, 0.456, 0.406), "s": channel(0.229, 0.224, 0.225)}),
    Row("pixels to −1…1", "(float[n,3,h,w] x) => (float[] y) { d = Sub (x, m)\n e = Div (d, s)\n"
        "y = Conv (e, W) }", "Conv",
        weights={"W": W, "m": np.float32(127), "s": np.float32(128)}),
    Row("pixels, then ImageNet", "(float[n,3,h,w] x) => (float[] y) { c = Div (x, l)\n"
        "d = Sub (c, m)\n e = Div (d, s)\n y = Conv (e, W) }", "Conv",
        weights={"W": W, "l": np.float32(255), "m": channel(0.485, 0.456, 0.406),
                 "s": channel(0.229, 0.224, 0.225)}),
    Row("the mean alone", "(float[n,3,h,w] x) => (float[] y) { d = Sub (x, m)\n y = Conv (d, W) }",
        "Conv", weights={"W": W, "m": channel(103.94, 116.78, 123.68)}),
    Row("a mean of three deviations", "(float[n,4,h,w] x) => (float[] y) {"
        "e = BatchNormalization (x, s, o, m, v)\n y = Conv (e, W) }", "Conv",
        weights={"W": (3, 4, 3, 3), **bn(4), "v": 4 * ONES, "m": 6 * ONES}),
    Row("a mean of three deviations in float16", "(float16[n,4,h,w] x) => (float16[] y) {"
        "e = BatchNormalization (x, s, o, m, v)\n y = Conv (e, W) }", "Conv",
        weights={"W": np.linspace(-1, 1, 108).reshape(3, 4, 3, 3).astype(np.float16),
                 "s": ONES.astype(np.float16), "o": ONES.astype(np.float16),
                 "v": np.float16(4 * ONES), "m": np.float16(6 * ONES)}),
    Row("a channel that is never on", "(float[n,4,h,w] x) => (float[] y) {"
        "e = BatchNormalization (x, s, o, m, v)\n y = Conv (e, W) }", "Conv",
        weights={"W": (3, 4, 3, 3), **bn(4), "s": np.float32([1, 0, 1, 1])}),
)  # fmt: skip


@pytest.mark.parametrize("row", FOLDS, ids=str)
def test_an_ordinary_normalisation_still_folds(row: Row) -> None:
    check(row)


def test_the_bound_is_of_the_type() -> None:
    """Seven deviations are 2.8 bits: too many of float16's 11, and few of float32's 24."""
    for kind, becomes in (("float16", "BatchNormalization Gemm"), ("float", "Gemm")):
        dtype = np.float16 if kind == "float16" else np.float32
        parameters = {"g": ONES, "o": ONES, "m": 7 * ONES, "v": ONES, "W": np.ones((4, 3))}
        _, outcome = optimized(
            f"{ROWS.replace('float', kind)} {{ e = BatchNormalization <epsilon=0.0> "
            "(x, g, o, m, v)\n y = Gemm (e, W) }",
            **{name: np.asarray(value, dtype) for name, value in parameters.items()},
        )
        assert operators(outcome.model) == becomes


@pytest.mark.parametrize(
    ("head", "opset"),
    [("c = Cast <to=1> (x)", 17), ("e = Cast <to=1> (x)\n c = Clip (e, lo, hi)", 17)],
)
def test_the_type_and_a_clip_say_how_far_data_spread(head: str, opset: int) -> None:
    """Bytes lie farther apart than the 4 that 300 would be too far from; what is clipped, too."""
    kind = "uint8" if "Clip" not in head else "float16"
    weights = {"m": channel(300, 290, 280), "W": W}
    if "Clip" in head:
        weights |= {"lo": np.float32(0), "hi": np.float32(1000)}
    text = f"{PLANES.replace('float', kind, 1)} {{ {head}\n d = Sub (c, m)\n y = Conv (d, W) }}"
    _, outcome = optimized(text, opset=opset, **weights)
    assert "Sub" not in operators(outcome.model)


MAGIC = np.float32(49152)


@pytest.mark.parametrize(
    "body",
    [
        "c = Conv (x, W)\n d = Add (c, k)\n y = Sub (d, k)",
        "c = Conv (x, W)\n d = Sub (c, k)\n y = Add (d, k)",
        "c = Conv (x, W)\n d = Add (c, k)\n e = Identity (d)\n y = Sub (e, k)",
        "c = Conv (x, W)\n d = Add (c, k)\n e = Mul (d, two)\n y = Sub (e, l)",
        "d = Add (x, k)\n e = Sub (d, k)\n y = Conv (e, W)",
        "c = Conv (x, W, b)\n y = Sub (c, k)",
        "c = Conv (x, W)\n d = Add (c, k)\n y = BatchNormalization (d, s, o, m, v)",
        "c = Conv (x, W)\n d = BatchNormalization (c, s, m, o, v)\n"
        "y = BatchNormalization (d, s, o, m, v)",
    ],
)
def test_shifts_that_cancel_round(body: str) -> None:
    given = {"k": MAGIC, "l": 2 * MAGIC, "two": np.float32(2), "b": MAGIC * ONES, "W": W,
             "s": ONES, "v": ONES, "o": 0 * ONES, "m": MAGIC * ONES}  # fmt: skip
    read = {word for line in body.split("(")[1:] for word in line.split(")")[0].split(", ")}
    original, outcome = optimized(
        f"{PLANES} {{ {body} }}", **{name: w for name, w in given.items() if name in read}
    )
    assert "fewer than without them" in reasons(outcome)
    x = np.random.default_rng(0).uniform(0, 1, (2, 3, 7, 6)).astype(np.float32)
    assert distance(original, outcome, x) < 2e-5
    again = pipeline.run(outcome.model, Options())
    assert not again.journal.rewrites


@pytest.mark.parametrize(
    ("large", "kind", "fragment"),
    [
        (np.float32(1e30), "float", "leave the range of float"),
        (np.float32(1e-30), "float", "leave the range of float"),
        (np.float16(1000), "float16", "leave the range of float16"),
    ],
)
def test_scales_that_cancel_leave_the_range(large: np.generic, kind: str, fragment: str) -> None:
    text = f"{ROWS.replace('float', kind)} {{ d = Mul (x, k)\n e = Mul (d, l)\n y = Gemm (e, W) }}"
    weight = np.ones((4, 3), large.dtype)
    _, outcome = optimized(text, k=large, l=large.dtype.type(1 / large), W=weight)
    assert fragment in reasons(outcome)


def test_normalised_and_taken_back_is_nothing() -> None:
    check(
        Row("", "(float[n,3,h,w] x) => (float[] y) { d = Sub (x, m)\n e = Div (d, s)\n"
            "f = Mul (e, s)\n g = Add (f, m)\n y = Conv (g, W) }", "Conv",
            weights={"W": W, "m": channel(0.485, 0.456, 0.406), "s": channel(0.25, 0.5, 0.125)})
    )  # fmt: skip


HALF = "(float16[1,3,16,16] x) => (float16[1,4,1,1] y)"
HALVES = np.linspace(-1, 2, 108).reshape(4, 3, 3, 3).astype(np.float16)


def in_float16(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """As a runtime computes it that adds in float16."""
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer}
    values: dict[str, np.ndarray] = {"x": x, **weights}

    def total(a: np.ndarray) -> np.ndarray:
        flat, result = a.reshape(*a.shape[:2], -1), np.zeros(a.shape[:2], np.float16)
        for place in range(flat.shape[2]):
            result = result + flat[:, :, place]
        return result[:, :, None, None]

    run: dict[str, Callable[..., np.ndarray]] = {
        "Mul": lambda a, b: a * b,
        "GlobalAveragePool": lambda a: total(a) / np.float16(a.shape[2] * a.shape[3]),
        "ReduceMean": lambda a: total(a) / np.float16(a.shape[2] * a.shape[3]),
        "ReduceSum": lambda a, _=None: total(a),
    }
    with np.errstate(over="ignore"):
        for node in model.graph.node:
            values[node.output[0]] = run[node.op_type](*(values[name] for name in node.input))
    return values[model.graph.output[0].name]


@pytest.mark.parametrize(
    ("body", "fragment"),
    [
        ("p = GlobalAveragePool (c)\n y = Mul (p, k)", "adds 196 numbers in float16"),
        ("p = ReduceMean <axes=[2,3]> (c)\n y = Mul (p, k)", "adds 196 numbers in float16"),
        ("p = ReduceSum (c, axes)\n y = Mul (p, k)", "adds 196 numbers in float16"),
        ("p = AveragePool <kernel_shape=[14,14]> (c)\n y = Mul (p, k)", "adds 196 numbers"),
    ],
)
def test_a_scale_stays_behind_a_float16_sum(body: str, fragment: str) -> None:
    weights = {"W": HALVES, "k": channel(82, 70, 77, 37).astype(np.float16)}
    if "axes" in body and "axes=" not in body:
        weights["axes"] = np.array([2, 3])
    _, outcome = optimized(f"{HALF} {{ c = Conv (x, W)\n {body} }}", **weights)
    assert operators(outcome.model).split()[-1] == "Mul"
    assert fragment in reasons(outcome)
    # The same in float32, and in float16 with a scale that makes nothing larger.
    small = weights | {"k": channel(0.5, 0.25, 0.75, 1).astype(np.float16)}
    _, outcome = optimized(f"{HALF} {{ c = Conv (x, W)\n {body} }}", **small)
    assert "Mul" not in operators(outcome.model)
    wide = {n: w.astype(np.float32) if w.dtype == np.float16 else w for n, w in weights.items()}
    text = f"{HALF.replace('float16', 'float')} {{ c = Conv (x, W)\n {body} }}"
    _, outcome = optimized(text, **wide)
    assert "Mul" not in operators(outcome.model)


def test_a_scale_stays_in_front_of_a_float16_sum() -> None:
    """Divided first, so that the sum fits; a scale behind it would come too late."""
    text = (
        "(float16[1,4,16,16] x) => (float16[1,3,1,1] y) { c = Mul (x, k)\n"
        "p = ReduceSum (c, axes)\n y = Conv (p, W) }"
    )
    weights = {"k": np.float16(1 / 64), "axes": np.array([2, 3])}
    weight = np.ones((3, 4, 1, 1), np.float16)
    original, outcome = optimized(text, W=weight, **weights)
    assert operators(outcome.model) == "Mul ReduceSum Conv"
    del original.graph.node[-1]
    original.graph.output[0].name = "p"
    x = np.full((1, 4, 16, 16), 300, np.float16)
    assert np.isfinite(in_float16(original, x)).all()


AUTOCAST = (
    "(float16[1,3,8,8] x) => (float16[1,4,6,6] y) { c = Conv (x, W)\n u = Cast <to=1> (c)\n"
    "d = BatchNormalization (u, s, o, m, v)\n y = Cast <to=10> (d) }"
)


def test_a_norm_in_float32_behind_a_convolution_in_float16_folds() -> None:
    original, outcome = optimized(AUTOCAST, W=HALVES, **bn(4))
    assert operators(outcome.model) == "Conv", "nothing is left between the Casts"
    x = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float16)
    assert distance(original, outcome, x) < 2e-3


def test_a_shift_that_float16_would_round_stays_in_float32() -> None:
    """Nothing brings the result down to float16, where 200 has a unit of 1/8."""
    text = AUTOCAST.replace(" y = Cast <to=10> (d)", "y = Neg (d)").replace(
        "=> (float16", "=> (float"
    )
    weights = bn(4) | {"o": 200 * ONES, "s": ONES, "v": ONES}
    _, outcome = optimized(text, W=HALVES, **weights)
    assert "BatchNormalization" in operators(outcome.model)
    assert "adding the shift in float16" in reasons(outcome)
    _, outcome = optimized(text, W=HALVES, **weights | {"o": ONES})
    assert "BatchNormalization" not in operators(outcome.model)


def test_no_map_is_written_in_front_of_a_cast_up() -> None:
    text = (
        "(float16[1,4,8,8] x) => (float[1,4,8,8] y) { c = Relu (x)\n u = Cast <to=1> (c)\n"
        "d = Mul (u, k)\n e = Mul (d, l)\n y = Relu (e) }"
    )
    _, outcome = optimized(text, k=channel(1, 2, 3, 4), l=channel(4, 2, 5, 4))
    assert operators(outcome.model) == "Relu Cast Mul Relu"
