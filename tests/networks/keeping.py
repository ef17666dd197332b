"""Blocks that keep shape and type: what a branch, a loop's body or a function can hold."""

from __future__ import annotations

from . import layers, norms
from .draft import Draft, Value


def convolution(draft: Draft, x: Value) -> Value:
    draft.need(3 <= x.rank <= 5)
    group = x.shape[1] if draft.chance(0.2) else 1
    y = layers.conv(draft, x, x.shape[1], draft.one_of([1, 3]), group=group)
    y = layers.norm(draft, y)
    return layers.activation(draft, y) if draft.chance(0.6) else y


def product(draft: Draft, x: Value) -> Value:
    layers.about_features(draft, x)
    y = layers.linear(draft, x, x.shape[-1])
    y = draft.node("Mul", [y, draft.factor(x.shape[-1:], x.dtype)])[0]
    return draft.node("Add", [y, draft.weight(x.shape[-1:], x.dtype)])[0]


def norm_of_data(draft: Draft, x: Value) -> Value:
    kinds = [norms.feature_norm]
    if 3 <= x.rank <= 4:
        kinds += [norms.channel_norm, norms.instance_norm, norms.group_norm]
    return draft.one_of(kinds)(draft, x)[0]


def batch_norm(draft: Draft, x: Value) -> Value:
    draft.need(x.rank >= 2)
    return layers.norm(draft, x)


def residual(draft: Draft, x: Value) -> Value:
    return draft.node("Add", [x, draft.one_of([convolution, product])(draft, x)])[0]


BLOCKS = (convolution, convolution, product, norm_of_data, batch_norm, residual)


def block(draft: Draft, x: Value) -> Value:
    """One of these, or two of them."""
    for _ in range(draft.one_of([1, 1, 2])):
        x = draft.one_of(BLOCKS)(draft, x)
    return x
