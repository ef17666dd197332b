from __future__ import annotations

import time

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from normonnx.graph.nesting import walk
from normonnx.oracle.oracle import Oracle
from normonnx.values.constants import Constants
from tests.graphs import context, model, proto, value
from tests.judge.building import run_ort

X = "(float[2,3] x) => (float[2,3] y)"


@pytest.mark.parametrize(
    ("body", "weights", "expected"),
    [
        ("k = Identity (w)", {"w": np.float32([1, 2, 3])}, [1, 2, 3]),
        ("k = Cast <to=1> (w)", {"w": np.int64([1, 2])}, [1, 2]),
        ("k = Constant <value_floats=[1.5, 2.5]> ()", {}, [1.5, 2.5]),
        ("k = Constant <value_int=7> ()", {}, 7),
        ("k = Constant <value = float[2] {3, 4}> ()", {}, [3, 4]),
        (
            "k = ConstantOfShape <value = float[1] {0.5}> (w)",
            {"w": np.int64([2, 2])},
            [[0.5, 0.5], [0.5, 0.5]],
        ),
        ("k = Expand (w, s)", {"w": np.float32([2]), "s": np.int64([3])}, [2, 2, 2]),
        ("a = Sqrt (w)\n k = Reciprocal (a)", {"w": np.float32([4, 16])}, [0.5, 0.25]),
        (
            "k = Reshape (w, s)",
            {"w": np.float32([1, 2, 3, 4]), "s": np.int64([2, 2])},
            [[1, 2], [3, 4]],
        ),
    ],
)
def test_value(body: str, weights: dict[str, np.ndarray], expected: object) -> None:
    m = model(f"{X} {{ {body}\n y = Identity (x) }}", **weights)
    constants = Constants(m)
    k = value(m, "k")
    assert constants.is_constant(k)
    array = constants.array(k)
    assert array is not None
    np.testing.assert_array_equal(array, expected)


def test_what_depends_on_an_input_is_no_constant() -> None:
    m = model(f"{X} {{ a = Add (x, w)\n y = Mul (a, w) }}", w=(3,))
    constants = Constants(m)
    assert not constants.is_constant(value(m, "x"))
    assert not constants.is_constant(value(m, "a"))
    assert constants.array(value(m, "a")) is None
    assert not constants.is_constant(None)


def test_random_numbers_are_no_constant() -> None:
    m = model(f"{X} {{ k = RandomNormal <shape=[3]> ()\n y = Add (x, k) }}")
    assert not Constants(m).is_constant(value(m, "k"))


def test_an_initializer_that_a_caller_may_override_is_no_constant_unless_frozen() -> None:
    p = proto(f"{X} {{ y = Add (x, w) }}", w=(3,))
    info = p.graph.input.add()
    info.CopyFrom(p.graph.input[0])
    info.name = "w"
    info.type.tensor_type.shape.dim.pop(0)
    m = ir.from_proto(p)
    assert not Constants(m).is_constant(value(m, "w"))
    assert Constants(m, frozen_inputs=True).is_constant(value(m, "w"))


def test_arithmetic_is_exact_in_float64() -> None:
    # 1 + 2^-30 is 1 in float32: the real number is kept.
    tiny = np.float32(2.0**-30)
    m = model(f"{X} {{ k = Add (w, one)\n y = Mul (x, k) }}", w=tiny, one=np.float32(1))
    constants = Constants(m)
    assert constants.array(value(m, "k")) == np.float32(1)
    assert constants.float64(value(m, "k")) == 1 + 2.0**-30


THIRDS = np.float32([1 / 3, -2 / 3, 1e5, 3e-6, 1.0002])
BIG = np.int64([2**31 + 5, -(2**40) - 7, 300, -3])


