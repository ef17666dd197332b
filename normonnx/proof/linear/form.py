"""What a value of a window is: a scale times a source, plus a shift.

    value = scale ⊙ source + shift

A source is an operator without the numbers that scale and shift what it gives: an input of the
window, a convolution of a source, a Concat of sources. The sources of both sides stand in one
table, so that those which are the same operator of the same sources are one. A kernel that is
another's but for a factor per output channel, W′ = A·W, is the same source with the scale A.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

Array = np.ndarray[Any, Any]

TOLERANCE = 1e-12
"""Largest difference of two factors, relative to the first."""

OF_TERMS = 1e-13
"""Largest difference of two sums, relative to the terms of the first."""


class OtherOperatorError(Exception):
    """The window is none whose numbers can be compared as they stand."""


class Source:
    """An operator of sources; the same for both sides where it is the same function."""


class Form(Struct, frozen=True):
    """A value of a window.

    Attributes:
        source: what it is a multiple of.
        scale: factor, broadcast against the source; of the rank of the value, 1 along each axis
            along which it is the same.
        shift: what is added.
        terms: the sum of the magnitudes of what the shift is a sum of, of its shape.
        shape: of the value.
        is_short: whether the shift is that of a value that is shorter along its spatial axes, with
            the same borders.
        is_past_kernel: whether it is what a kernel made of such a one, so that another kernel would
            need more of it than there is.
    """

    source: Source
    scale: Array
    shift: Array
    terms: Array
    shape: tuple[int, ...]
    is_short: bool = False
    is_past_kernel: bool = False

    @property
    def is_unshifted(self) -> bool:
        """Whether nothing is added anywhere."""
        return not self.shift.any()


class Table:
    """The sources of both sides.

    Attributes:
        worst: the largest difference, relative, of numbers that were taken for the same.
        rests_on_sizes: whether the sizes of the window had a part.
    """

    def __init__(self) -> None:
        self.worst: float = 0.0
        self.rests_on_sizes: bool = False
        self._sources: dict[Any, list[tuple[Any, Source]]] = {}

    def source(self, key: Any, numbers: Sequence[Array] = ()) -> Source:
        """The source of an operator: one that is there if its numbers are the same.

        Args:
            key: the operator, its attributes and sources; hashable.
            numbers: float64 or whole numbers that it depends on.
        """
        entries = self._sources.setdefault(key, [])
        for known, source in entries:
            off = [difference(a, b) for a, b in zip(known, numbers, strict=True)]
            if all(part <= TOLERANCE for part in off):
                self.worst = max([self.worst, *off])
                return source
        source = Source()
        entries.append((list(numbers), source))
        return source

    def multiple(self, key: Any, weight: Array) -> tuple[Source, Array]:
        """The source of a product, and what its outputs are multiplied by.

        Args:
            key: the operator, its attributes and sources; hashable.
            weight: float64 of the shape (outputs, terms of each), or stacks of such.

        Returns:
            The source, and a factor for each output, of the shape (…, outputs), 0 for one that
            nothing reaches.
        """
        entries = self._sources.setdefault(key, [])
        for known, source in entries:
            square = np.einsum("...i,...i->...", known, known)
            inner = np.einsum("...i,...i->...", known, weight)
            factor = np.divide(inner, square, out=np.zeros_like(inner), where=square > 0)
            off = difference(weight, factor[..., None] * known)
            if off <= TOLERANCE:
                self.worst = max(self.worst, off)
                return source, factor
        source = Source()
        entries.append((weight, source))
        return source, np.asarray(weight.any(axis=-1), dtype=np.float64)


def difference(one: Array, other: Array, terms: Array | None = None) -> float:
    """The largest difference of two arrays that broadcast, relative to the first or its terms."""
    if one.dtype.kind != "f" or other.dtype.kind != "f":
        return 0.0 if one.shape == other.shape and np.array_equal(one, other) else np.inf
    try:
        off = np.abs(one - other)
    except ValueError:
        return np.inf
    off, size = np.broadcast_arrays(off, np.abs(one) if terms is None else terms)
    if not np.isfinite(off).all():
        return np.inf
    # What is no multiple of its terms is off by all of it.
    return float(
        np.divide(off, size, out=np.where(off > 0, np.inf, 0.0), where=size > 0).max(initial=0.0)
    )


def compact(array: Array) -> Array:
    """The array with 1 along each axis along which it is the same."""
    for axis in range(array.ndim):
        first = array.take([0], axis=axis)
        if array.shape[axis] > 1 and (array == first).all():
            array = first
    return array


def of_rank(array: Array, rank: int) -> Array:
    """The array with further axes of 1 in front."""
    if array.ndim > rank:
        raise OtherOperatorError("a constant has more axes than what it is combined with")
    return array.reshape((1,) * (rank - array.ndim) + array.shape)
