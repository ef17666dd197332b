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
