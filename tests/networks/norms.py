"""Norms of data as exporters spell them: over channels, places, groups, by many operators."""

from __future__ import annotations

import numpy as np

from . import layers, sizes
from .draft import Draft, Value


def _mean(draft: Draft, x: Value, axes: list[int]) -> Value:
    if draft.opset >= 11 and draft.chance(0.5):
        axes = [axis - x.rank for axis in axes]
    return draft.with_axes("ReduceMean", x, axes, since=18, keepdims=1)[0]


def _square(draft: Draft, x: Value) -> Value:
    if draft.chance(0.5):
        return draft.node("Mul", [x, x])[0]
    return draft.node("Pow", [x, draft.constant(2.0, x.dtype)])[0]


def _scaled(draft: Draft, y: Value, shape: tuple[int, ...], *, shifted: bool = True) -> Value:
    y = draft.node("Mul", [y, draft.factor(shape, y.dtype)])[0]
    if not shifted:
        return y
    return draft.node("Add", [y, draft.weight(shape, y.dtype)])[0]


def normalised(draft: Draft, x: Value, axes: list[int], *, centred: bool) -> Value:
    """(x − mean)/√(variance + ε) over these axes, or x/√(mean square + ε)."""
    base, square = x, None
    if centred:
        mean = _mean(draft, x, axes)
        base = draft.node("Sub", [x, mean])[0]
        if draft.chance(0.15) and x.dtype == 1:
            square = draft.node("Sub", [_mean(draft, _square(draft, x), axes),
                                        draft.node("Mul", [mean, mean])[0]])[0]  # fmt: skip
    variance = square or _mean(draft, _square(draft, base), axes)
    epsilon = draft.constant(draft.one_of([1e-5, 1e-3, 1e-2]), x.dtype)
    inner = draft.node("Add", [variance, epsilon])[0]
    if draft.chance(0.5):
        return draft.node("Div", [base, draft.node("Sqrt", [inner])[0]])[0]
    if draft.chance(0.5):
        root = draft.node("Reciprocal", [draft.node("Sqrt", [inner])[0]])[0]
    else:
        root = draft.node("Pow", [inner, draft.constant(-0.5, x.dtype)])[0]
    return draft.node("Mul", [base, root])[0]


def layer_norm(draft: Draft, x: Value) -> list[Value]:
    """Over the last axis; the operator from opset 17 on, now and then."""
    draft.need(x.rank >= 2 and x.shape[-1] > 1)
    shape = (x.shape[-1],)
    if draft.opset >= 17 and draft.chance(0.25):
        scale, bias = draft.factor(shape, x.dtype), draft.weight(shape, x.dtype)
        return draft.node("LayerNormalization", [x, scale, bias], epsilon=1e-4)
    return [_scaled(draft, normalised(draft, x, [x.rank - 1], centred=True), shape)]


def rms_norm(draft: Draft, x: Value) -> list[Value]:
    draft.need(x.rank >= 2 and x.shape[-1] > 1)
    shape = (x.shape[-1],)
    if draft.opset >= 23 and draft.chance(0.3):
        return draft.node("RMSNormalization", [x, draft.factor(shape, x.dtype)], epsilon=1e-4)
    y = normalised(draft, x, [x.rank - 1], centred=False)
    return [_scaled(draft, y, shape, shifted=draft.chance(0.2))]


def channel_norm(draft: Draft, x: Value) -> list[Value]:
    """LayerNorm over the channels of images, there or between two Transposes."""
    layers.about_channels(draft, x)
    draft.need(x.rank <= 4)
    if draft.chance(0.5):
        y = normalised(draft, x, [1], centred=True)
        return [_scaled(draft, y, (x.shape[1], *(1,) * (x.rank - 2)))]
    there = draft.node("Transpose", [x], perm=[0, *range(2, x.rank), 1])[0]
    y = layer_norm(draft, there)[0]
    return draft.node("Transpose", [y], perm=[0, x.rank - 1, *range(1, x.rank - 1)])


def instance_norm(draft: Draft, x: Value) -> list[Value]:
    layers.about_channels(draft, x)
    if draft.chance(0.4):
        parameters = [draft.factor(x.shape[1:2], x.dtype), draft.weight(x.shape[1:2], x.dtype)]
        return draft.node("InstanceNormalization", [x, *parameters], epsilon=1e-3)
    y = normalised(draft, x, list(range(2, x.rank)), centred=True)
    return [_scaled(draft, y, (x.shape[1], *(1,) * (x.rank - 2)))]


def group_norm(draft: Draft, x: Value) -> list[Value]:
    """Reshape to groups, a norm of each, and the way back by the shape or by numbers."""
    layers.about_channels(draft, x)
    draft.need(x.rank <= 4 and x.shape[1] % 2 == 0)
    channels, groups = x.shape[1], 2
    if draft.opset in (21, 22, 23) and draft.chance(0.2):
        parameters = [draft.factor((channels,), x.dtype), draft.weight((channels,), x.dtype)]
        return draft.node("GroupNormalization", [x, *parameters], num_groups=groups)
    places = int(np.prod(x.shape[2:]))
    if draft.chance(0.5):
        flat = (x.shape[0], groups, channels // groups * places)
        grouped = draft.stated("Reshape", [x, draft.integers([0, groups, -1])], flat)
        if draft.chance(0.6):
            plain = [draft.constant(np.full(groups, n), x.dtype) for n in (1.0, 0.0)]
            y = draft.node("InstanceNormalization", [grouped, *plain], epsilon=1e-3)[0]
        else:
            y = normalised(draft, grouped, [2], centred=True)
    else:
        first = sizes.size(draft, x, 0)
        shape = (x.shape[0], groups, channels // groups, places)
        grouped = sizes.reshaped(draft, x, [first, groups, channels // groups, -1], shape)
        y = normalised(draft, grouped, [2, 3], centred=True)
    whole = draft.known("Shape", [x], np.array(x.shape, np.int64))
    y = draft.stated("Reshape", [y, whole], x.shape)
    return [_scaled(draft, y, (channels, *(1,) * (x.rank - 2)))]


def l2_norm(draft: Draft, x: Value) -> list[Value]:
    """x by its length along one axis."""
    draft.need(x.rank >= 2)
    axis = draft.one_of([1, x.rank - 1])
    if draft.chance(0.4):
        return draft.node("LpNormalization", [x], axis=axis, p=2)
    length = draft.with_axes("ReduceL2", x, [axis], since=18, keepdims=1)[0]
    if draft.chance(0.5):
        floor = draft.constant(1e-3, x.dtype)
        length = draft.node("Max", [length, floor])[0]
    return draft.node("Div", [x, length])


def feature_norm(draft: Draft, x: Value) -> list[Value]:
    layers.about_features(draft, x)
    return layer_norm(draft, x) if draft.chance(0.6) else rms_norm(draft, x)


def norm_and_layer(draft: Draft, x: Value) -> list[Value]:
    """A norm of data beside a convolution and a BatchNormalization."""
    way = draft.one_of([channel_norm, instance_norm, group_norm])
    if draft.chance(0.5):
        x = layers.norm(draft, layers.conv(draft, x, 4, 3))
        return [layers.activation(draft, way(draft, x)[0])]
    return [layers.norm(draft, layers.conv(draft, way(draft, x)[0], 4, 3))]


OPERATORS = {
    feature_norm: 3.5, channel_norm: 1.5, instance_norm: 1, group_norm: 2.5,
    l2_norm: 0.7, norm_and_layer: 3,
}  # fmt: skip
