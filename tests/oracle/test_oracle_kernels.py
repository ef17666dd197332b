"""Every kernel gives what onnx.reference gives, or ONNX Runtime where onnx.reference is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from normonnx.operators.table import FACTS
from normonnx.oracle.oracle import Oracle
from tests.judge.building import Array, feeds_of, node_model, run_ort
from tests.oracle import test_kernels_by_runtime as by_runtime
from tests.oracle import test_plain_kernels as plain

Random = np.random.Generator
# operator → attributes, inputs, and outputs of one random call
Draw = Callable[[Random], tuple[dict[str, Any], list[Array | None], int]]


def oracle_outputs(model: onnx.ModelProto, inputs: list[Array | None]) -> list[Any]:
    evaluation = Oracle(ir.from_proto(model)).run(feeds_of(inputs))
    assert not evaluation.narrow
    return list(evaluation.outputs.values())


def spatial(random: Random, rank: int, low: int, high: int) -> list[int]:
    return [int(n) for n in random.integers(low, high, rank)]


def padding(random: Random, rank: int, attributes: dict[str, Any], largest: list[int]) -> None:
    """Explicit pads smaller than the kernel, or one of the automatic forms."""
    way = random.choice(["NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"])
    if way != "NOTSET":
        attributes["auto_pad"] = str(way)
    elif random.random() < 0.7:
        both = [int(random.integers(0, k)) for k in [*largest, *largest]]
        attributes["pads"] = both


def draw_conv(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    rank = int(random.integers(1, 4))
    group = int(random.choice([1, 1, 2, 3]))
    each = int(random.integers(1, 4))
    filters = group * int(random.integers(1, 4))
    kernel = spatial(random, rank, 1, 4)
    attributes: dict[str, Any] = {"group": group, "strides": spatial(random, rank, 1, 3)}
    if random.random() < 0.4:
        attributes["dilations"] = spatial(random, rank, 1, 3)
    padding(random, rank, attributes, kernel)
    if "auto_pad" in attributes:
        attributes.pop("dilations", None)
    x = random.standard_normal((2, group * each, *spatial(random, rank, 7, 10)))
    weight = random.standard_normal((filters, each, *kernel))
    bias = random.standard_normal(filters) if random.random() < 0.5 else None
    return attributes, [x, weight, bias][: 3 if bias is not None else 2], 1


def draw_max_pool(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    rank = int(random.integers(1, 4))
    kernel = spatial(random, rank, 1, 4)
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": spatial(random, rank, 1, 4)}
    padding(random, rank, attributes, kernel)
    if "auto_pad" in attributes:
        # ONNX Runtime takes no step that is longer than the window here.
        attributes["strides"] = [
            min(s, k) for s, k in zip(attributes["strides"], kernel, strict=True)
        ]
    else:
        attributes["ceil_mode"] = int(random.integers(0, 2))
        if random.random() < 0.4:
            attributes["dilations"] = spatial(random, rank, 1, 3)
    return attributes, [random.standard_normal((2, 3, *spatial(random, rank, 5, 9)))], 1


def draw_average_pool(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    attributes, inputs, outputs = draw_max_pool(random)
    attributes["count_include_pad"] = int(random.integers(0, 2))
    attributes.pop("dilations", None)
    return attributes, inputs, outputs


def draw_transposed(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    rank = 2
    kernel = spatial(random, rank, 1, 4)
    strides = spatial(random, rank, 1, 4)
    attributes: dict[str, Any] = {"strides": strides}
    if random.random() < 0.4:
        attributes["dilations"] = spatial(random, rank, 1, 3)
    if random.random() < 0.5:
        attributes["pads"] = [int(random.integers(0, k)) for k in [*kernel, *kernel]]
    if random.random() < 0.4:
        attributes["output_padding"] = [int(random.integers(0, s)) for s in strides]
    channels, filters = (int(n) for n in random.integers(1, 4, 2))
    x = random.standard_normal((2, channels, *spatial(random, rank, 3, 6)))
    weight = random.standard_normal((channels, filters, *kernel))
    bias = random.standard_normal(filters) if random.random() < 0.5 else None
    return attributes, [x, weight, bias][: 3 if bias is not None else 2], 1


def draw_norm(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    rank = int(random.integers(2, 5))
    axis = int(random.integers(-rank, rank))
    x = random.standard_normal(spatial(random, rank, 2, 6)) * 3 + 1
    scale = random.standard_normal(x.shape[axis % rank :])
    attributes = {"axis": axis, "epsilon": float(10 ** random.uniform(-7, -1))}
    return attributes, [x, scale], 1


def draw_layer_norm(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    attributes, (x, scale), _ = draw_norm(random)
    assert scale is not None
    inputs = [x, scale, random.standard_normal(scale.shape)][: int(random.integers(2, 4))]
    return attributes, inputs, 3


def draw_batch_norm(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    rank = int(random.integers(2, 5))
    x = random.standard_normal(spatial(random, rank, 2, 5))
    scale, bias, mean = (random.standard_normal(x.shape[1]) for _ in range(3))
    training = int(random.integers(0, 2))
    variance = random.uniform(0.1, 2, x.shape[1])
    return {"training_mode": training}, [x, scale, bias, mean, variance], 3 if training else 1


def draw_instance_norm(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    x = random.standard_normal(spatial(random, int(random.integers(3, 5)), 2, 6))
    scale, bias = (random.standard_normal(x.shape[1]) for _ in range(2))
    return {"epsilon": 1e-3}, [x, scale, bias], 1


def draw_image(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    return {}, [random.standard_normal(spatial(random, int(random.integers(3, 6)), 1, 5))], 1


def draw_softmax(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    rank = int(random.integers(1, 5))
    x = random.standard_normal(spatial(random, rank, 1, 6)) * 5
    return {"axis": int(random.integers(-rank, rank))}, [x], 1


def draw_elementwise(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    return {}, [random.standard_normal(spatial(random, 2, 1, 7)) * 4], 1


def draw_dequantize(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    x = random.integers(0, 256, spatial(random, 3, 2, 5)).astype(np.uint8)
    axis = int(random.integers(0, 3))
    count = x.shape[axis] if random.random() < 0.6 else None
    scale = np.asarray(random.uniform(0.01, 0.1, count)).astype(np.float32)
    zero = np.asarray(random.integers(0, 256, count)).astype(np.uint8)
    return {"axis": axis}, [x, scale, zero], 1


def draw_gather_elements(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    data = random.standard_normal(spatial(random, 2, 3, 6))
    axis = int(random.integers(-2, 2))
    shape = list(data.shape)
    shape[axis] = int(random.integers(1, 4))
    indices = random.integers(-data.shape[axis], data.shape[axis], shape)
    return {"axis": axis}, [data, indices], 1


def draw_gather_nd(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    data = random.standard_normal((2, *spatial(random, 3, 2, 5)))
    batch = int(random.integers(0, 2))
    depth = int(random.integers(1, 4))
    sizes = data.shape[batch : batch + depth]
    indices = np.stack([random.integers(0, n, (2, 3)) for n in sizes], axis=-1)
    return {"batch_dims": batch}, [data, indices], 1


def draw_scatter_elements(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    data = random.standard_normal(spatial(random, 2, 3, 6))
    axis = int(random.integers(0, 2))
    way = str(random.choice(["none", "add", "mul", "min", "max"]))
    indices = random.permuted(np.broadcast_to(np.arange(3), (3, 3)), axis=1)
    return {"axis": axis, "reduction": way}, [data, indices, random.standard_normal((3, 3))], 1


def draw_scatter_nd(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    data = random.standard_normal((4, 3))
    way = str(random.choice(["none", "add", "mul", "min", "max"]))
    indices = random.permutation(4)[:2].reshape(2, 1)
    return {"reduction": way}, [data, indices, random.standard_normal((2, 3))], 1


def draw_one_hot(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    indices = random.integers(-5, 5, spatial(random, 2, 1, 4))
    values = np.array([random.standard_normal(), random.standard_normal()])
    return {"axis": int(random.integers(-3, 3))}, [indices, np.array(5), values], 1


def draw_resize(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    x = random.standard_normal((1, 2, *spatial(random, 2, 3, 7)))
    attributes: dict[str, Any] = {
        "mode": str(random.choice(["nearest", "linear", "cubic"])),
        "coordinate_transformation_mode": str(
            random.choice(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
        ),
    }
    if attributes["mode"] == "nearest":
        ways = ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]
        attributes["nearest_mode"] = str(random.choice(ways))
    if attributes["mode"] == "cubic":
        attributes["exclude_outside"] = int(random.integers(0, 2))
    sizes = np.array([1, 2, *random.integers(2, 14, 2)], dtype=np.int64)
    return attributes, [x, None, None, sizes], 1


def draw_recurrent(gates: int, states: int, names: list[str]) -> Draw:
    def draw(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
        time, batch, width, size = (int(n) for n in random.integers(2, 5, 4))
        way = str(random.choice(["forward", "reverse", "bidirectional"]))
        count = 2 if way == "bidirectional" else 1
        attributes: dict[str, Any] = {"hidden_size": size, "direction": way}
        if random.random() < 0.5:
            attributes["activations"] = [str(n) for n in random.choice(names, states * count)]
        if random.random() < 0.3:
            attributes["clip"] = 0.7
        if gates == 3:
            attributes["linear_before_reset"] = int(random.integers(0, 2))
        inputs: list[Array | None] = [
            random.standard_normal((time, batch, width)),
            random.standard_normal((count, gates * size, width)),
            random.standard_normal((count, gates * size, size)),
            random.standard_normal((count, 2 * gates * size)) if random.random() < 0.7 else None,
            random.integers(1, time + 1, batch).astype(np.int32) if random.random() < 0.5 else None,
            random.standard_normal((count, batch, size)) if random.random() < 0.7 else None,
        ]
        if gates == 4:
            inputs.append(
                random.standard_normal((count, batch, size)) if random.random() < 0.7 else None
            )
            if random.random() < 0.5:
                inputs.append(random.standard_normal((count, 3 * size)))
        return attributes, inputs, 3 if gates == 4 else 2

    return draw


def draw_grouped_transposed(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    group = int(random.integers(2, 4))
    attributes, _, _ = draw_transposed(random)
    attributes.pop("pads", None)
    attributes["group"] = group
    x = random.standard_normal((2, 2 * group, *spatial(random, 2, 3, 6)))
    weight = random.standard_normal((2 * group, int(random.integers(1, 4)), 3, 2))
    if random.random() < 0.4:
        attributes.pop("output_padding", None)
        attributes.pop("dilations", None)
        attributes["auto_pad"] = str(random.choice(["SAME_UPPER", "SAME_LOWER"]))
    return attributes, [x, weight, random.standard_normal(weight.shape[1] * group)], 1


def draw_old_softmax(random: Random) -> tuple[dict[str, Any], list[Array | None], int]:
    attributes, inputs, outputs = draw_softmax(random)
    if random.random() < 0.3:
        return {}, [random.standard_normal((2, 3, 4))], outputs
    return attributes, inputs, outputs


CASES: dict[str, tuple[Draw, int, int]] = {
    # operator: (draw, operator set, cases)
    "Conv": (draw_conv, 17, 100),
    "ConvTranspose": (draw_transposed, 17, 60),
    "LayerNormalization": (draw_layer_norm, 17, 60),
    "RMSNormalization": (draw_norm, 23, 60),
    "BatchNormalization": (draw_batch_norm, 15, 60),
    "InstanceNormalization": (draw_instance_norm, 17, 30),
    "Softmax": (draw_softmax, 13, 60),
    "LogSoftmax": (draw_softmax, 13, 60),
    "Hardmax": (draw_softmax, 13, 60),
    "Sigmoid": (draw_elementwise, 17, 20),
    "GatherND": (draw_gather_nd, 17, 60),
    "ScatterElements": (draw_scatter_elements, 18, 60),
    "ScatterND": (draw_scatter_nd, 18, 60),
    "OneHot": (draw_one_hot, 17, 60),
}


@pytest.mark.parametrize("op_type", CASES)
def test_kernel_equals_stock_operator(op_type: str) -> None:
    draw, opset, count = CASES[op_type]
    random = np.random.default_rng(7)
    for _ in range(count):
        attributes, inputs, outputs = draw(random)
        model = node_model(op_type, inputs, outputs=outputs, opset=opset, **attributes)
        expected = ReferenceEvaluator(model).run(None, feeds_of(inputs))
        for got, wanted in zip(oracle_outputs(model, inputs), expected, strict=True):
            assert got.dtype == wanted.dtype
            np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12, err_msg=str(attributes))


GATES = ["Sigmoid", "Tanh", "Relu", "HardSigmoid", "Softsign"]
# Where onnx.reference fails, is wrong or leaves something out.
AGAINST_RUNTIME: dict[str, tuple[str, Draw, int, int]] = {
    # title: (operator, draw, operator set, cases)
    "MaxPool": ("MaxPool", draw_max_pool, 17, 80),
    "AveragePool": ("AveragePool", draw_average_pool, 19, 80),
    "GlobalMaxPool": ("GlobalMaxPool", draw_image, 17, 20),
    "GatherElements": ("GatherElements", draw_gather_elements, 17, 40),
    "grouped ConvTranspose": ("ConvTranspose", draw_grouped_transposed, 17, 60),
    "old Softmax": ("Softmax", draw_old_softmax, 11, 40),
    "old LogSoftmax": ("LogSoftmax", draw_old_softmax, 11, 40),
    "RNN": ("RNN", draw_recurrent(1, 1, GATES), 14, 40),
    "GRU": ("GRU", draw_recurrent(3, 2, GATES), 14, 60),
    "LSTM": ("LSTM", draw_recurrent(4, 3, GATES), 14, 60),
    "Resize": ("Resize", draw_resize, 19, 80),
    "DequantizeLinear": ("DequantizeLinear", draw_dequantize, 13, 40),
    "Erf": ("Erf", draw_elementwise, 17, 10),
}


@pytest.mark.parametrize("title", AGAINST_RUNTIME)
def test_kernel_equals_onnxruntime(title: str) -> None:
    op_type, draw, opset, count = AGAINST_RUNTIME[title]
    random = np.random.default_rng(11)
    for _ in range(count):
        attributes, drawn, outputs = draw(random)
        inputs = [
            a.astype(np.float32) if a is not None and a.dtype == np.float64 else a for a in drawn
        ]
        model = node_model(op_type, inputs, outputs=outputs, opset=opset, **attributes)
        expected = run_ort(model, feeds_of(inputs))
        for got, wanted in zip(oracle_outputs(model, inputs), expected, strict=True):
            assert got.dtype == (np.float64 if wanted.dtype.kind == "f" else wanted.dtype)
            np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-5, err_msg=str(attributes))


def test_erf_is_as_exact_as_the_c_library() -> None:
    x = np.linspace(-6, 6, 401)
    (got,) = oracle_outputs(node_model("Erf", [x]), [x])
    assert got.tolist() == [math.erf(v) for v in x]


@pytest.mark.parametrize("way", ["none", "tanh"])
def test_gelu_is_its_formula(way: str) -> None:
    x = np.linspace(-5, 5, 101)
    (got,) = oracle_outputs(node_model("Gelu", [x], opset=20, approximate=way), [x])
    inner = {
        "none": [math.erf(v / math.sqrt(2)) for v in x],
        "tanh": [math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)) for v in x],
    }[way]
    np.testing.assert_allclose(got, 0.5 * x * (1 + np.array(inner)), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(("since", "per_group"), [(18, True), (21, False)])
def test_group_normalization_by_hand(since: int, per_group: bool) -> None:
    random = np.random.default_rng(3)
    x = random.standard_normal((2, 6, 3, 4)) * 2 + 1
    scale, bias = random.standard_normal((2, 3 if per_group else 6))
    model = node_model("GroupNormalization", [x, scale, bias], opset=since, num_groups=3)
    (got,) = oracle_outputs(model, [x, scale, bias])
    rows = x.reshape(2, 3, -1)
    normal = (rows - rows.mean(2, keepdims=True)) / np.sqrt(rows.var(2, keepdims=True) + 1e-5)
    each = [np.repeat(v, 2) if per_group else v for v in (scale, bias)]
    expected = normal.reshape(x.shape) * each[0][:, None, None] + each[1][:, None, None]
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_layer_norm_keeps_its_precision_far_from_zero() -> None:
    # In float64, x − E[x] at a mean of 1e6 still has 10 digits; the shifted row tells them.
    random = np.random.default_rng(5)
    x = np.round(random.standard_normal((3, 64)), 3)
    scale = np.ones(64)
    near, far = (
        oracle_outputs(node_model("LayerNormalization", [v, scale], epsilon=1e-5), [v, scale])[0]
        for v in (x, x + 1e6)
    )
    np.testing.assert_allclose(far, near, atol=1e-8)


def test_old_batch_norm_is_inference_with_one_output() -> None:
    # onnx.reference mixes the statistics of the batch in, before operator set 14.
    random = np.random.default_rng(5)
    x = random.standard_normal((2, 3, 4)).astype(np.float32)
    parameters = [random.uniform(0.5, 2, 3).astype(np.float32) for _ in range(4)]
    inputs: list[Array | None] = [x, *parameters]
    model = node_model("BatchNormalization", inputs, opset=9)
    (expected,) = run_ort(model, feeds_of(inputs))
    (got,) = oracle_outputs(model, inputs)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_old_batch_norm_may_have_statistics_for_each_element() -> None:
    random = np.random.default_rng(6)
    x = random.standard_normal((2, 3, 4, 5)).astype(np.float32)
    parameters = [random.uniform(0.5, 2, (3, 4, 5)).astype(np.float32) for _ in range(4)]
    inputs: list[Array | None] = [x, *parameters]
    model = node_model("BatchNormalization", inputs, opset=8, spatial=0)
    (expected,) = run_ort(model, feeds_of(inputs))
    (got,) = oracle_outputs(model, inputs)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("op_type", ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"])
def test_skip_norms_of_onnxruntime(op_type: str) -> None:
    random = np.random.default_rng(6)
    x, skip = random.standard_normal((2, 2, 3, 8)).astype(np.float32)
    gamma, beta, bias = random.standard_normal((3, 8)).astype(np.float32)
    inputs = [x, skip, gamma, beta, bias] if op_type.count("Simpl") == 0 else [x, skip, gamma, bias]
    model = node_model(op_type, inputs, outputs=4, domain="com.microsoft", epsilon=1e-3)
    expected = run_ort(_only_outputs(model, ("y0", "y3")), feeds_of(inputs))
    evaluation = Oracle(ir.from_proto(_only_outputs(model, ("y0", "y3")))).run(feeds_of(inputs))
    for got, wanted in zip(evaluation.outputs.values(), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def _only_outputs(model: onnx.ModelProto, names: tuple[str, ...]) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(model)
    result.graph.node[0].output[1:3] = ["", ""]
    del result.graph.output[:]
    result.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return result


def test_fused_products_of_onnxruntime() -> None:
    random = np.random.default_rng(8)
    a, b = random.standard_normal((2, 4, 4)).astype(np.float32)
    image = random.standard_normal((1, 2, 5, 5)).astype(np.float32)
    weight = random.standard_normal((3, 2, 3, 3)).astype(np.float32)
    bias = random.standard_normal(3).astype(np.float32)
    extra = random.standard_normal((1, 3, 3, 3)).astype(np.float32)
    row = random.standard_normal(4).astype(np.float32)
    calls: list[tuple[str, list[Array | None], dict[str, Any]]] = [
        ("FusedMatMul", [a, b], {"transA": 1, "alpha": 0.5}),
        ("FusedMatMul", [a, b], {"transB": 1}),
        ("FusedGemm", [a, b, row], {"activation": "Relu", "transB": 1, "beta": 0.5}),
        ("FusedGemm", [a, b, row], {"activation": "LeakyRelu", "activation_alpha": 0.1}),
        ("FusedConv", [image, weight, bias], {"activation": "Tanh"}),
        ("FusedConv", [image, weight, bias, extra], {"activation": "Relu"}),
        ("FusedConv", [image, weight], {"activation": "Clip", "activation_params": [-0.5, 0.5]}),
        ("BiasGelu", [a, row], {}),
        ("FastGelu", [a, row], {}),
        ("QuickGelu", [a], {"alpha": 1.5}),
        ("Gelu", [a], {}),
    ]
    for op_type, inputs, attributes in calls:
        model = node_model(op_type, inputs, domain="com.microsoft", **attributes)
        (expected,) = run_ort(model, feeds_of(inputs))
        (got,) = oracle_outputs(model, inputs)
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-5, err_msg=op_type)


@pytest.mark.parametrize(
    ("bits", "zero"),
    [(2, "none"), (4, "none"), (4, "packed"), (4, "float"), (8, "none"), (8, "packed")],
)
@pytest.mark.parametrize("columns", [32, 40])
def test_weights_of_a_few_bits(bits: int, zero: str, columns: int) -> None:
    random = np.random.default_rng(bits)
    outputs, size = 5, 16
    blocks = -(-columns // size)
    packed = random.integers(0, 256, (outputs, blocks, size * bits // 8)).astype(np.uint8)
    scales = random.uniform(0.5, 2, (outputs, blocks)).astype(np.float32)
    zeros = {
        "none": None,
        "packed": random.integers(0, 256, (outputs, -(-blocks * bits // 8))).astype(np.uint8),
        "float": random.uniform(0, 8, (outputs, blocks)).astype(np.float32),
    }[zero]
    x = random.standard_normal((3, columns)).astype(np.float32)
    inputs: list[Array | None] = [x, packed, scales, zeros]
    attributes = {"K": columns, "N": outputs, "bits": bits, "block_size": size}
    model = node_model("MatMulNBits", inputs, domain="com.microsoft", **attributes)
    (expected,) = run_ort(model, feeds_of(inputs))
    (got,) = oracle_outputs(model, inputs)
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-4)


def test_upsample_of_operator_set_9() -> None:
    x = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    for mode in ("nearest", "linear"):
        inputs: list[Array | None] = [x, np.array([1, 1, 2, 1.5], np.float32)]
        model = node_model("Upsample", inputs, opset=9, mode=mode)
        (expected,) = run_ort(model, feeds_of(inputs))
        (got,) = oracle_outputs(model, inputs)
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_simplified_layer_norm_is_an_rms_norm() -> None:
    random = np.random.default_rng(9)
    inputs: list[Array | None] = [
        random.standard_normal((2, 8)).astype(np.float32),
        random.standard_normal(8).astype(np.float32),
    ]
    model = node_model("SimplifiedLayerNormalization", inputs, epsilon=1e-2)
    (expected,) = run_ort(model, feeds_of(inputs))
    (got,) = oracle_outputs(model, inputs)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_every_kernel_has_a_test() -> None:
    tried = {op for op, *_ in AGAINST_RUNTIME.values()} | set(CASES)
    by_hand = {
        "Gelu",
        "GroupNormalization",
        "SkipLayerNormalization",
        "SkipSimplifiedLayerNormalization",
    }
    elsewhere = {"Upsample", "Scatter", "SimplifiedLayerNormalization"}  # Scatter: the old name
    fused = {
        "MatMulNBits",
        "BiasGelu",
        "FastGelu",
        "FusedConv",
        "FusedGemm",
        "FusedMatMul",
        "QuickGelu",
    }
    # The operators of our own domain are held to their references by tests/ops and tests/norm.
    kernels = {op for (domain, op), facts in FACTS.items() if facts.kernel and domain != "normonnx"}
    assert kernels == tried | by_hand | elsewhere | fused | set(plain.CASES) | by_runtime.OPERATORS
