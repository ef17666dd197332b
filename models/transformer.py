"""Transformer encoders on token ids with LayerNorm before or behind each sublayer."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from models.attention import gelu, self_attention
from models.layers import layer_norm, linear
from models.network import Network, torch_network

VOCABULARY, POSITIONS, WIDTH, HEADS, LAYERS = 160, 48, 32, 4, 2


def transformer_postnorm() -> onnx.ModelProto:
    """As in BERT: y = LN(x + sublayer(x)), a mask over the padding; five LayerNorms."""
    net = torch_network("transformer_postnorm", opset=13)
    ids = net.input("input_ids", ["batch", "seq"], int(TensorProto.INT64))
    mask = net.input("attention_mask", ["batch", "seq"], int(TensorProto.INT64))
    x = layer_norm(net, _embed(net, ids), "/embeddings/LayerNorm", "embeddings.LayerNorm", WIDTH)
    bias = _mask_bias(net, mask)
    for index in range(LAYERS):
        path, module = f"/encoder/layer.{index}", f"encoder.layer.{index}"
        y = self_attention(net, x, f"{path}/attention", f"{module}.attention", WIDTH, HEADS,
                           bias=bias)  # fmt: skip
        x = net.node("Add", [y, x], f"{path}/Add")
        x = layer_norm(net, x, f"{path}/norm1", f"{module}.norm1", WIDTH)
        y = _feed_forward(net, x, f"{path}/mlp", f"{module}.mlp")
        x = net.node("Add", [y, x], f"{path}/Add_1")
        out = "last_hidden_state" if index == LAYERS - 1 else ""
        x = layer_norm(net, x, f"{path}/norm2", f"{module}.norm2", WIDTH, out=out)
    net.output("last_hidden_state", ["batch", "seq", WIDTH])
    return net.model()


def transformer_prenorm() -> onnx.ModelProto:
    """As in ViT and GPT: y = x + sublayer(LN(x)), one LayerNorm at the end; five LayerNorms."""
    net = torch_network("transformer_prenorm", opset=14)
    ids = net.input("input_ids", ["batch", "seq"], int(TensorProto.INT64))
    x = _embed(net, ids)
    for index in range(LAYERS):
        path, module = f"/blocks.{index}", f"blocks.{index}"
        y = layer_norm(net, x, f"{path}/norm1", f"{module}.norm1", WIDTH)
        y = self_attention(net, y, f"{path}/attn", f"{module}.attn", WIDTH, HEADS)
        x = net.node("Add", [x, y], f"{path}/Add")
        y = layer_norm(net, x, f"{path}/norm2", f"{module}.norm2", WIDTH)
        y = _feed_forward(net, y, f"{path}/mlp", f"{module}.mlp")
        x = net.node("Add", [x, y], f"{path}/Add_1")
    x = layer_norm(net, x, "/norm", "norm", WIDTH)
    net.node("MatMul", [x, net.weight("head.weight", net.fan_in((WIDTH, 8), WIDTH))],
             "/head/MatMul", out="logits")  # fmt: skip
    net.output("logits", ["batch", "seq", 8])
    return net.model()


def _embed(net: Network, ids: str) -> str:
    """Rows of the token table plus the first seq rows of the position table."""
    tokens = net.weight(
        "embeddings.word_embeddings.weight", net.uniform((VOCABULARY, WIDTH), -1.0, 1.0)
    )
    table = net.weight(
        "embeddings.position_embeddings.weight", net.uniform((1, POSITIONS, WIDTH), -0.5, 0.5)
    )
    path = "/embeddings"
    rows = net.node("Gather", [tokens, ids], f"{path}/word_embeddings/Gather")
    shape = net.node("Shape", [ids], f"{path}/Shape")
    axis = net.constant(f"{path}/Constant", np.array([1], np.int64))
    length = net.node("Gather", [shape, axis], f"{path}/Gather", axis=0)
    start = net.constant(f"{path}/Constant_1", np.array([0], np.int64))
    places = net.node("Slice", [table, start, length, axis], f"{path}/Slice")
    return net.node("Add", [rows, places], f"{path}/Add")


def _mask_bias(net: Network, mask: str) -> str:
    """0 where the mask is 1 and a large negative number where it is 0, over heads and queries."""
    axes = net.constant("/mask/axes", np.array([1, 2], np.int64))
    wide = net.node("Unsqueeze", [mask, axes], "/mask/Unsqueeze")
    wide = net.node("Cast", [wide], "/mask/Cast", to=int(TensorProto.FLOAT))
    one = net.constant("/mask/Constant", np.float32(1))
    masked = net.node("Sub", [one, wide], "/mask/Sub")
    low = net.constant("/mask/Constant_1", np.float32(-1e4))
    return net.node("Mul", [masked, low], "/mask/Mul")


def _feed_forward(net: Network, x: str, path: str, module: str) -> str:
    x = linear(net, x, f"{path}/fc1", f"{module}.fc1", (WIDTH, 2 * WIDTH))
    x = gelu(net, x, f"{path}/act")
    return linear(net, x, f"{path}/fc2", f"{module}.fc2", (2 * WIDTH, WIDTH))
