"""Weights that the network computes each time it runs, of constants or of its data."""

from __future__ import annotations

import numpy as np

from . import layers
from .draft import Draft, Value


def _length(draft: Draft, w: str, axes: list[int], dtype: int) -> Value:
    """The L2 length over these axes."""
    if draft.chance(0.5):
        if draft.opset >= 18:
            return draft.node("ReduceL2", [w, draft.integers(axes)], keepdims=1)[0]
        return draft.node("ReduceL2", [w], axes=axes, keepdims=1)[0]
    square = draft.node("Mul", [w, w])[0]
    total = draft.with_axes("ReduceSum", square, axes, keepdims=1)[0]
    tiny = draft.constant(1e-6, dtype)
    return draft.node("Sqrt", [draft.node("Add", [total, tiny])[0]])[0]


def weight_norm(draft: Draft, x: Value) -> list[Value]:
    """W = g·v/|v|, then the convolution and its norm."""
    layers.about_channels(draft, x)
    shape = (3, x.shape[1], *(3,) * (x.rank - 2))
    v = draft.weight(shape, x.dtype)
    length = _length(draft, v, list(range(1, x.rank)), x.dtype)
    g = draft.factor((3, *(1,) * (x.rank - 1)), x.dtype)
    if draft.chance(0.5):
        w = draft.node("Mul", [draft.node("Div", [v, length])[0], g])[0]
    else:
        w = draft.node("Mul", [v, draft.node("Div", [g, length])[0]])[0]
    y = draft.node("Conv", [x, w], pads=[1] * (2 * (x.rank - 2)))[0]
    return [layers.norm(draft, y)]


def weight_standardised(draft: Draft, x: Value) -> list[Value]:
    """W less its mean by its deviation, per output channel; spelled, or a norm in training form."""
    layers.about_channels(draft, x)
    draft.need(x.rank <= 4)
    shape = (4, x.shape[1], *(3,) * (x.rank - 2))
    v, axes = draft.weight(shape, x.dtype), list(range(1, x.rank))
    if draft.opset >= 18:
        over: list[Value | str] = [draft.integers(axes)]
        mean = draft.node("ReduceMean", [v, *over], keepdims=1)[0]
    else:
        mean = draft.node("ReduceMean", [v], axes=axes, keepdims=1)[0]
    centred = draft.node("Sub", [v, mean])[0]
    square = draft.node("Mul", [centred, centred])[0]
    variance = draft.with_axes("ReduceMean", square, axes, since=18, keepdims=1)[0]
    tiny = draft.constant(1e-4, x.dtype)
    root = draft.node("Sqrt", [draft.node("Add", [variance, tiny])[0]])[0]
    w = draft.node("Div", [centred, root])[0]
    gain = draft.constant(0.3, x.dtype)
    w = draft.node("Mul", [w, gain])[0]
    y = draft.node("Conv", [x, w], pads=[1] * (2 * (x.rank - 2)))[0]
    return [layers.norm(draft, y)]


def spectral_norm(draft: Draft, x: Value) -> list[Value]:
    """W/(uᵀ·W·v) of a layer over the last axis."""
    layers.about_features(draft, x)
    inner, out = x.shape[-1], draft.between(2, 5)
    w = draft.weight((inner, out), x.dtype)
    left = draft.constant(draft.rng.uniform(0.5, 1.0, (1, inner)), x.dtype)
    right = draft.constant(draft.rng.uniform(0.5, 1.0, (out, 1)), x.dtype)
    sigma = draft.node("MatMul", [draft.node("MatMul", [left, w])[0], right])[0]
    some = draft.node("Add", [draft.node("Abs", [sigma])[0], draft.constant(1.0, x.dtype)])[0]
    w2 = draft.node("Div", [w, some])[0]
    y = draft.node("MatMul", [x, w2])[0]
    y = draft.node("Mul", [y, draft.factor((out,), x.dtype)])[0]
    return draft.node("Add", [y, draft.weight((out,), x.dtype)])


def gated_weight(draft: Draft, x: Value) -> list[Value]:
    """A weight times a gate that depends on the data: no constant, whatever is near it."""
    layers.about_features(draft, x)
    inner, out = x.shape[-1], draft.between(2, 4)
    mean = draft.with_axes("ReduceMean", x, list(range(x.rank)), since=18, keepdims=0)[0]
    gate = draft.node("Sigmoid", [mean])[0]
    w = draft.weight((inner, out), x.dtype, gain=1 / np.sqrt(inner))
    y = draft.node("MatMul", [x, draft.node("Mul", [w, gate])[0]])[0]
    y = draft.node("Mul", [y, draft.factor((out,), x.dtype)])[0]
    return [layers.norm(draft, y) if x.rank == 2 else layers.linear(draft, y, 3)]


OPERATORS = {weight_norm: 3, weight_standardised: 2, spectral_norm: 1.5, gated_weight: 1}