@pytest.mark.parametrize(
    ("body", "weight", "opset"),
    [
        ("h = Cast <to=10> (w) k = Cast <to=1> (h)", THIRDS, 17),
        ("h = Cast <to=16> (w) k = Cast <to=1> (h)", THIRDS, 17),
        ("h = Cast <to=1> (w) k = Cast <to=11> (h)", np.float64([1 / 3, 1e30]), 17),
        ("h = Cast <to=17> (w) k = Cast <to=1> (h)", THIRDS[:2], 19),
        ("h = Cast <to=17, saturate=0> (w) k = Cast <to=1> (h)", THIRDS, 19),
        ("h = CastLike (w, half) k = CastLike (h, w)", THIRDS, 17),
        ("k = Cast <to=6> (w)", BIG, 17),
        ("k = Cast <to=2> (w)", BIG, 17),
        ("k = Cast <to=3> (w)", BIG, 17),
        ("k = Cast <to=1> (w)", np.int64([2**24 + 1, 2**53 + 1]), 17),
        ("k = Add (w, w)", np.int32([2**31 - 1, -(2**31)]), 17),
        ("k = Mul (w, w)", np.int32([2**16 + 1, -(2**20)]), 17),
        ("k = QuantizeLinear (w, s, z)", np.float32([0.5, 1.5, 1e4, -1e4, -0.26]), 17),
        ("q = QuantizeLinear (w, s, z) k = DequantizeLinear (q, s, z)", THIRDS, 17),
        ("m = Add (w, magic) k = Sub (m, magic)", THIRDS, 17),
        ("m = Sub (w, one) k = Mul (m, magic)", np.float32([1.0002, 1 + 2**-23]), 17),
        ("f = Floor (w) k = Sub (w, f)", THIRDS, 17),
    ],
)
def test_what_the_standard_rounds_is_rounded(body: str, weight: np.ndarray, opset: int) -> None:
    weights = {"w": weight, "half": np.float16(0), "one": np.float32(1)}
    weights |= {"s": np.float32(0.25), "z": np.int8(0), "magic": np.float32(49152)}
    p = proto(f"() => (float[] k) {{ {body} }}", opset=opset, **weights)
    del p.graph.output[:]
    p.graph.output.add().name = "k"
    [expected] = run_ort(onnx.shape_inference.infer_shapes(p), {})
    m = ir.from_proto(p)
    constants = Constants(m)
    array, exact = constants.array(value(m, "k")), constants.float64(value(m, "k"))
    assert array is not None
    assert exact is not None
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)
    np.testing.assert_array_equal(exact, expected.astype(np.float64))
    # The truth of a whole model is the same.
    [truth] = Oracle(m).run({}).outputs.values()
    np.testing.assert_array_equal(truth, exact)


def test_terms_that_cancel_here_and_there_are_no_rounding_that_is_asked_for() -> None:
    w, k, c = np.float32([0.0941, 1.7, -0.3, 0.8, 2.9]), np.float32(227.68513), np.float32(-21.425)
    m = model("(float[5] x) => (float[5] y) { p = Mul (w, k) s = Add (p, c) y = Mul (x, s) }",
              w=w, k=k, c=c)  # fmt: skip
    found = Constants(m).float64(value(m, "s"))
    exact = w.astype(np.float64) * np.float64(k) + np.float64(c)
    assert abs(exact[0]) < 1e-3
    np.testing.assert_array_equal(found, exact)


def test_arithmetic_in_half_is_rounded_to_it_before_a_cast() -> None:
    # ONNX Runtime leaves out casts around operators that it has no float16 kernel for.
    m = model(
        "(float[5] x) => (float[5] y) { h = Cast <to=10> (w)\n g = Mul (h, h)\n"
        " k = Cast <to=1> (g)\n y = Mul (x, k) }",
        w=THIRDS,
    )
    with np.errstate(over="ignore"):
        half = THIRDS.astype(np.float16)
        expected = (half * half).astype(np.float64)
    np.testing.assert_array_equal(Constants(m).float64(value(m, "k")), expected)


def test_sums_of_integers_wrap_around() -> None:
    m = model(
        "(int32 x) => (int32 y) { k = ReduceSum <keepdims=0> (w)\n y = Add (x, k) }",
        w=np.int32([2**31 - 1, 9]),
    )
    assert Constants(m).array(value(m, "k")) == np.int32(-(2**31) + 8)


def test_a_cast_like_what_is_no_constant_rounds_too() -> None:
    m = model(
        "(float16[2] x) => (float16[2] y) { k = CastLike (w, x)\n y = Mul (x, k) }",
        w=np.float32([1 / 3, 1.0002]),
    )
    constants = Constants(m)
    assert constants.float64(value(m, "k")).tolist() == [float(np.float16(1 / 3)), 1.0]  # type: ignore[union-attr]
    [truth] = Oracle(m).run({"x": np.float16([1, 1])}).outputs.values()
    assert truth.tolist() == [float(np.float16(1 / 3)), 1.0]


