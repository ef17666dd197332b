"""MaxPool and AveragePool: one pass over the input per element of the window; whole channels."""

from __future__ import annotations

import math

import numpy as np

from normonnx.operators.kernels.call import Array, Call, Inputs, Outputs, present
from normonnx.operators.kernels.windows import Windows, windows


def max_pool(call: Call, inputs: Inputs) -> Outputs:
    """The largest element of each window, and where it lies in x; padding never wins."""
    x = present(inputs, 0)
    integers = np.issubdtype(x.dtype, np.integer)
    lowest = np.iinfo(x.dtype).min if integers else -np.inf
    place = windows(call, x.shape[2:], call.get("kernel_shape"))
    padded = place.padded(x, lowest)
    y = np.full((*x.shape[:2], *place.out), lowest, dtype=x.dtype)
    if call.outputs == 1:
        for _, cut in place.taps():
            np.maximum(y, padded[cut], out=y)
        return (y,)
    each: Array = np.arange(math.prod(place.size)).reshape(place.size)
    if call.get("storage_order", 0):  # counted along the first axis first
        each = np.arange(each.size).reshape(place.size[::-1]).T
    numbers = place.padded(each, -1)
    found = np.full(y.shape, -1, dtype=np.int64)
    for _, cut in place.taps():
        larger = (padded[cut] > y) | ((found < 0) & (numbers[cut] >= 0))
        y = np.where(larger, padded[cut], y)
        found = np.where(larger, numbers[cut], found)
    first = np.arange(math.prod(x.shape[:2])).reshape(x.shape[:2]) * each.size
    return y, found + first.reshape(*x.shape[:2], *(1,) * len(place.size))


def global_max_pool(call: Call, inputs: Inputs) -> Outputs:
    """The largest element of each channel; onnx.reference has it for two spatial axes only."""
    x = present(inputs, 0)
    return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)


def global_lp_pool(call: Call, inputs: Inputs) -> Outputs:
    """(Σ|x|ᵖ)^(1/p) of each channel."""
    x, p = present(inputs, 0), float(call.get("p", 2))
    total = (np.abs(x) ** p).sum(axis=tuple(range(2, x.ndim)), keepdims=True)
    return ((total ** (1 / p)).astype(x.dtype, copy=False),)


def average_pool(call: Call, inputs: Inputs) -> Outputs:
    """The mean of each window, over the elements that exist or over the padding as well.

    A window of ceil mode that reaches beyond the declared padding never counts what lies there.
    """
    x = present(inputs, 0)
    place = windows(call, x.shape[2:], call.get("kernel_shape"))
    total = _window_sum(place, place.padded(x, 0))
    counted = np.ones((1, 1, *place.size), dtype=x.dtype)
    if call.get("count_include_pad", 0):
        counted = np.pad(
            counted, ((0, 0), (0, 0), *zip(place.head, place.tail, strict=True)), constant_values=1
        )
        start = Windows(
            place.kernel,
            place.strides,
            place.dilations,
            (0,) * len(place.size),
            (0,) * len(place.size),
            place.out,
            counted.shape[2:],
        )
        counts = _window_sum(start, start.padded(counted, 0))
    else:
        counts = _window_sum(place, place.padded(counted, 0))
    return (total / counts,)


def _window_sum(place: Windows, padded: Array) -> Array:
    y = np.zeros((*padded.shape[:2], *place.out), dtype=padded.dtype)
    for _, cut in place.taps():
        y += padded[cut]
    return y
