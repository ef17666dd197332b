"""Multi-head self-attention over a tensor of (batch, seq, width), with symbolic batch and seq."""

from __future__ import annotations

from math import sqrt

import numpy as np

from models.layers import linear
from models.network import Network


def self_attention(
    net: Network, x: str, path: str, module: str, width: int, heads: int, *, bias: str = ""
) -> str:
    """softmax(q·kᵀ / √d + bias)·v for every head, then the output projection.

    Args:
        net: the network to write into.
        x: (batch, seq, width).
        path: prefix of the node names.
        module: prefix of the weight names.
        width: size of the last axis.
        heads: number of heads, a divisor of width.
        bias: name of a tensor added to the scores, broadcast to (batch, heads, seq, seq), or "".
    """
    depth = width // heads
    shape = net.constant(f"{path}/heads", np.array([0, 0, heads, depth], np.int64))
    query, key, value = (
        net.node(
            "Reshape",
            [linear(net, x, f"{path}/{part}", f"{module}.{part}", (width, width)), shape],
            f"{path}/{part}/Reshape",
        )
        for part in ("query", "key", "value")
    )
    query = net.node("Transpose", [query], f"{path}/query/Transpose", perm=[0, 2, 1, 3])
    key = net.node("Transpose", [key], f"{path}/key/Transpose", perm=[0, 2, 3, 1])
    value = net.node("Transpose", [value], f"{path}/value/Transpose", perm=[0, 2, 1, 3])
    scores = net.node("MatMul", [query, key], f"{path}/MatMul")
    root = net.constant(f"{path}/Constant", np.float32(sqrt(depth)))
    scores = net.node("Div", [scores, root], f"{path}/Div")
    if bias:
        scores = net.node("Add", [scores, bias], f"{path}/Add")
    weights = net.node("Softmax", [scores], f"{path}/Softmax", axis=-1)
    mixed = net.node("MatMul", [weights, value], f"{path}/MatMul_1")
    mixed = net.node("Transpose", [mixed], f"{path}/Transpose", perm=[0, 2, 1, 3])
    flat = net.constant(f"{path}/flat", np.array([0, 0, width], np.int64))
    mixed = net.node("Reshape", [mixed, flat], f"{path}/Reshape")
    return linear(net, mixed, f"{path}/output", f"{module}.output", (width, width))


def gelu(net: Network, x: str, path: str) -> str:
    """x·(1 + erf(x/√2))/2, the way it is exported before opset 20."""
    root = net.constant(f"{path}/Constant", np.float32(sqrt(2)))
    erf = net.node("Erf", [net.node("Div", [x, root], f"{path}/Div")], f"{path}/Erf")
    one = net.constant(f"{path}/Constant_1", np.float32(1))
    gate = net.node("Add", [erf, one], f"{path}/Add")
    half = net.constant(f"{path}/Constant_2", np.float32(0.5))
    return net.node("Mul", [net.node("Mul", [x, gate], f"{path}/Mul"), half], f"{path}/Mul_1")