FOLDED = [
    "n = ReduceL2 <keepdims=1> (w, axes) k = Div (w, n)",
    "k = MatMul (w, v)",
    'k = Einsum <equation="ij,jk->ik"> (w, v)',
    "k = Gemm <alpha=0.5, transB=1> (w, w)",
    "q = QuantizeLinear <axis=0> (w, s, z) k = DequantizeLinear <axis=0> (q, s, z)",
    "a, k = Split <axis=1> (w, parts)",
    "t, mean, var = BatchNormalization <training_mode=1, epsilon=0.001> (b, p, q0, q0, p)"
    " k = Identity (t)",
    "k = LayerNormalization (w, row)",
    "k = Softmax (w)",
    "k = Tanh (w)",
    "k = CumSum (w, axis)",
    "k = Trilu (w)",
    "k, i = TopK (w, two)",
    "k = Gelu (w)",
    "k = OneHot (i, depth, onoff)",
    "i = NonZero (w) k = Cast <to=1> (i)",
    "k = Clip (w, low)",
    "k = Conv (image, kernel)",
    "k = Resize (image, , scales)",
    "n = ReduceMax <keepdims=1> (w) k = Squeeze (n)",
    "k = Slice (w, axis1, two)",
    "k = Pad (w, pads)",
    "k = ReduceSum (w)",
    "k = DepthToSpace <blocksize=2> (deep)",
    "k = GatherND (w, places)",
    "k = Expand (row, full)",
    "k = ConvTranspose (image, kernel2)",
    "k = MaxPool <kernel_shape=[2,2]> (image)",
    "k = CastLike (half, w)",
    "k = EyeLike (w)",
    "k = ScatterND (row, spots, two_numbers)",
]


@pytest.mark.parametrize("body", FOLDED)
def test_what_depends_on_constants_alone_is_one(body: str) -> None:
    rng = np.random.default_rng(3)
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    weights = {
        "w": draw(3, 4), "v": draw(4, 2), "s": np.float32([0.1, 0.2, 0.3]),
        "z": np.int8([0, 1, -1]), "parts": np.int64([1, 3]), "b": draw(5, 3, 2),
        "p": np.float32([1, 2, 3]), "q0": np.float32([0, 1, 2]), "row": draw(4),
        "axis": np.int64(1), "axes": np.int64([1]), "two": np.int64([2]), "depth": np.int64(5),
        "onoff": np.float32([0, 1]), "low": np.float32(0), "image": draw(1, 2, 5, 5),
        "kernel": draw(3, 2, 3, 3), "scales": np.float32([1, 1, 2, 2]),
        "axis1": np.int64([1]), "pads": np.int64([0, 1, 2, 0]), "deep": draw(1, 4, 2, 2),
        "places": np.int64([[0, 1], [2, 3]]), "full": np.int64([3, 4]), "half": np.float16([0.3]),
        "kernel2": draw(2, 3, 2, 2), "spots": np.int64([[0], [3]]), "two_numbers": draw(2),
    }  # fmt: skip
    if body.startswith("k = OneHot"):
        weights["i"] = np.int64([1, 4, 0])
    p = proto(f"() => (float[] k) {{ {body} }}", opset=20, **weights)
    del p.graph.output[:]
    p.graph.output.add().CopyFrom(onnx.helper.make_tensor_value_info("k", 1, None))
    # ONNX Runtime's BatchNormalization in training form is not the standard's.
    reference = ReferenceEvaluator(p) if "training" in body else None
    [expected] = run_ort(p, {}) if reference is None else reference.run(None, {})
    m = ir.from_proto(p)
    k = value(m, "k")
    constants = Constants(m)
    assert constants.is_constant(k)
    exact = constants.float64(k)
    assert exact is not None
    np.testing.assert_allclose(exact, expected, rtol=1e-5, atol=1e-6)


def test_nothing_is_worked_out_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("normonnx.values.constants.compute", refuse)
    m = model(
        "(float[n,4] x) => (float[n,2] y) { h = Tanh (w)\n k = MatMul (h, v)\n y = MatMul (x, k) }",
        w=(4, 4), v=(4, 2),
    )  # fmt: skip
    context(m)
    assert Constants(m).is_constant(value(m, "k"))


