"""Whether the outputs of two evaluations in float64 are the same numbers, element by element.

No element hides behind a larger one: each is held to its own size. An element that is small because
larger terms cancel in it carries their rounding, so one that is off by more is held to the noise of
the elements of like magnitude: how far rounding by chance moves them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

TOLERANCE = 1e-9
"""Largest difference of an element, relative to its own size."""

_NOISES = 64
"""How many times the noise of its like an element may be off that is small by cancellation."""


class DifferentError(Exception):
    """The two sides cannot stand for each other."""


class NothingShownError(Exception):
    """There is nothing in the outputs to compare."""


def furthest(
    olds: Sequence[Array],
    news: Sequence[Array],
    noises: Callable[[], Sequence[Array]],
    *,
    of_constants: bool = False,
) -> float:
    """The largest difference of two elements, relative to the size of the first.

    Args:
        olds: outputs of one side.
        news: outputs of the other.
        noises: how far rounding by chance moves the elements of the first; asked for where an
            element is off by more than its own size allows.
        of_constants: whether they are the same on every feed, so that nothing has to be shown but
            that they agree.

    Raises:
        DifferentError: if the sides differ.
        NothingShownError: if an output has no numbers, or none that is finite.
    """
    worst = 0.0
    for index, (old, new) in enumerate(zip(olds, news, strict=True)):
        if not of_constants:
            _refuse_empty(old)
        if old.shape != new.shape:
            raise DifferentError(f"the windows have the shapes {old.shape} and {new.shape}")
        if old.dtype.kind not in "iub" and new.dtype.kind not in "iub":
            worst = max(worst, _furthest(old, new, lambda i=index: noises()[i]))  # type: ignore[misc]
        elif not np.array_equal(old, new):
            raise DifferentError("the windows give different whole numbers")
    return worst


def _furthest(old: Array, new: Array, noise: Callable[[], Array]) -> float:
    """The same of two arrays of one shape."""
    _refuse_other_places(old, new)
    finite = np.isfinite(old)
    size, off = (np.where(finite, np.abs(part), 0.0) for part in (old, _less(old, new)))
    bad = off > TOLERANCE * size
    if bad.any():
        allowed = np.maximum(TOLERANCE * size, _NOISES * _of_like_size(size, noise()))
        if (off > allowed).any():
            raise DifferentError(_told(size, off, bad))
    good = ~bad & (size > 0)
    return float((off[good] / size[good]).max(initial=0.0))


def _less(old: Array, new: Array) -> Array:
    with np.errstate(invalid="ignore"):
        difference: Array = old - new
    return difference


def _refuse_empty(array: Array) -> None:
    if array.size == 0:
        raise NothingShownError("an empty window proves nothing")
    if array.dtype.kind in "OSU":
        raise NothingShownError("there are no numbers to compare")
    if not np.isfinite(array).any():
        raise NothingShownError("there is nothing finite to compare")


def _refuse_other_places(old: Array, new: Array) -> None:
    """NaN and the infinities, with their signs, are where they were."""
    infinite = np.isinf(old)
    if not np.array_equal(np.isnan(old), np.isnan(new)):
        raise DifferentError("one side is no number where the other is")
    if not np.array_equal(infinite, np.isinf(new)) or not np.array_equal(
        np.signbit(old[infinite]), np.signbit(new[infinite])
    ):
        raise DifferentError("one side is not finite where the other is")


def _of_like_size(size: Array, noise: Array) -> Array:
    """For each element the largest noise among the elements of its decade, zeros being one."""
    decades = np.full(size.shape, -400, dtype=np.int64)
    positive = size > 0
    decades[positive] = np.floor(np.log10(size[positive]))
    _, inverse = np.unique(decades, return_inverse=True)
    largest = np.zeros(int(inverse.max()) + 1)
    finite = np.where(np.isfinite(noise), noise, 0.0)
    np.maximum.at(largest, inverse.ravel(), finite.ravel())
    found: Array = largest[inverse].reshape(size.shape)
    return found


def _told(size: Array, off: Array, bad: Array) -> str:
    ratio = np.divide(off, size, out=np.full(size.shape, np.inf), where=size > 0)
    worst = np.unravel_index(int(np.argmax(np.where(bad, ratio, -1.0))), size.shape)
    return f"the float64 windows differ by {off[worst]:.2g} in an element of size {size[worst]:.2g}"
