"""Large models for benchmarks, made from the parts of those in models/: seeded, no download."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx

from models.attention import gelu, self_attention
from models.layers import batch_norm, conv, gemm, layer_norm, linear
from models.network import Network, torch_network

_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
"""Width, blocks and stride of the stages of a ResNet-50."""


def resnet50() -> onnx.ModelProto:
    """Bottlenecks of three convolutions with BatchNormalization; 25 million weights."""
    net = torch_network("large_resnet50", opset=14)
    x = net.input("images", ["batch", 3, 96, 96])
    x = _conv_norm_relu(net, x, "stem", (3, 64), kernel=7, stride=2)
    inside = 64
    for stage, (width, blocks, stride) in enumerate(_STAGES):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            step = stride if block == 0 else 1
            y = _conv_norm_relu(net, x, f"{name}.a", (inside, width), kernel=1)
            y = _conv_norm_relu(net, y, f"{name}.b", (width, width), kernel=3, stride=step)
            y = _conv_norm(net, y, f"{name}.c", (width, 4 * width), kernel=1)
            if block == 0:
                x = _conv_norm(net, x, f"{name}.down", (inside, 4 * width), kernel=1, stride=step)
            x = net.node("Relu", [net.node("Add", [y, x], f"/{name}/Add")], f"/{name}/Relu")
            inside = 4 * width
    return _classified(net, x, inside)


def densenet() -> onnx.ModelProto:
    """BatchNormalization and Relu before each convolution, which reads all that was before it."""
    net = torch_network("large_densenet", opset=14)
    x = net.input("images", ["batch", 3, 64, 64])
    x = _conv_norm_relu(net, x, "stem", (3, 64), kernel=7, stride=2)
    inside, growth = 64, 32
    for stage, layers in enumerate((6, 12, 24, 16)):
        for layer in range(layers):
            name = f"dense{stage}.{layer}"
            y = _norm_relu(net, x, f"{name}.norm1", inside)
            y = _conv_norm_relu(net, y, f"{name}.conv1", (inside, 4 * growth), kernel=1)
            y = _conv(net, y, f"{name}.conv2", (4 * growth, growth), kernel=3)
            x = net.node("Concat", [x, y], f"/{name}/Concat", axis=1)
            inside += growth
        x = _norm_relu(net, x, f"transition{stage}.norm", inside)
        if stage < 3:
            x = _conv(net, x, f"transition{stage}.conv", (inside, inside // 2), kernel=1)
            x = net.node("AveragePool", [x], f"/transition{stage}/AveragePool",
                         kernel_shape=[2, 2], strides=[2, 2])  # fmt: skip
            inside //= 2
    return _classified(net, x, inside)


def transformer() -> onnx.ModelProto:
    """48 blocks with LayerNorm spelled out before each sublayer, 97 of them."""
    net, width = torch_network("large_transformer", opset=14), 128
    x = net.input("tokens", ["batch", "seq", width])
    for index in range(48):
        path, module = f"/blocks.{index}", f"blocks.{index}"
        y = layer_norm(net, x, f"{path}/norm1", f"{module}.norm1", width)
        y = self_attention(net, y, f"{path}/attn", f"{module}.attn", width, 4)
        x = net.node("Add", [x, y], f"{path}/Add")
        y = layer_norm(net, x, f"{path}/norm2", f"{module}.norm2", width)
        y = linear(net, y, f"{path}/fc1", f"{module}.fc1", (width, 4 * width))
        y = gelu(net, y, f"{path}/act")
        y = linear(net, y, f"{path}/fc2", f"{module}.fc2", (4 * width, width))
        x = net.node("Add", [x, y], f"{path}/Add_1")
    layer_norm(net, x, "/norm", "norm", width, out="states")
    net.output("states", ["batch", "seq", width])
    return net.model()


LARGE: tuple[Callable[[], onnx.ModelProto], ...] = (resnet50, densenet, transformer)


def write(folder: Path) -> list[Path]:
    """Every large model, as a file of its own in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for build in LARGE:
        model = build()
        paths.append(folder / f"{model.graph.name}.onnx")
        onnx.save(model, paths[-1])
    return paths


def _conv(
    net: Network, x: str, name: str, channels: tuple[int, int], *, kernel: int, stride: int = 1
) -> str:
    return conv(net, x, f"/{name}", name, channels=channels, kernel=(kernel, kernel),
                stride=stride, pad=kernel // 2)  # fmt: skip


def _conv_norm(
    net: Network, x: str, name: str, channels: tuple[int, int], *, kernel: int, stride: int = 1
) -> str:
    y = _conv(net, x, f"{name}.conv", channels, kernel=kernel, stride=stride)
    return batch_norm(net, y, f"/{name}/norm", f"{name}.norm", channels[1])


def _conv_norm_relu(
    net: Network, x: str, name: str, channels: tuple[int, int], *, kernel: int, stride: int = 1
) -> str:
    y = _conv_norm(net, x, name, channels, kernel=kernel, stride=stride)
    return net.node("Relu", [y], f"/{name}/Relu")


def _norm_relu(net: Network, x: str, name: str, channels: int) -> str:
    return net.node("Relu", [batch_norm(net, x, f"/{name}", name, channels)], f"/{name}/Relu")


def _classified(net: Network, x: str, channels: int) -> onnx.ModelProto:
    pooled = net.node("GlobalAveragePool", [x], "/pool/GlobalAveragePool")
    flat = net.node("Flatten", [pooled], "/Flatten", axis=1)
    gemm(net, flat, "/head", "head", (channels, 1000), out="logits")
    net.output("logits", ["batch", 1000])
    return net.model()
