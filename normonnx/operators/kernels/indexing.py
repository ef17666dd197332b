"""Gather and scatter by index tensors, vectorised, for every shape that the standard allows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from normonnx.operators.kernels.call import Array, Call, Inputs, Outputs, present

# The `at` methods also count an index that comes twice.
_REDUCTIONS = {"add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum}


def _along(indices: Array, axis: int) -> Any:
    """The index that meets, for each element of ``indices``, its place with ``axis`` replaced."""
    grid: list[Array] = list(np.ogrid[tuple(slice(0, n) for n in indices.shape)])
    grid[axis] = indices
    return tuple(grid)


def gather_elements(call: Call, inputs: Inputs) -> Outputs:
    """y[i, j] = x[index[i, j], j] for axis 0; the index may be smaller than the data."""
    data, indices = present(inputs, 0), present(inputs, 1)
    return (data[_along(indices, int(call.get("axis", 0)) % data.ndim)],)


def gather_nd(call: Call, inputs: Inputs) -> Outputs:
    """Slices of the data at the positions in the last axis of the index."""
    data, indices = present(inputs, 0), present(inputs, 1)
    batch = int(call.get("batch_dims", 0))
    depth = indices.shape[-1]
    lead = indices.shape[:batch]
    rows = data.reshape(math.prod(lead), *data.shape[batch:])
    flat = indices.reshape(math.prod(lead), -1, depth)
    numbers = np.arange(flat.shape[0])[:, None]
    picked = rows[(numbers, *np.moveaxis(flat, -1, 0))]
    return (picked.reshape(*indices.shape[:-1], *data.shape[batch + depth :]),)


def _scattered(call: Call, data: Array, at: Any, updates: Array) -> Outputs | None:
    way = call.get("reduction", "none")
    y = data.copy()
    if way == "none":
        y[at] = updates
    elif way in _REDUCTIONS and data.dtype != object:
        _REDUCTIONS[way].at(y, at, updates)
    else:
        return None
    return (y,)


def scatter_elements(call: Call, inputs: Inputs) -> Outputs | None:
    """The inverse of GatherElements, writing, adding, multiplying or comparing."""
    data, indices, updates = (present(inputs, i) for i in range(3))
    at = _along(indices, int(call.get("axis", 0)) % data.ndim)
    return _scattered(call, data, at, updates)


def scatter_nd(call: Call, inputs: Inputs) -> Outputs | None:
    """The inverse of GatherND, writing, adding, multiplying or comparing."""
    data, indices, updates = (present(inputs, i) for i in range(3))
    return _scattered(call, data, tuple(np.moveaxis(indices, -1, 0)), updates)


def one_hot(call: Call, inputs: Inputs) -> Outputs:
    """The on-value at the index, the off-value elsewhere and for an index outside the depth."""
    indices, depth, values = (present(inputs, i) for i in range(3))
    count = int(depth.reshape(-1)[0])
    axis = int(call.get("axis", -1)) % (indices.ndim + 1)
    wrapped = np.expand_dims(np.where(indices < 0, indices + count, indices), axis)
    steps = np.arange(count).reshape([-1 if i == axis else 1 for i in range(indices.ndim + 1)])
    return (np.where(wrapped == steps, values[1], values[0]),)
