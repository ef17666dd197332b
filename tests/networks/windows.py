"""Convolutions of every rank with strides, dilations, groups and padding of every kind."""

from __future__ import annotations

import numpy as np

from . import layers
from .draft import Draft, Value


def separable(draft: Draft, x: Value) -> list[Value]:
    """Depthwise, then pointwise, each with its norm; now and then more channels per group."""
    layers.about_channels(draft, x)
    channels = x.shape[1]
    y = layers.layer(draft, x, channels * draft.one_of([1, 1, 2]), 3, group=channels,
                     stride=draft.one_of([1, 1, 2]))  # fmt: skip
    return [layers.norm(draft, layers.conv(draft, y, draft.between(2, 5), 1))]


def grouped(draft: Draft, x: Value) -> list[Value]:
    """Grouped convolutions with channels shuffled between them."""
    draft.need(3 <= x.rank <= 4 and x.shape[1] % 2 == 0)
    y = layers.norm(draft, layers.conv(draft, x, 4, 3, group=2))
    places = [0] * (x.rank - 2)
    if draft.chance(0.5) and x.rank == 4:
        if draft.chance(0.2):
            wide = draft.node("Reshape", [y, draft.integers([0, 2, 2, *y.shape[2:]])])[0]
        else:
            wide = draft.stated("Reshape", [y, draft.integers([0, 2, 2, -1])],
                                (y.shape[0], 2, 2, int(np.prod(y.shape[2:]))))  # fmt: skip
        order = [0, 2, 1, *range(3, wide.rank)]
        swapped = draft.node("Transpose", [wide], perm=order)[0]
        shape = draft.known("Shape", [y], np.array(y.shape, np.int64))
        y = draft.stated("Reshape", [swapped, shape], y.shape)
    else:
        draft.need(len(places) > 0)
        y = draft.node("Gather", [y, draft.integers([2, 0, 3, 1])], axis=1)[0]
    return [layers.norm(draft, layers.conv(draft, y, 4, 3, group=draft.one_of([2, 4])))]


def dilated(draft: Draft, x: Value) -> list[Value]:
    """The branches of an atrous pyramid."""
    draft.need(3 <= x.rank <= 4)
    parts = [layers.layer(draft, x, 2, 3, dilation=d) for d in (1, 2, 3)[: draft.between(2, 3)]]
    whole = draft.node("Concat", parts, axis=1)[0]  # type: ignore[arg-type]
    return [layers.norm(draft, layers.conv(draft, whole, 3, 1))]


def unequal(draft: Draft, x: Value) -> list[Value]:
    """Other kernels, strides and pads along each axis, and more at one end than at the other."""
    layers.about_channels(draft, x)
    draft.need(min(x.shape[2:]) >= 3)
    count, out = x.rank - 2, draft.between(2, 4)
    kernel = [draft.between(1, 3) for _ in range(count)]
    w = draft.weight((out, x.shape[1], *kernel), x.dtype, gain=0.4)
    pads = [draft.between(0, 2) for _ in range(2 * count)]
    strides = [draft.between(1, 2) for _ in range(count)]
    x = layers.norm(draft, x) if draft.chance(0.4) else x
    if draft.chance(0.2):
        front = [0, 0, *pads[:count], 0, 0, *pads[count:]]
        if draft.opset < 11:
            x = draft.node("Pad", [x], pads=front)[0]
        else:
            x = draft.node("Pad", [x, draft.integers(front)])[0]
        pads = [0] * (2 * count)
    y = draft.node("Conv", [x, w], pads=pads, strides=strides)[0]
    return [layers.activation(draft, layers.norm(draft, y))]


def causal(draft: Draft, x: Value) -> list[Value]:
    """A temporal convolution: all padding in front, gated."""
    layers.about_channels(draft, x)
    draft.need(x.rank == 3)
    dilation, channels = draft.between(1, 2), x.shape[1]
    w = draft.weight((2 * channels, channels, 3), x.dtype, gain=0.3)
    y = draft.node("Conv", [x, w], pads=[2 * dilation, 0], dilations=[dilation])[0]
    y = layers.norm(draft, y)
    if draft.opset >= 13:
        halves: list[Value | str] = [y, draft.integers([channels, channels])]
        a, b = draft.node("Split", halves, outputs=2, axis=1)
    else:
        a, b = draft.node("Split", [y], outputs=2, axis=1, split=[channels, channels])
    gated = draft.node("Mul", [draft.node("Tanh", [a])[0], draft.node("Sigmoid", [b])[0]])[0]
    return draft.node("Add", [gated, x])


def shared_head(draft: Draft, x: Value) -> list[Value]:
    """One weight at two levels; each level has its own norm, or both have the same."""
    layers.about_channels(draft, x)
    draft.need(x.rank <= 4 and min(x.shape[2:]) >= 4)
    w = draft.weight((3, x.shape[1], *(3,) * (x.rank - 2)), x.dtype, gain=0.3)
    count = x.rank - 2
    small = draft.node("MaxPool", [x], kernel_shape=[2] * count, strides=[2] * count)[0]
    made = [draft.node("Conv", [level, w], pads=[1] * 2 * count)[0] for level in (x, small)]
    if draft.chance(0.5):
        return [layers.norm(draft, level) for level in made]
    scale, shift = draft.factor((3,), x.dtype), draft.weight((3,), x.dtype)
    variance = draft.constant(draft.rng.uniform(0.3, 2, 3), x.dtype)
    parameters = [scale, shift, shift, variance]
    return [draft.node("BatchNormalization", [level, *parameters])[0] for level in made]


OPERATORS = {separable: 3, grouped: 2, dilated: 1, unequal: 3, causal: 2, shared_head: 1.5}
