"""A speech encoder with both norms: LayerNorm around attention, BatchNorm inside convolutions."""

from __future__ import annotations

import onnx

from models.attention import self_attention
from models.layers import batch_norm, conv, layer_norm, linear
from models.network import Network, torch_network

WIDTH, HEADS, LAYERS = 32, 4, 2


def conformer_batchnorm_layernorm() -> onnx.ModelProto:
    """Frames (batch, 40, frames) → strided convolution → conformer blocks → scores per frame.

    Five BatchNorms (all behind a convolution) and seven LayerNorms.
    """
    net = torch_network("conformer_batchnorm_layernorm", opset=14)
    x = net.input("features", ["batch", 40, "frames"])
    x = conv(net, x, "/subsample/conv", "subsample.conv", channels=(40, WIDTH), kernel=(3,),
             stride=2, pad=1)  # fmt: skip
    x = batch_norm(net, x, "/subsample/norm", "subsample.norm", WIDTH)
    x = net.node("Relu", [x], "/subsample/act/Relu")
    x = net.node("Transpose", [x], "/Transpose", perm=[0, 2, 1])
    for index in range(LAYERS):
        path, module = f"/layers.{index}", f"layers.{index}"
        y = layer_norm(net, x, f"{path}/norm_att", f"{module}.norm_att", WIDTH)
        y = self_attention(net, y, f"{path}/att", f"{module}.att", WIDTH, HEADS)
        x = net.node("Add", [x, y], f"{path}/Add")
        y = layer_norm(net, x, f"{path}/norm_conv", f"{module}.norm_conv", WIDTH)
        y = _convolution_module(net, y, f"{path}/conv", f"{module}.conv")
        x = net.node("Add", [x, y], f"{path}/Add_1")
        x = layer_norm(net, x, f"{path}/norm_final", f"{module}.norm_final", WIDTH)
    x = layer_norm(net, x, "/norm", "norm", WIDTH)
    x = linear(net, x, "/head", "head", (WIDTH, 16))
    net.node("LogSoftmax", [x], "/LogSoftmax", out="scores", axis=-1)
    net.output("scores", ["batch", "steps", 16])
    return net.model()


def _convolution_module(net: Network, x: str, path: str, module: str) -> str:
    """Pointwise and gate, depthwise and BatchNorm and swish, pointwise and BatchNorm."""
    x = net.node("Transpose", [x], f"{path}/Transpose", perm=[0, 2, 1])
    x = conv(net, x, f"{path}/pointwise1", f"{module}.pointwise1", channels=(WIDTH, 2 * WIDTH),
             kernel=(1,), bias=True)  # fmt: skip
    value, gate = net.split(x, [WIDTH, WIDTH], f"{path}/Split", axis=1)
    gate = net.node("Sigmoid", [gate], f"{path}/Sigmoid")
    x = net.node("Mul", [value, gate], f"{path}/Mul")
    x = conv(net, x, f"{path}/depthwise", f"{module}.depthwise", channels=(WIDTH, WIDTH),
             kernel=(7,), pad=3, group=WIDTH)  # fmt: skip
    x = batch_norm(net, x, f"{path}/norm", f"{module}.norm", WIDTH)
    x = net.node("Mul", [x, net.node("Sigmoid", [x], f"{path}/act/Sigmoid")], f"{path}/act/Mul")
    x = conv(net, x, f"{path}/pointwise2", f"{module}.pointwise2", channels=(WIDTH, WIDTH),
             kernel=(1,), bias=True)  # fmt: skip
    x = batch_norm(net, x, f"{path}/norm2", f"{module}.norm2", WIDTH)
    return net.node("Transpose", [x], f"{path}/Transpose_1", perm=[0, 2, 1])
