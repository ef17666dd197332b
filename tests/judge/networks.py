"""Random networks with BatchNorm, their correct folds in float64, and folds with a fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Array = np.ndarray[Any, Any]
Random = np.random.Generator


@dataclass
class Layer:
    """Conv → BatchNormalization (→ Relu), float32 parameters."""

    weight: Array
    bias: Array | None
    scale: Array
    shift: Array
    mean: Array
    variance: Array
    epsilon: float
    relu: bool


@dataclass
class Network:
    """A few layers on a small image."""

    size: int
    layers: list[Layer] = field(default_factory=list)


def random_network(random: Random) -> Network:
    network = Network(int(random.integers(6, 11)))
    channels, depth = 3, int(random.integers(1, 4))
    for index in range(depth):
        filters, kernel = int(random.integers(2, 13)), int(random.choice([1, 3]))
        bias = random.normal(size=filters) if random.random() < 0.6 else None
        scale, shift, mean = random.normal(size=(3, filters))
        layer = Layer(
            _f32(random.normal(size=(filters, channels, kernel, kernel)) / kernel),
            None if bias is None else _f32(bias),
            _f32(scale + np.sign(scale) * 0.2),
            _f32(shift),
            _f32(mean),
            _f32(10 ** random.uniform(-4, 1, filters)),
            float(random.choice([1e-5, 1e-3])),
            index < depth - 1,
        )
        network.layers.append(layer)
        channels = filters
    return network


def _f32(values: Array) -> Array:
    return np.asarray(values, np.float32)


def original(network: Network) -> onnx.ModelProto:
    """The network as it was trained."""
    nodes, weights = [], []
    value = "x"
    for i, layer in enumerate(network.layers):
        parameters = {
            "W": layer.weight,
            "s": layer.scale,
            "b": layer.shift,
            "m": layer.mean,
            "v": layer.variance,
        }
        inputs = [value, f"W{i}"]
        if layer.bias is not None:
            parameters["c"] = layer.bias
            inputs.append(f"c{i}")
        weights += [numpy_helper.from_array(a, f"{n}{i}") for n, a in parameters.items()]
        nodes.append(helper.make_node("Conv", inputs, [f"conv{i}"], pads=_pads(layer)))
        normed = [f"conv{i}", *(f"{n}{i}" for n in "sbmv")]
        nodes.append(
            helper.make_node("BatchNormalization", normed, [f"bn{i}"], epsilon=layer.epsilon)
        )
        value = f"bn{i}"
        if layer.relu:
            nodes.append(helper.make_node("Relu", [value], [f"relu{i}"]))
            value = f"relu{i}"
    return _model(network, nodes, weights)


# A fault changes (scale factor k, weights, bias) of one layer in float64.
Fault = Callable[[Layer, Array, Array, Array, Random], tuple[Array, Array]]


def _exact(layer: Layer) -> tuple[Array, Array, Array]:
    """k = s/√(v + ε),   W·k,   (c − m)·k + b."""
    scale, shift, mean, variance = (
        np.asarray(a, np.float64) for a in (layer.scale, layer.shift, layer.mean, layer.variance)
    )
    k = scale / np.sqrt(variance + float(np.float32(layer.epsilon)))
    bias = np.zeros_like(k) if layer.bias is None else np.asarray(layer.bias, np.float64)
    return k, layer.weight * k[:, None, None, None], (bias - mean) * k + shift


def folded(
    network: Network, *, fault: str = "", at: int = 0, random: Random | None = None
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """The network with BatchNorm folded, and the weights before they were rounded."""
    nodes, weights, exact = [], [], {}
    value = "x"
    for i, layer in enumerate(network.layers):
        k, weight, bias = _exact(layer)
        if fault and i == at:
            assert random is not None
            weight, bias = FAULTS[fault](layer, k, weight, bias, random)
        for name, array in ((f"W{i}", weight), (f"B{i}", bias)):
            exact[name] = array
            weights.append(numpy_helper.from_array(_f32(array), name))
        # The Conv takes the name of the BatchNorm that it swallowed.
        nodes.append(
            helper.make_node("Conv", [value, f"W{i}", f"B{i}"], [f"bn{i}"], pads=_pads(layer))
        )
        value = f"bn{i}"
        if layer.relu:
            nodes.append(helper.make_node("Relu", [value], [f"relu{i}"]))
            value = f"relu{i}"
    return _model(network, nodes, weights), exact


def _pads(layer: Layer) -> list[int]:
    return [layer.weight.shape[2] // 2] * 4


def _model(network: Network, nodes: list[Any], weights: list[Any]) -> onnx.ModelProto:
    nodes[-1].output[0] = "y"
    size, filters = network.size, network.layers[-1].weight.shape[0]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, ["N", 3, size, size])],
        [helper.make_tensor_value_info("y", 1, ["N", filters, size, size])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _other_epsilon(layer: Layer, epsilon: float) -> tuple[Array, Array]:
    other = Layer(**{**layer.__dict__, "epsilon": epsilon})
    _, weight, bias = _exact(other)
    return weight, bias


def _one_channel(weight: Array, bias: Array, factor: float, random: Random) -> tuple[Array, Array]:
    weight, channel = weight.copy(), int(random.integers(len(weight)))
    weight[channel] *= factor
    return weight, bias


def _one_weight(weight: Array, bias: Array, random: Random) -> tuple[Array, Array]:
    weight = weight.copy()
    weight.reshape(-1)[int(random.integers(weight.size))] *= 1.01
    return weight, bias


def _rolled(layer: Layer, k: Array, bias: Array) -> tuple[Array, Array]:
    return layer.weight * np.roll(k, 1)[:, None, None, None], bias


FAULTS: dict[str, Fault] = {
    "epsilon dropped": lambda layer, k, w, b, random: _other_epsilon(layer, 0.0),
    "epsilon confused": lambda layer, k, w, b, random: _other_epsilon(
        layer, 1e-3 if layer.epsilon == 1e-5 else 1e-5
    ),
    "bias not scaled": lambda layer, k, w, b, random: (
        w,
        b if layer.bias is None else b + layer.bias * (1 - k),
    ),
    "mean lost": lambda layer, k, w, b, random: (w, b + layer.mean * k),
    "one channel ×1.001": lambda layer, k, w, b, random: _one_channel(w, b, 1.001, random),
    "one channel ×1.0001": lambda layer, k, w, b, random: _one_channel(w, b, 1.0001, random),
    "one weight ×1.01": lambda layer, k, w, b, random: _one_weight(w, b, random),
    "scale through float16": lambda layer, k, w, b, random: (
        layer.weight * k.astype(np.float16).astype(np.float64)[:, None, None, None],
        b,
    ),
    "channel off by one": lambda layer, k, w, b, random: _rolled(layer, k, b),
    "variance for deviation": lambda layer, k, w, b, random: (
        layer.weight * (layer.scale / (layer.variance + layer.epsilon))[:, None, None, None],
        b,
    ),
}
