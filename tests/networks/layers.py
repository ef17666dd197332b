"""The layers that blocks are made of: convolution, norm, activation, at the sizes they need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import arithmetic
from .draft import Draft, Value


def conv(
    draft: Draft,
    x: Value,
    out: int,
    kernel: int = 3,
    *,
    stride: int = 1,
    group: int = 1,
    dilation: int = 1,
    bias: bool | None = None,
) -> Value:
    """A convolution that keeps the places but for its stride, padded in one of several ways."""
    about_channels(draft, x)
    count = x.rank - 2
    shape = (out, x.shape[1] // group, *(kernel,) * count)
    w = draft.weight(shape, x.dtype, gain=1 / np.sqrt(np.prod(shape[1:])))
    has_bias = draft.chance(0.4) if bias is None else bias
    inputs: list[Value | str] = [x, w, *([draft.weight((out,), x.dtype)] if has_bias else [])]
    place: dict[str, object] = {"strides": [stride] * count if stride > 1 else None}
    if draft.chance(0.15):
        place["auto_pad"] = draft.one_of(["SAME_UPPER", "SAME_LOWER"])
        draft.need(dilation == 1)
    else:
        side = dilation * (kernel - 1) // 2
        place["pads"] = [side] * (2 * count) if side else None
        place["dilations"] = [dilation] * count if dilation > 1 else None
    stated = [kernel] * count if draft.chance(0.6) else None
    return draft.node("Conv", inputs, group=group if group > 1 else None,
                      kernel_shape=stated, **place)[0]  # fmt: skip


def norm(draft: Draft, x: Value) -> Value:
    """A BatchNormalization, now and then as the Mul and Add that it is."""
    if x.rank > 2 and draft.chance(0.12):
        shape = (x.shape[1], *(1,) * (x.rank - 2))
        scaled = draft.node("Mul", [x, draft.factor(shape, x.dtype)])[0]
        shift = draft.constant(draft.rng.standard_normal(shape), x.dtype)
        return draft.node("Add", [scaled, shift])[0]
    return arithmetic.batch_normalization(draft, x)[0]


ACTIVATIONS = ("Relu", "Relu", "SiLU", "SiLU", "LeakyRelu", "HardSwish", "Clip", "Mish", "Gelu")


def activation(draft: Draft, x: Value, kinds: Sequence[str] = ACTIVATIONS) -> Value:
    """An activation, spelled where the operator set has no operator for it."""
    kind = draft.one_of(kinds)
    if kind == "SiLU":
        return draft.node("Mul", [x, draft.node("Sigmoid", [x])[0]])[0]
    if kind == "Mish":
        return draft.node("Mul", [x, draft.node("Tanh", [draft.node("Softplus", [x])[0]])[0]])[0]
    if kind == "HardSwish":
        gate = draft.node("HardSigmoid", [x], alpha=1 / 6, beta=0.5)[0]
        return draft.node("Mul", [x, gate])[0]
    if kind == "Clip":
        if draft.opset < 11:
            return draft.node("Clip", [x], min=0.0, max=6.0)[0]
        ends = [draft.constant(0.0, x.dtype), draft.constant(6.0, x.dtype)]
        return draft.node("Clip", [x, *ends])[0]
    if kind == "Gelu":
        return gelu(draft, x)
    return draft.node(kind, [x])[0]


def gelu(draft: Draft, x: Value) -> Value:
    """x/2·(1 + erf(x/√2)), or the operator."""
    if draft.opset >= 20 and draft.chance(0.5):
        return draft.node("Gelu", [x])[0]
    inner = draft.node("Div", [x, draft.constant(np.sqrt(2.0), x.dtype)])[0]
    one = draft.constant(1.0, x.dtype)
    doubled = draft.node("Add", [draft.node("Erf", [inner])[0], one])[0]
    product = draft.node("Mul", [x, doubled])[0]
    return draft.node("Mul", [product, draft.constant(0.5, x.dtype)])[0]


def layer(
    draft: Draft,
    x: Value,
    out: int,
    kernel: int = 3,
    *,
    stride: int = 1,
    group: int = 1,
    dilation: int = 1,
    kinds: Sequence[str] = ACTIVATIONS,
) -> Value:
    """Conv, norm, activation."""
    y = conv(draft, x, out, kernel, stride=stride, group=group, dilation=dilation)
    return activation(draft, norm(draft, y), kinds)


def about_features(draft: Draft, x: Value) -> None:
    """Give up where the last axis seldom is one of features, but for some of the time."""
    usual = x.rank == 2 or (x.rank == 3 and draft.features_last)
    draft.need(usual or (x.rank > 2 and draft.chance(0.15)))


def about_channels(draft: Draft, x: Value) -> None:
    """Give up where axis 1 is seldom one of channels, but for some of the time."""
    draft.need(3 <= x.rank <= 5)
    draft.need(x.rank > 3 or not draft.features_last or draft.chance(0.15))


def linear(draft: Draft, x: Value, out: int, *, bias: bool = True) -> Value:
    """x·W + b over the last axis, by MatMul and Add or by Gemm."""
    inner = x.shape[-1]
    gain = 1 / np.sqrt(inner)
    if x.rank == 2 and draft.chance(0.6):
        flip = draft.chance(0.6)
        w = draft.weight((out, inner) if flip else (inner, out), x.dtype, gain=gain)
        c = [draft.weight((out,), x.dtype)] if bias or draft.opset < 11 else []
        return draft.node("Gemm", [x, w, *c], transB=int(flip))[0]
    y = draft.node("MatMul", [x, draft.weight((inner, out), x.dtype, gain=gain)])[0]
    if not bias:
        return y
    pair: list[Value | str] = [y, draft.weight((out,), x.dtype)]
    return draft.node("Add", pair[::-1] if draft.chance(0.4) else pair)[0]
