"""The elements of an output in groups of like size, so that none hides behind a larger one.

A level holds the elements with 16ᵏ ≤ |t| < 16ᵏ⁺¹, t being what both models are compared with.
Levels that noise mixes are one group: elements that are smaller than a few times the noise of those
next above them owe their size to chance, and a level of few elements says little about noise. A
mask's fill of −1e9 and the scores beside it are groups apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from msgspec import Struct

from normonnx.operators.kernels import Array

_BITS = 4
# The level of elements that are zero.
_ZERO = -10_000
# Elements below so many times the noise next above them are not told apart from it.
_MIXED = 16.0
# How many levels lower that may be: noise of 32 beside a mask's fill says nothing about scores.
_NEAR = 4
# Fewer elements than these are judged with those of the next level, if there is one.
FEW = 8
# How many levels away that may be: among thousands, chance makes an element as small.
_NEXT = 3


class Distance(Struct, frozen=True):
    """How far elements are from what they are compared with.

    Attributes:
        rms: root mean square.
        largest: the largest element's.
    """

    rms: float = 0.0
    largest: float = 0.0

    def times(self, factor: float) -> Distance:
        """So many times as far."""
        return Distance(self.rms * factor, self.largest * factor)


NOWHERE = Distance()
ANYWHERE = Distance(math.inf, math.inf)


class Level(Struct, frozen=True):
    """The elements of one output on one feed whose sizes are alike.

    Attributes:
        size: k, where the smallest of them may be 16ᵏ.
        count: how many they are.
        magnitude: |t| of the largest of them.
        original: how far the original's are from t.
        optimized: how far the optimised model's are.
    """

    size: int
    count: int
    magnitude: float
    original: Distance
    optimized: Distance


Levels = Sequence[Level]
BySize = Mapping[int, Distance]
"""Distances of the elements of each level, by its size."""


def levels(t: Array, original: Array, optimized: Array) -> tuple[Level, ...]:
    """The levels of an output, from the largest elements down.

    Args:
        t: finite values in float64.
        original: |o − t|, of the same shape.
        optimized: |y − t|, of the same shape.
    """
    table = _Table(t)
    return tuple(
        map(
            Level,
            table.sizes,
            table.counts,
            table.largest(np.abs(t)),
            table.distances(original),
            table.distances(optimized),
        )
    )


def by_size(t: Array, distances: Array) -> dict[int, Distance]:
    """The distances of each level.

    Args:
        t: finite values in float64.
        distances: of each element, not negative.
    """
    table = _Table(t)
    return dict(zip(table.sizes, table.distances(distances), strict=True))


class _Table:
    """Elements sorted by level, the largest first."""

    def __init__(self, t: Array) -> None:
        flat = np.abs(t).reshape(-1)
        place = np.where(flat > 0, (np.frexp(flat)[1] - 1) // _BITS, _ZERO).astype(np.int16)
        self._order = np.argsort(-place, kind="stable")
        ranked = place[self._order]
        self._starts = np.flatnonzero(np.diff(ranked, prepend=ranked[:1] + 1))
        self.sizes: list[int] = [int(k) for k in ranked[self._starts]]
        self.counts: list[int] = [int(n) for n in np.diff(self._starts, append=ranked.size)]

    def largest(self, values: Array) -> list[float]:
        """The largest value of each level."""
        ranked = values.reshape(-1)[self._order]
        return [float(v) for v in np.maximum.reduceat(ranked, self._starts)]

    def distances(self, values: Array) -> list[Distance]:
        """The distance of each level."""
        largest = self.largest(values)
        # Scaled first, so that no square leaves the range of float64.
        scale = np.repeat([m or 1.0 for m in largest], self.counts)
        shares = np.square(values.reshape(-1)[self._order] / scale)
        means = np.add.reduceat(shares, self._starts) / self.counts
        return [Distance(m * math.sqrt(s), m) for m, s in zip(largest, means, strict=True)]


def groups(feeds: Iterable[Levels]) -> dict[int, int]:
    """Which levels of an output are judged together.

    Args:
        feeds: its levels on every feed.

    Returns:
        For the size of each level that of its group, the largest in it.
    """
    found = _groups_by_noise(_joined(feeds))
    _merge_few(found)
    return {level.size: group[0].size for group in found for level in group}


def tops(feeds: Iterable[Levels]) -> dict[int, float]:
    """For the size of each level |t| of the largest element of the unbroken row it belongs to."""
    found: dict[int, float] = {}
    above: Level | None = None
    for level in _joined(feeds):
        is_next = above is not None and above.size - level.size == 1
        found[level.size] = found[above.size] if is_next and above is not None else level.magnitude
        above = level
    return found


def _joined(feeds: Iterable[Levels]) -> list[Level]:
    """The levels of all feeds, those of one size together; from the largest down."""
    found: dict[int, list[Level]] = {}
    for one in feeds:
        for level in one:
            found.setdefault(level.size, []).append(level)
    return [together(same) for _, same in sorted(found.items(), reverse=True)]


def together(same: Sequence[Level]) -> Level:
    """Several levels as one."""
    counts = [level.count for level in same]
    return Level(
        max(level.size for level in same),
        sum(counts),
        max(level.magnitude for level in same),
        pooled(counts, [level.original for level in same]),
        pooled(counts, [level.optimized for level in same]),
    )


def pooled(counts: Sequence[int], distances: Sequence[Distance]) -> Distance:
    """The distance of all elements, from those of some of them each."""
    total = math.hypot(*(math.sqrt(n) * d.rms for n, d in zip(counts, distances, strict=True)))
    return Distance(total / math.sqrt(sum(counts)), max(d.largest for d in distances))


def _groups_by_noise(every: Sequence[Level]) -> list[list[Level]]:
    found: list[list[Level]] = []
    for level in every:
        if found and _is_mixed(found[-1], level):
            found[-1].append(level)
        else:
            found.append([level])
    return found


def _is_mixed(group: Sequence[Level], level: Level) -> bool:
    """Whether elements of a level may as well be of the group above it."""
    if level.size == _ZERO:
        return True
    if group[-1].size - level.size > _NEAR:
        return False
    return level.magnitude <= _MIXED * together(group).original.rms


def _merge_few(found: list[list[Level]]) -> None:
    """Groups of few elements join the next one, above or below, if it is not far."""
    at = 0
    while at < len(found):
        if sum(level.count for level in found[at]) >= FEW:
            at += 1
        elif at and found[at - 1][-1].size - found[at][0].size <= _NEXT:
            found[at - 1 : at + 1] = [found[at - 1] + found[at]]
        elif at + 1 < len(found) and found[at][-1].size - found[at + 1][0].size <= _NEXT:
            found[at : at + 2] = [found[at] + found[at + 1]]
        else:
            at += 1
