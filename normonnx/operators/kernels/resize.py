"""Resize and Upsample, one matrix per axis that is resized.

    y = Σ_j weight[o, j]·x[j],     x_o = (o + ½)/scale − ½  and its variants

Positions are computed in float32, as the runtimes do: which pixel is nearest is a matter of the
operator, not of rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from normonnx.operators.kernels.call import Array, Call, Inputs, Outputs, optional, present


class _Axes(Struct, frozen=True):
    """How much each axis is resized.

    Attributes:
        out: elements per axis afterwards.
        scale: factor per axis.
        region: start and end of what is sampled on an axis, in parts of it.
    """

    out: tuple[int, ...]
    scale: tuple[float, ...]
    region: Mapping[int, tuple[float, float]] = field(default_factory=dict)


def upsample(call: Call, inputs: Inputs) -> Outputs | None:
    """The older operator: o/scale, rounded down."""
    scales = call.get("scales") if call.since < 9 else present(inputs, 1)
    if scales is None:
        return None
    x = present(inputs, 0)
    return (_by_axis(call, x, _scaled(x, range(x.ndim), scales), "asymmetric"),)


def resize(call: Call, inputs: Inputs) -> Outputs | None:
    """Nearest, linear and cubic, by scales or by sizes; not the antialiased forms."""
    x = present(inputs, 0)
    if call.get("antialias", 0):
        return None
    if call.since < 11:
        return (_by_axis(call, x, _scaled(x, range(x.ndim), present(inputs, 1)), "asymmetric"),)
    given, sizes = optional(inputs, 2), optional(inputs, 3)
    axes = [a % x.ndim for a in call.get("axes") or range(x.ndim)]
    if sizes is not None and sizes.size:
        wanted = _sized(x, axes, sizes, call.get("keep_aspect_ratio_policy", "stretch"))
    elif given is not None and given.size:
        wanted = _scaled(x, axes, given)
    else:
        return None
    way = call.get("coordinate_transformation_mode", "half_pixel")
    if way == "tf_crop_and_resize":
        wanted = replace(wanted, region=_region(axes, present(inputs, 1)))
    return (_by_axis(call, x, wanted, way),)


def _scaled(x: Array, axes: Sequence[int], scales: Iterable[float]) -> _Axes:
    """Some axes by a factor, which is rounded down."""
    out, scale = list(x.shape), [1.0] * x.ndim
    for axis, factor in zip(axes, scales, strict=True):
        scale[axis] = float(factor)
        out[axis] = math.floor(np.float32(factor) * np.float32(x.shape[axis]))
    return _Axes(tuple(out), tuple(scale))


def _sized(x: Array, axes: Sequence[int], sizes: Array, policy: str) -> _Axes:
    """Some axes to a size, or to the largest or smallest of the factors that sizes mean."""
    factors = [int(size) / x.shape[axis] for axis, size in zip(axes, sizes, strict=True)]
    kept = {"not_larger": min, "not_smaller": max}.get(policy)
    out, scale = list(x.shape), [1.0] * x.ndim
    for axis, size, factor in zip(axes, sizes, factors, strict=True):
        scale[axis] = kept(factors) if kept else factor
        out[axis] = math.floor(scale[axis] * x.shape[axis] + 0.5) if kept else int(size)
    return _Axes(tuple(out), tuple(scale))


def _region(axes: Sequence[int], region: Array) -> dict[int, tuple[float, float]]:
    half = region.size // 2
    return {axis: (float(region[i]), float(region[half + i])) for i, axis in enumerate(axes)}


def _by_axis(call: Call, x: Array, wanted: _Axes, way: str) -> Array:
    if wanted.out == x.shape:
        return x
    y = x
    outside = np.zeros(wanted.out, dtype=bool)
    for axis, (size, factor) in enumerate(zip(wanted.out, wanted.scale, strict=True)):
        if size == x.shape[axis] and factor == 1:
            continue
        at = _positions(way, x.shape[axis], size, factor, wanted.region.get(axis, (0.0, 1.0)))
        matrix = _weights(call, at, x.shape[axis])
        y = np.moveaxis(np.moveaxis(y, axis, -1) @ matrix.T.astype(x.dtype), -1, axis)
        if way == "tf_crop_and_resize":
            beyond = (at < 0) | (at > x.shape[axis] - 1)
            outside |= beyond.reshape([-1 if a == axis else 1 for a in range(x.ndim)])
    if outside.any():
        y = np.where(outside, call.get("extrapolation_value", 0.0), y)
    return y


def _positions(way: str, size: int, out: int, scale: float, region: tuple[float, float]) -> Array:
    """Where each output element lies on the input axis."""
    o, f = np.arange(out, dtype=np.float32), np.float32(scale)
    if way == "tf_crop_and_resize":
        return _in_region(o, size, region)
    if way in ("align_corners", "pytorch_half_pixel") and out <= 1:
        return o * 0
    half = np.float32(0.5)
    if way == "asymmetric":
        at = o / f
    elif way == "align_corners":
        at = o * np.float32(size - 1) / np.float32(out - 1)
    elif way == "half_pixel_symmetric":
        length = f * np.float32(size)
        at = np.float32(size) / 2 * (1 - np.float32(out) / length) + (o + half) / f - half
    elif way == "tf_half_pixel_for_nn":
        at = (o + half) / f
    else:
        at = (o + half) / f - half
    return np.asarray(at, dtype=np.float32)


def _in_region(o: Array, size: int, region: tuple[float, float]) -> Array:
    """The positions between start and end of a region, or its middle for one element."""
    start, end = region
    last, out = size - 1, len(o)
    if out > 1:
        at = np.float32(start * last) + o * np.float32((end - start) * last / (out - 1))
    else:
        at = o * 0 + np.float32((start + end) * last / 2)
    return np.asarray(at, dtype=np.float32)


def _weights(call: Call, at: Array, size: int) -> Array:
    """The matrix ``[out, in]`` of one axis; each row sums to 1."""
    mode = call.get("mode", "nearest")
    if mode == "nearest":
        return np.eye(size)[_nearest(call, at, size)]
    cubic = mode == "cubic"
    position = at.astype(np.float64)
    index = np.floor(position).astype(np.int64)[:, None] + np.arange(-2, 4)
    distance = np.abs(position[:, None] - index)
    a = float(call.get("cubic_coeff_a", -0.75))
    weight = _cubic(distance, a) if cubic else np.maximum(0, 1 - distance)
    if call.get("exclude_outside", 0):
        weight = np.where((index >= 0) & (index < size), weight, 0)
    weight = weight / weight.sum(axis=1, keepdims=True)
    matrix = np.zeros((len(at), size))
    rows = np.broadcast_to(np.arange(len(at))[:, None], index.shape)
    np.add.at(matrix, (rows, np.clip(index, 0, size - 1)), weight)
    return matrix


def _cubic(d: Array, a: float) -> Array:
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def _nearest(call: Call, at: Array, size: int) -> Array:
    default = "round_prefer_floor" if call.since >= 11 else "floor"
    way = call.get("nearest_mode", default)
    if way == "floor":
        index = np.floor(at)
    elif way == "ceil":
        index = np.ceil(at)
    elif way == "round_prefer_ceil":
        index = np.floor(at + 0.5)
    else:
        index = np.ceil(at - 0.5)
    return np.clip(index.astype(np.int64), 0, size - 1)
