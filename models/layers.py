"""The layers PyTorch's exporter writes as several nodes, or as one node with many inputs."""

from __future__ import annotations

import numpy as np

from models.network import Network


def conv(
    net: Network,
    x: str,
    path: str,
    module: str,
    *,
    channels: tuple[int, int],
    kernel: tuple[int, ...],
    stride: int = 1,
    pad: int = 0,
    group: int = 1,
    bias: bool = False,
) -> str:
    """Convolution of any rank; weight (out, in / group, *kernel)."""
    inside, outside = channels
    shape = (outside, inside // group, *kernel)
    fan_in = int(np.prod(shape[1:]))
    inputs = [x, net.weight(f"{module}.weight", net.fan_in(shape, fan_in))]
    if bias:
        inputs.append(net.weight(f"{module}.bias", net.uniform((outside,), -0.2, 0.2)))
    return net.node(
        "Conv",
        inputs,
        f"{path}/Conv",
        dilations=[1] * len(kernel),
        group=group,
        kernel_shape=list(kernel),
        pads=[pad] * (2 * len(kernel)),
        strides=[stride] * len(kernel),
    )


def batch_norm(net: Network, x: str, path: str, module: str, channels: int) -> str:
    """BatchNormalization with the running statistics of a trained network."""
    parameters = {
        "weight": net.gains(channels),
        "bias": net.uniform((channels,), -0.5, 0.5),
        "running_mean": net.uniform((channels,), -0.8, 0.8),
        "running_var": net.uniform((channels,), 0.05, 2.5),
    }
    inputs = [net.weight(f"{module}.{kind}", value) for kind, value in parameters.items()]
    return net.node(
        "BatchNormalization",
        [x, *inputs],
        f"{path}/BatchNormalization",
        epsilon=1e-5,
        momentum=0.9,
    )


def layer_norm(
    net: Network, x: str, path: str, module: str, channels: int, *, out: str = ""
) -> str:
    """LayerNorm over the last axis as nine nodes, (x − E[x]) / √(E[(x − E[x])²] + ε) · γ + β.

    The parameters are named after the module, so that a module called twice shares them.
    """
    gamma = net.shared(f"{module}.weight", lambda: net.gains(channels))
    beta = net.shared(f"{module}.bias", lambda: net.uniform((channels,), -0.3, 0.3))
    mean = net.node("ReduceMean", [x], f"{path}/ReduceMean", axes=[-1])
    centred = net.node("Sub", [x, mean], f"{path}/Sub")
    two = net.constant(f"{path}/Constant", np.float32(2))
    square = net.node("Pow", [centred, two], f"{path}/Pow")
    variance = net.node("ReduceMean", [square], f"{path}/ReduceMean_1", axes=[-1])
    epsilon = net.constant(f"{path}/Constant_1", np.float32(1e-5))
    shifted = net.node("Add", [variance, epsilon], f"{path}/Add")
    deviation = net.node("Sqrt", [shifted], f"{path}/Sqrt")
    normal = net.node("Div", [centred, deviation], f"{path}/Div")
    scaled = net.node("Mul", [normal, gamma], f"{path}/Mul")
    return net.node("Add", [scaled, beta], f"{path}/Add_1", out=out)


def linear(
    net: Network, x: str, path: str, module: str, channels: tuple[int, int], *, bias: bool = True
) -> str:
    """A linear layer on a tensor of rank 3 and more: MatMul with a transposed weight, then Add."""
    inside, outside = channels
    weight = net.shared(f"onnx::MatMul_{module}", lambda: net.fan_in((inside, outside), inside))
    product = net.node("MatMul", [x, weight], f"{path}/MatMul")
    if not bias:
        return product
    shift = net.shared(f"{module}.bias", lambda: net.uniform((outside,), -0.2, 0.2))
    return net.node("Add", [shift, product], f"{path}/Add")


def gemm(
    net: Network, x: str, path: str, module: str, channels: tuple[int, int], *, out: str
) -> str:
    """A linear layer on a matrix; weight (out, in), transposed by the operator."""
    inside, outside = channels
    weight = net.weight(f"{module}.weight", net.fan_in((outside, inside), inside))
    bias = net.weight(f"{module}.bias", net.uniform((outside,), -0.2, 0.2))
    return net.node(
        "Gemm", [x, weight, bias], f"{path}/Gemm", out=out, alpha=1.0, beta=1.0, transB=1
    )
