"""Operators that only put elements elsewhere."""

from __future__ import annotations

import math

import numpy as np

from normonnx.operators.kernels.call import Array, Call, Inputs, Outputs, optional, present


def _numbers(call: Call, inputs: Inputs, index: int, name: str) -> list[int] | None:
    """Integers that are an attribute in early operator sets and an input in later ones."""
    given = optional(inputs, index)
    if given is not None:
        return [int(n) for n in given.reshape(-1)]
    found = call.get(name)
    return None if found is None else [int(n) for n in found]


def reshape(call: Call, inputs: Inputs) -> Outputs | None:
    """The elements under another shape; 0 copies a dimension and −1 is what is left."""
    x, shape = present(inputs, 0), _numbers(call, inputs, 1, "shape")
    if shape is None:
        return None
    if not call.get("allowzero", 0):
        shape = [x.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    return (x.reshape(shape),)


def flatten(call: Call, inputs: Inputs) -> Outputs:
    """A matrix: the axes before `axis`, and those from it on."""
    x, axis = present(inputs, 0), int(call.get("axis", 1))
    axis += x.ndim if axis < 0 else 0
    return (x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:])),)


def transpose(call: Call, inputs: Inputs) -> Outputs:
    """The axes in another order, the reverse one if none is given."""
    return (np.transpose(present(inputs, 0), call.get("perm")),)


def squeeze(call: Call, inputs: Inputs) -> Outputs:
    """Without axes of one element, all of them if none are given."""
    x, axes = present(inputs, 0), _numbers(call, inputs, 1, "axes")
    return (np.squeeze(x, axis=None if axes is None else tuple(axes)),)


def unsqueeze(call: Call, inputs: Inputs) -> Outputs | None:
    """With axes of one element, placed in the result."""
    x, axes = present(inputs, 0), _numbers(call, inputs, 1, "axes")
    return None if axes is None else (np.expand_dims(x, tuple(axes)),)


def expand(call: Call, inputs: Inputs) -> Outputs:
    """Broadcast with a shape, both ways."""
    x, shape = present(inputs, 0), present(inputs, 1)
    full = np.broadcast_shapes(x.shape, tuple(int(n) for n in shape))
    return (np.broadcast_to(x, full),)


def concat(call: Call, inputs: Inputs) -> Outputs:
    """One after the other along an axis."""
    arrays = [present(inputs, index) for index in range(len(inputs))]
    return (np.concatenate(arrays, axis=int(call.get("axis", 1))),)


def gather(call: Call, inputs: Inputs) -> Outputs:
    """Slices along an axis, by number."""
    x, indices = present(inputs, 0), present(inputs, 1)
    return (np.take(x, indices, axis=int(call.get("axis", 0))),)


def slice_of(call: Call, inputs: Inputs) -> Outputs | None:
    """From start to end in steps, along some axes; numbers beyond an end mean that end."""
    x = present(inputs, 0)
    starts, ends = _numbers(call, inputs, 1, "starts"), _numbers(call, inputs, 2, "ends")
    if starts is None or ends is None:
        return None
    axes = _numbers(call, inputs, 3, "axes") or list(range(len(starts)))
    steps = _numbers(call, inputs, 4, "steps") or [1] * len(starts)
    where = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        upwards = step >= 0
        where[axis] = slice(start, end, step) if upwards else _down(start, end, step, x.shape[axis])
    return (x[tuple(where)],)


def _down(start: int, end: int, step: int, size: int) -> slice:
    """Going down, where the end before element 0 is written as a number below −size."""
    start = min(start + size if start < 0 else start, size - 1)
    end = max(end + size if end < 0 else end, -1)
    if start < 0:
        return slice(0, 0)
    return slice(start, None if end < 0 else end, step)


def pad(call: Call, inputs: Inputs) -> Outputs | None:
    """More elements at the ends of some axes, of one value or by the mode; or fewer.

    What is cut off is cut off first: a mode repeats what is left.
    """
    x, pads = present(inputs, 0), _numbers(call, inputs, 1, "pads")
    mode = call.get("mode", "constant")
    if pads is None or mode not in ("constant", "edge", "reflect", "wrap"):
        return None
    value = optional(inputs, 2)
    fill = call.get("value", 0.0) if value is None else value.reshape(-1)[0]
    axes = _numbers(call, inputs, 3, "axes") or list(range(x.ndim))
    widths = [(0, 0)] * x.ndim
    for axis, head, tail in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        widths[axis] = (max(head, 0), max(tail, 0))
        x = x[(slice(None),) * (axis % x.ndim) + (slice(max(-head, 0), _end(x, axis, tail)),)]
    if mode != "constant":
        return (np.pad(x, widths, mode=mode),)
    return (np.pad(x, widths, constant_values=fill),)


def _end(x: Array, axis: int, tail: int) -> int | None:
    """Where an axis ends that loses so many elements as the number is below zero."""
    return None if tail >= 0 else max(x.shape[axis] + tail, 0)