@pytest.mark.parametrize(
    "body",
    [
        "k = MatMul (a, b)",
        "k = Add (a, b)",
        'k = Einsum <equation="ij,kl->ijkl"> (b, b)',
        "k = Pad (one, huge)",
        "k = Tile (one, many)",
        "k = HannWindow (long)",
        "c = Concat <axis=1> (a, a, a, a) d = Transpose (c) e = MatMul (c, d) k = MatMul (e, e)",
    ],
)
def test_what_is_too_much_work_is_no_constant(body: str) -> None:
    m = model(
        f"(float x) => (float y) {{ {body}\n r = ReduceSum (k)\n y = Add (x, r) }}",
        a=np.ones((5000, 1), np.float32), b=np.ones((1, 5000), np.float32),
        one=np.ones(1, np.float32), huge=np.int64([0, 1 << 40]), many=np.int64([1 << 40]),
        long=np.int64(1 << 40),
    )  # fmt: skip
    constants = Constants(m)
    start = time.monotonic()
    assert constants.float64(value(m, "k")) is None
    assert time.monotonic() - start < 5
    assert not constants.is_constant(value(m, "r"))  # nor is what depends on it


def test_what_nothing_here_computes_is_no_constant() -> None:
    p = proto(
        "(float x) => (float y) { k = my.Scale (w)\n d = Dropout (w, half, yes)\n"
        " r = RandomNormalLike (w)\n s = SequenceConstruct (w, w)\n l = SequenceLength (s)\n"
        " i = If (yes) <then_branch = t () => (float p) { p = Neg (w) },"
        " else_branch = e () => (float q) { q = Abs (w) }>\n"
        " y = Sum (x, k, d, r, i) }",
        w=np.float32(1), half=np.float32(0.5), yes=np.array(True),
    )  # fmt: skip
    p.opset_import.add().domain = "my"
    m = ir.from_proto(p)
    constants = Constants(m)
    for name in "kdri":
        assert not constants.is_constant(value(m, name)), name
    assert constants.array(value(m, "s")) is None
    assert constants.array(value(m, "l")) is None


@pytest.mark.parametrize("dtype", ["int4", "uint4", "float8_e4m3fn", "float8_e5m2fnuz"])
def test_small_types_are_read_in_float64(dtype: str) -> None:
    numbers = np.array([0, 1, 3, 7]).astype(getattr(ml_dtypes, dtype))
    m = model(f"{X} {{ k = Identity (w)\n y = Identity (x) }}", w=np.float32(0))
    m.graph.initializers["w"].const_value = ir.Tensor(
        numbers, dtype=ir.DataType.from_numpy(numbers.dtype), name="w"
    )
    for name in "wk":
        np.testing.assert_array_equal(Constants(m).float64(value(m, name)), numbers.astype(float))


def test_bfloat16_is_read() -> None:
    m = model(f"{X} {{ k = Cast <to=1> (w)\n y = Mul (x, k) }}", w=np.float32([1]))
    m.graph.initializers["w"].const_value = ir.Tensor(
        np.array([1.5], dtype=ml_dtypes.bfloat16), dtype=ir.DataType.BFLOAT16, name="w"
    )
    assert Constants(m).float64(value(m, "k")) == 1.5


def test_expansion_bombs_are_not_worked_out() -> None:
    m = model(
        "(float x) => (float y) { k = ConstantOfShape (s)\n r = ReduceSum (k)\n y = Add (x, r) }",
        s=np.int64([1 << 20, 1 << 20]),
    )
    constants = Constants(m)
    assert constants.array(value(m, "k")) is None
    assert constants.float64(value(m, "r")) is None


def test_the_attribute_of_a_function_is_no_constant() -> None:
    m = model(
        "(float[3] x) => (float[3] y) { y = local.f <c=2.0> (x) }",
        functions='<domain: "local", opset_import: ["" : 17]> f <c> (a) => (b) '
        "{ k = Constant <value_float: float = @c> ()\n b = Mul (a, k) }",
    )
    function = next(iter(m.functions.values()))
    constants = Constants(m)
    assert not constants.is_constant(function[0].outputs[0])


def test_walk_visits_subgraphs_behind_their_node() -> None:
    m = model(
        """(bool c, float[3] x) => (float[3] y) {
           a = Relu (x)
           y = If (c) <then_branch = t () => (float[3] p) { p = Neg (a) },
                       else_branch = e () => (float[3] q) { q = Abs (a) }>
        }"""
    )
    assert [n.op_type for n in walk(m.graph)] == ["Relu", "If", "Neg", "Abs"]
