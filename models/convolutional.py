"""Convolutional networks in one, two and three dimensions, BatchNormalization behind every one."""

from __future__ import annotations

import onnx

from models.layers import batch_norm, conv, gemm
from models.network import Network, torch_network


def conv1d_batchnorm() -> onnx.ModelProto:
    """A keyword spotter: 40 mel bands over time, then depthwise and pointwise convolutions."""
    net = torch_network("conv1d_batchnorm", opset=14)
    x = net.input("features", ["batch", 40, "frames"])
    x = _block(net, x, "/stem", "stem", channels=(40, 32), kernel=(9,), stride=2, pad=4)
    for index in range(3):
        path, module = f"/blocks/blocks.{index}", f"blocks.{index}"
        x = _block(net, x, f"{path}/depthwise", f"{module}.depthwise",
                   channels=(32, 32), kernel=(9,), pad=4, group=32)  # fmt: skip
        x = _block(net, x, f"{path}/pointwise", f"{module}.pointwise",
                   channels=(32, 32), kernel=(1,), bias=True)  # fmt: skip
    _classifier(net, x, 32, 12)
    net.output("logits", ["batch", 12])
    return net.model()


def conv2d_residual_batchnorm() -> onnx.ModelProto:
    """A residual network for small images: a stem, an identity block, a block that downsamples."""
    net = torch_network("conv2d_residual_batchnorm", opset=13)
    x = net.input("images", ["batch", 3, 32, 32])
    x = _block(net, x, "/stem", "stem", channels=(3, 16), kernel=(3, 3), pad=1)
    x = net.node("MaxPool", [x], "/pool/MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    x = _residual(net, x, "layer1", (16, 16), stride=1)
    x = _residual(net, x, "layer2", (16, 32), stride=2)
    _classifier(net, x, 32, 10)
    net.output("logits", ["batch", 10])
    return net.model()


def conv3d_batchnorm() -> onnx.ModelProto:
    """A segmenter of volumes: down by a strided convolution, up by a transposed one."""
    net = torch_network("conv3d_batchnorm", opset=17)
    volume = net.input("volume", ["batch", 1, 8, 16, 16])
    cube = (3, 3, 3)
    top = _block(net, volume, "/enter", "enter", channels=(1, 8), kernel=cube, pad=1)
    low = _block(net, top, "/down", "down", channels=(8, 16), kernel=cube, stride=2, pad=1)
    low = _block(net, low, "/deep", "deep", channels=(16, 16), kernel=cube, pad=1, bias=True)
    weight = net.weight("up.conv.weight", net.fan_in((16, 8, 2, 2, 2), 16))
    bias = net.weight("up.conv.bias", net.uniform((8,), -0.2, 0.2))
    up = net.node(
        "ConvTranspose", [low, weight, bias], "/up/conv/ConvTranspose",
        dilations=[1] * 3, group=1, kernel_shape=[2] * 3, pads=[0] * 6, strides=[2] * 3,
    )  # fmt: skip
    up = net.node("Relu", [batch_norm(net, up, "/up/norm", "up.norm", 8)], "/up/act/Relu")
    both = net.node("Concat", [up, top], "/Concat", axis=1)
    merged = _block(net, both, "/merge", "merge", channels=(16, 8), kernel=cube, pad=1)
    head = conv(net, merged, "/head", "head", channels=(8, 2), kernel=(1, 1, 1), bias=True)
    net.node("Softmax", [head], "/Softmax", out="classes", axis=1)
    net.output("classes", ["batch", 2, 8, 16, 16])
    return net.model()


def _block(
    net: Network, x: str, path: str, module: str, *, channels: tuple[int, int],
    kernel: tuple[int, ...], stride: int = 1, pad: int = 0, group: int = 1, bias: bool = False,
) -> str:  # fmt: skip
    """Convolution, BatchNormalization, Relu."""
    x = conv(net, x, f"{path}/conv", f"{module}.conv", channels=channels, kernel=kernel,
             stride=stride, pad=pad, group=group, bias=bias)  # fmt: skip
    x = batch_norm(net, x, f"{path}/norm", f"{module}.norm", channels[1])
    return net.node("Relu", [x], f"{path}/act/Relu")


def _residual(net: Network, x: str, name: str, channels: tuple[int, int], *, stride: int) -> str:
    """Two convolutions and the way around them, which has its own where the sizes differ."""
    inside, outside = channels
    path = f"/{name}"
    y = _block(net, x, f"{path}/first", f"{name}.first",
               channels=channels, kernel=(3, 3), stride=stride, pad=1)  # fmt: skip
    y = conv(net, y, f"{path}/second/conv", f"{name}.second.conv",
             channels=(outside, outside), kernel=(3, 3), pad=1)  # fmt: skip
    y = batch_norm(net, y, f"{path}/second/norm", f"{name}.second.norm", outside)
    if inside != outside:
        x = conv(net, x, f"{path}/skip/conv", f"{name}.skip.conv",
                 channels=channels, kernel=(1, 1), stride=stride)  # fmt: skip
        x = batch_norm(net, x, f"{path}/skip/norm", f"{name}.skip.norm", outside)
    total = net.node("Add", [y, x], f"{path}/Add")
    return net.node("Relu", [total], f"{path}/act/Relu")


def _classifier(net: Network, x: str, channels: int, classes: int) -> None:
    pooled = net.node("GlobalAveragePool", [x], "/GlobalAveragePool")
    flat = net.node("Flatten", [pooled], "/Flatten", axis=1)
    gemm(net, flat, "/head", "head", (channels, classes), out="logits")
