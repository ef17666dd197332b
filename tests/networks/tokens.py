"""Blocks of transformers: attention, feed-forward layers, residuals with norms."""

from __future__ import annotations

import numpy as np

from . import layers, norms, sizes
from .draft import Draft, Value


def _norm(draft: Draft, x: Value) -> Value:
    return draft.one_of([norms.layer_norm, norms.layer_norm, norms.rms_norm])(draft, x)[0]


def feed_forward(draft: Draft, x: Value) -> list[Value]:
    """A residual with the norm in front or behind."""
    draft.need(x.rank in (2, 3))
    before = draft.chance(0.6)
    y = _norm(draft, x) if before else x
    y = layers.activation(draft, layers.linear(draft, y, 2 * x.shape[-1]), ("Gelu", "Relu", "SiLU"))
    y = layers.linear(draft, y, x.shape[-1])
    if draft.chance(0.3):
        # LayerScale of ConvNeXt and CaiT.
        y = draft.node("Mul", [y, draft.factor(x.shape[-1:], x.dtype)])[0]
    total = draft.node("Add", [y, x] if draft.chance(0.5) else [x, y])[0]
    return [total if before else _norm(draft, total)]


def _heads(draft: Draft, x: Value, count: int) -> Value:
    """(n, l, c) to (n, heads, l, c/heads)."""
    n, length, width = x.shape
    if draft.chance(0.5):
        target: list[int | str] = [0, 0, count, width // count]
    else:
        target = [sizes.size(draft, x, 0), sizes.size(draft, x, 1), count, width // count]
    split = sizes.reshaped(draft, x, target, (n, length, count, width // count))
    return draft.node("Transpose", [split], perm=[0, 2, 1, 3])[0]


def attention(draft: Draft, x: Value) -> list[Value]:
    """Softmax attention over two heads, scaled before or behind the product."""
    draft.need(x.rank == 3 and x.shape[-1] % 2 == 0)
    width = x.shape[-1]
    inner = _norm(draft, x)
    q, k, v = (layers.linear(draft, inner, width, bias=draft.chance(0.7)) for _ in range(3))
    scale = draft.constant(1 / np.sqrt(width / 2), x.dtype)
    early = draft.chance(0.5)
    if early:
        q = draft.node("Mul", [q, scale])[0]
    q, k, v = (_heads(draft, value, 2) for value in (q, k, v))
    if draft.chance(0.3):
        q, k = norms.l2_norm(draft, q)[0], _norm(draft, k)
    scores = draft.node("MatMul", [q, draft.node("Transpose", [k], perm=[0, 1, 3, 2])[0]])[0]
    if not early:
        scores = draft.node("Mul", [scores, scale])[0]
    weights = draft.node("Softmax", [scores], axis=3)[0]
    mixed = draft.node("Transpose", [draft.node("MatMul", [weights, v])[0]], perm=[0, 2, 1, 3])[0]
    flat = draft.stated("Reshape", [mixed, draft.integers([0, 0, -1])], x.shape)
    return draft.node("Add", [x, layers.linear(draft, flat, width)])


def patches(draft: Draft, x: Value) -> list[Value]:
    """An image to tokens: a strided convolution, flattened and transposed, normalised."""
    draft.need(x.rank == 4 and all(n % 2 == 0 for n in x.shape[2:]))
    w = draft.weight((6, x.shape[1], 2, 2), x.dtype, gain=0.3)
    y = draft.node("Conv", [x, w], strides=[2, 2])[0]
    y = layers.norm(draft, y) if draft.chance(0.4) else y
    n, channels, places = y.shape[0], y.shape[1], int(np.prod(y.shape[2:]))
    flat = draft.stated("Reshape", [y, draft.integers([0, channels, -1])], (n, channels, places))
    return [_norm(draft, draft.node("Transpose", [flat], perm=[0, 2, 1])[0])]


def convnext(draft: Draft, x: Value) -> list[Value]:
    """Depthwise convolution, norm and layers over the channels behind a Transpose, residual."""
    draft.need(x.rank == 4 and min(x.shape[2:]) >= 3)
    channels = x.shape[1]
    y = layers.conv(draft, x, channels, draft.one_of([3, 5]), group=channels)
    y = draft.node("Transpose", [y], perm=[0, 2, 3, 1])[0]
    y = layers.linear(draft, _norm(draft, y), 2 * channels)
    y = layers.linear(draft, layers.activation(draft, y, ("Gelu",)), channels)
    y = draft.node("Mul", [y, draft.factor((channels,), x.dtype)])[0]
    y = draft.node("Transpose", [y], perm=[0, 3, 1, 2])[0]
    return draft.node("Add", [x, y])


def token_norm(draft: Draft, x: Value) -> list[Value]:
    """BatchNormalization of tokens: between Transposes, or on all tokens as rows."""
    draft.need(x.rank == 3)
    y = layers.linear(draft, x, x.shape[-1])
    if draft.chance(0.5):
        y = draft.node("Transpose", [y], perm=[0, 2, 1])[0]
        return draft.node("Transpose", [layers.norm(draft, y)], perm=[0, 2, 1])
    rows = (y.shape[0] * y.shape[1], y.shape[2])
    flat = draft.stated("Reshape", [y, draft.integers([-1, y.shape[2]])], rows)
    flat = layers.norm(draft, flat)
    whole = draft.known("Shape", [y], np.array(y.shape, np.int64))
    return [draft.stated("Reshape", [flat, whole], y.shape)]


OPERATORS = {feed_forward: 3, attention: 1.5, patches: 2, convnext: 2, token_norm: 2}
