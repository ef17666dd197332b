"""The tutorial network of dense layers, with BatchNorm or LayerNorm, as Keras exports it.

Dense(64, relu) on 10 features → norm → Dense(32, relu) → norm → Dense(1, sigmoid). The exporter
knows neither norm: BatchNorm comes out as Mul and Add with numbers it has computed from the running
statistics, LayerNorm as twelve nodes around the inverse root.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
import onnx

from models.network import Network, keras_network

Norm = Callable[[Network, str, str, int], str]


def tutorial_dense_batchnorm() -> onnx.ModelProto:
    return _tutorial("tutorial_dense_batchnorm", "batch_normalization", _batch_norm)


def tutorial_dense_layernorm() -> onnx.ModelProto:
    return _tutorial("tutorial_dense_layernorm", "layer_normalization", _layer_norm)


def _tutorial(name: str, norm_name: str, norm: Norm) -> onnx.ModelProto:
    net = keras_network(name)
    x = net.input("dense_input", ["unk__32", 10])
    for layer, (inside, outside) in {"": (10, 64), "_1": (64, 32)}.items():
        x = _dense(net, x, f"sequential/dense{layer}", inside, outside)
        x = net.node("Relu", [x], f"sequential/dense{layer}/Relu")
        x = norm(net, x, f"sequential/{norm_name}{layer}", outside)
    x = _dense(net, x, "sequential/dense_2", 32, 1)
    net.node("Sigmoid", [x], "sequential/dense_2/Sigmoid", out="dense_2")
    net.output("dense_2", ["unk__33", 1])
    return net.model()


def _dense(net: Network, x: str, path: str, inside: int, outside: int) -> str:
    """x·W + b; the weights drawn as Keras draws them (Glorot, uniform)."""
    bound = sqrt(6.0 / (inside + outside))
    kernel = net.weight(
        f"{path}/MatMul/ReadVariableOp:0", net.uniform((inside, outside), -bound, bound)
    )
    bias = net.weight(f"{path}/BiasAdd/ReadVariableOp:0", net.uniform((outside,), -0.3, 0.3))
    product = net.node("MatMul", [x, kernel], f"{path}/MatMul")
    return net.node("Add", [product, bias], f"{path}/BiasAdd")


def _batch_norm(net: Network, x: str, path: str, channels: int) -> str:
    """x·k + (β − μ·k) with k = γ / √(σ² + ε), k and β − μ·k computed by the exporter."""
    gamma, beta = net.gains(channels), net.uniform((channels,), -0.5, 0.5)
    mean, variance = net.uniform((channels,), 0.0, 0.9), net.uniform((channels,), 0.02, 1.5)
    factor = gamma / np.sqrt(variance + np.float32(1e-3))
    k = net.weight(f"{path}/batchnorm/mul:0", factor)
    shift = net.weight(f"{path}/batchnorm/sub:0", beta - mean * factor)
    scaled = net.node("Mul", [x, k], f"{path}/batchnorm/mul_1")
    return net.node("Add", [scaled, shift], f"{path}/batchnorm/add_1")


def _layer_norm(net: Network, x: str, path: str, channels: int) -> str:
    """x·k + (β − m·k) with k = γ · 1/√(E[(x − m)²] + ε): the inverse root is one Reciprocal."""
    gamma = net.weight(f"{path}/Reshape:0", net.gains(channels).reshape(1, -1))
    beta = net.weight(f"{path}/Reshape_1:0", net.uniform((1, channels), -0.3, 0.3))
    epsilon = net.weight(f"{path}/add/y:0", np.float32(1e-3))
    moments = f"{path}/moments"
    mean = net.node("ReduceMean", [x], f"{moments}/mean", axes=[1], keepdims=1)
    centred = net.node("Sub", [x, mean], f"{moments}/SquaredDifference")
    square = net.node("Mul", [centred, centred], f"{moments}/SquaredDifference__21")
    variance = net.node("ReduceMean", [square], f"{moments}/variance", axes=[1], keepdims=1)
    shifted = net.node("Add", [variance, epsilon], f"{path}/add")
    deviation = net.node("Sqrt", [shifted], f"{path}/Rsqrt")
    inverse = net.node("Reciprocal", [deviation], f"{path}/Rsqrt__24")
    k = net.node("Mul", [inverse, gamma], f"{path}/mul")
    scaled = net.node("Mul", [x, k], f"{path}/mul_1")
    offset = net.node("Mul", [mean, k], f"{path}/mul_2")
    shift = net.node("Sub", [beta, offset], f"{path}/sub")
    return net.node("Add", [scaled, shift], f"{path}/add_1")
