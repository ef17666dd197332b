"""Sizes that the network computes of its own values, as exporters write them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .draft import Draft, Value


def size(draft: Draft, x: Value, axis: int) -> str:
    """The size of one axis, as a vector of one number."""
    number = np.array([x.shape[axis]], np.int64)
    if draft.opset >= 15 and draft.chance(0.3):
        end = axis + 1 if axis + 1 < x.rank else None
        return draft.known("Shape", [x], number, start=axis, end=end)
    shape = draft.known("Shape", [x], np.array(x.shape, np.int64))
    kind = draft.rng.random()
    if kind < 0.4:
        return draft.known("Gather", [shape, draft.initializer([axis])], number, axis=0)
    if kind < 0.7:
        scalar = draft.known("Gather", [shape, draft.initializer(axis)], number[0], axis=0)
        if draft.opset >= 13:
            return draft.known("Unsqueeze", [scalar, draft.initializer([0])], number)
        return draft.known("Unsqueeze", [scalar], number, axes=[0])
    return _sliced(draft, shape, axis, axis + 1, number)


def _sliced(draft: Draft, shape: str, start: int, stop: int, numbers: np.ndarray) -> str:
    if draft.opset < 10:
        return draft.known("Slice", [shape], numbers, axes=[0], starts=[start], ends=[stop])
    ends = [draft.initializer([start]), draft.initializer([stop]), draft.initializer([0])]
    return draft.known("Slice", [shape, *ends], numbers)


def sizes(draft: Draft, x: Value, axes: Sequence[int]) -> str:
    """Sizes of neighbouring axes, as one vector."""
    numbers = np.array([x.shape[axis] for axis in axes], np.int64)
    if draft.chance(0.5):
        shape = draft.known("Shape", [x], np.array(x.shape, np.int64))
        return _sliced(draft, shape, axes[0], axes[-1] + 1, numbers)
    return joined(draft, [(size(draft, x, axis), [x.shape[axis]]) for axis in axes])


def joined(draft: Draft, parts: Sequence[tuple[str, Sequence[int]]]) -> str:
    """Vectors of sizes, each with its numbers, one behind the other."""
    numbers = np.array([n for _, part in parts for n in part], np.int64)
    return draft.known("Concat", [name for name, _ in parts], numbers, axis=0)


def reshaped(draft: Draft, x: Value, target: Sequence[int | str], shape: Sequence[int]) -> Value:
    """A Reshape to a target of numbers and names of sizes; the shape is what comes out.

    With -1 in the target the runtime works that size out.
    """
    if all(isinstance(part, int) for part in target):
        numbers = draft.initializer([int(part) for part in target])
        return draft.stated("Reshape", [x, numbers], shape)
    parts = [part if isinstance(part, str) else draft.initializer([part]) for part in target]
    whole = draft.known("Concat", parts, np.array(shape, np.int64), axis=0)
    return draft.stated("Reshape", [x, whole], shape)
