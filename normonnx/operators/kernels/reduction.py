"""Reductions over axes that are an attribute or, in later operator sets, an input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from normonnx.operators.kernels.call import Array, Call, Inputs, Kernel, Outputs, optional, present


def reduction(function: Callable[..., Any], *, integers: bool = False) -> Kernel:
    """A kernel that reduces by `function(x, axis=…, keepdims=…)`, floats or `integers` too."""
    foreign = "bOSU" if integers else "iubOSU"

    def run(call: Call, inputs: Inputs) -> Outputs | None:
        x, given = present(inputs, 0), optional(inputs, 1)
        if x.dtype.kind in foreign:
            return None
        axes = call.get("axes") if given is None else [int(n) for n in given.reshape(-1)]
        if not axes:
            if call.get("noop_with_empty_axes", 0):
                return None
            axes = range(x.ndim)
        keep = bool(call.get("keepdims", 1))
        return (np.asarray(function(x, axis=tuple(axes), keepdims=keep), dtype=x.dtype),)

    return run


def largest(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    """The largest element; of none, the least number that there is."""
    return np.max(x, axis=axis, keepdims=keepdims, initial=_end(x, least=True))


def smallest(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    """The smallest element; of none, the greatest number that there is."""
    return np.min(x, axis=axis, keepdims=keepdims, initial=_end(x, least=False))


def _end(x: Array, *, least: bool) -> Any:
    if x.dtype.kind not in "iu":
        return -np.inf if least else np.inf
    range_ = np.iinfo(x.dtype)
    return range_.min if least else range_.max


def cumulative_sum(call: Call, inputs: Inputs) -> Outputs:
    """Σ over the elements up to each one, from the other end with reverse, without it exclusive."""
    x, axis = present(inputs, 0), int(present(inputs, 1).reshape(-1)[0])
    turned = np.flip(x, axis) if call.get("reverse", 0) else x
    total = np.cumsum(turned, axis=axis, dtype=x.dtype)
    if call.get("exclusive", 0):
        first = np.zeros_like(np.take(total, [0], axis=axis))
        rest = np.take(total, range(total.shape[axis] - 1), axis=axis)
        total = np.concatenate([first, rest], axis=axis)
    return (np.flip(total, axis) if call.get("reverse", 0) else total,)


def sum_of_squares(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    """Σx²."""
    return np.sum(np.square(x), axis=axis, keepdims=keepdims)


def euclidean(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    """√Σx²."""
    return np.sqrt(sum_of_squares(x, axis=axis, keepdims=keepdims))


def global_average_pool(call: Call, inputs: Inputs) -> Outputs:
    """The mean of each channel of ``x [N, C, *S]``."""
    x = present(inputs, 0)
    return (np.mean(x, axis=tuple(range(2, x.ndim)), keepdims=True),)
