"""Operators of the domain com.microsoft, as ONNX Runtime's own tools write them."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from . import layers, norms
from .draft import Draft, Value

DOMAIN = "com.microsoft"


def _op(draft: Draft, op_type: str, inputs: list[Value | str], shape: tuple[int, ...],
        **attributes: object) -> Value:  # fmt: skip
    draft.need(isinstance(inputs[0], Value) and inputs[0].dtype == TensorProto.FLOAT)
    return draft.stated(op_type, inputs, shape, domain=DOMAIN, **attributes)


def activation(draft: Draft, x: Value) -> list[Value]:
    """An activation of its own between a layer and what could fold into it."""
    layers.about_features(draft, x)
    op_type = draft.one_of(["Gelu", "FastGelu", "QuickGelu", "BiasGelu"])
    x = layers.linear(draft, x, x.shape[-1], bias=op_type != "BiasGelu")
    inputs: list[Value | str] = [x]
    if op_type == "BiasGelu" or (op_type == "FastGelu" and draft.chance(0.5)):
        inputs.append(draft.weight(x.shape[-1:], x.dtype))
    y = _op(draft, op_type, inputs, x.shape)
    y = draft.node("Mul", [y, draft.factor(x.shape[-1:], x.dtype)])[0]
    return [layers.linear(draft, y, 3) if draft.chance(0.5) else norms.layer_norm(draft, y)[0]]


def fused_conv(draft: Draft, x: Value) -> list[Value]:
    """A convolution with its activation, between norms."""
    draft.need(x.rank == 4)
    x = layers.norm(draft, x) if draft.chance(0.5) else x
    w = draft.weight((4, x.shape[1], 3, 3), x.dtype, gain=0.3)
    inputs: list[Value | str] = [x, w, draft.weight((4,), x.dtype)]
    kind = draft.one_of(["Relu", "Sigmoid", "Tanh"])
    y = _op(draft, "FusedConv", inputs, (x.shape[0], 4, *x.shape[2:]),
            activation=kind, kernel_shape=[3, 3], pads=[1] * 4)  # fmt: skip
    return [layers.norm(draft, y) if draft.chance(0.6) else layers.conv(draft, y, 3, 1)]


def fused_product(draft: Draft, x: Value) -> list[Value]:
    """FusedMatMul or FusedGemm, and arithmetic behind it."""
    layers.about_features(draft, x)
    inner, out = x.shape[-1], draft.between(2, 5)
    flip = draft.chance(0.5)
    w = draft.weight((out, inner) if flip else (inner, out), x.dtype, gain=0.4)
    shape = (*x.shape[:-1], out)
    if x.rank == 2 and draft.chance(0.5):
        inputs: list[Value | str] = [x, w, draft.weight((out,), x.dtype)]
        y = _op(draft, "FusedGemm", inputs, shape, activation="Relu", transB=int(flip), alpha=0.7)
    else:
        y = _op(draft, "FusedMatMul", [x, w], shape, transB=int(flip), alpha=0.7)
    y = draft.node("Mul", [y, draft.factor((out,), x.dtype)])[0]
    return draft.node("Add", [y, draft.weight((out,), x.dtype)])


def skip_norm(draft: Draft, x: Value) -> list[Value]:
    """The norm of a sum, as the runtime has it, between layers."""
    draft.need(x.rank == 3)
    skip = layers.linear(draft, x, x.shape[-1])
    shape = x.shape[-1:]
    inputs: list[Value | str] = [x, skip, draft.factor(shape, x.dtype)]
    if draft.chance(0.5):
        inputs.append(draft.weight(shape, x.dtype))
        y = _op(draft, "SkipLayerNormalization", inputs, x.shape, epsilon=1e-5)
    else:
        y = _op(draft, "SkipSimplifiedLayerNormalization", inputs, x.shape, epsilon=1e-5)
    return [layers.linear(draft, y, x.shape[-1])]


def four_bits(draft: Draft, x: Value) -> list[Value]:
    """A product with a weight of four bits, and a norm or a factor behind it."""
    draft.need(x.rank in (2, 3))
    inner, out = x.shape[-1], draft.between(3, 6)
    block, blocks = 16, -(-x.shape[-1] // 16)
    packed = draft.stored(draft.rng.integers(0, 256, (out, blocks, block // 2)).astype(np.uint8))
    scales = draft.constant(draft.rng.uniform(0.02, 0.1, out * blocks), x.dtype)
    y = _op(draft, "MatMulNBits", [x, packed, scales], (*x.shape[:-1], out),
            K=inner, N=out, bits=4, block_size=block)  # fmt: skip
    if draft.chance(0.5):
        return norms.rms_norm(draft, y)
    y = draft.node("Mul", [y, draft.factor((out,), x.dtype)])[0]
    return [layers.linear(draft, y, 4)]


OPERATORS = {activation: 3, fused_conv: 2, fused_product: 2, skip_norm: 1.5, four_bits: 1}
