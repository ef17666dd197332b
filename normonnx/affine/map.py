"""The affine map y = a[c]·x + b[c] along one axis, and how it composes, moves and is cut.

Everything is float64. A map that is the same for every element has no axis and scalar a and b.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from normonnx.values.shapes import Dim, times


class AffineMap(Struct, frozen=True):
    """y = a·x + b, with a and b varying along at most one axis.

    Attributes:
        a: float64, shape (C,) or ().
        b: float64, the same shape.
        axis: the axis counted from the front, None for a scalar map.
    """

    a: np.ndarray
    b: np.ndarray
    axis: int | None

    @staticmethod
    def along(
        axis: int | None, *, a: np.ndarray | float = 1.0, b: np.ndarray | float = 0.0
    ) -> AffineMap:
        """A map along `axis`; one that turns out to be uniform loses its axis."""
        scale, shift = np.broadcast_arrays(np.float64(a), np.float64(b))
        if scale.size and (scale == scale.flat[0]).all() and (shift == shift.flat[0]).all():
            return AffineMap(scale.flat[0].reshape(()), shift.flat[0].reshape(()), None)
        return AffineMap(np.ascontiguousarray(scale), np.ascontiguousarray(shift), axis)

    @property
    def is_identity(self) -> bool:
        return self.is_shift and self.is_scale

    @property
    def is_scale(self) -> bool:
        """Whether b = 0."""
        return not self.b.any()

    @property
    def is_shift(self) -> bool:
        """Whether a = 1."""
        return bool((self.a == 1.0).all())

    @property
    def is_positive(self) -> bool:
        """Whether every a > 0, so that the map keeps order."""
        return bool((self.a > 0.0).all())

    @property
    def is_finite(self) -> bool:
        return bool(np.isfinite(self.a).all() and np.isfinite(self.b).all())

    @property
    def scale(self) -> AffineMap:
        """The map without its shift."""
        return AffineMap.along(self.axis, a=self.a)

    @property
    def shift(self) -> AffineMap:
        """The map without its scale."""
        return AffineMap.along(self.axis, a=np.ones_like(self.a), b=self.b)

    def after(self, inner: AffineMap) -> AffineMap | None:
        """Compose: a·(a′·x + b′) + b; None if the two vary along different axes."""
        if self.axis is not None and inner.axis is not None and self.axis != inner.axis:
            return None
        if self.axis is not None and inner.axis is not None and self.a.shape != inner.a.shape:
            return None
        axis = inner.axis if self.axis is None else self.axis
        return AffineMap.along(axis, a=self.a * inner.a, b=self.a * inner.b + self.b)

    def on(self, axis: int | None) -> AffineMap:
        """The same numbers along another axis."""
        return self if self.axis is None else AffineMap(self.a, self.b, axis)

    def full(self, extent: int) -> tuple[np.ndarray, np.ndarray]:
        """Both a and b with one entry per channel, shape (extent,)."""
        return np.broadcast_to(self.a, (extent,)), np.broadcast_to(self.b, (extent,))

    def cut(self, start: int, stop: int) -> AffineMap:
        """The part for the channels from `start` to `stop`."""
        if self.axis is None:
            return self
        return AffineMap.along(self.axis, a=self.a[start:stop], b=self.b[start:stop])

    def take(self, indices: np.ndarray) -> AffineMap:
        """The map whose channel i is this map's channel indices[i]."""
        if self.axis is None:
            return self
        return AffineMap.along(self.axis, a=self.a[indices], b=self.b[indices])

    def shape_for(self, rank: int) -> tuple[int, ...]:
        """The shape in which a and b broadcast against a tensor of this rank."""
        if self.axis is None:
            return ()
        return (-1, *(1,) * (rank - 1 - self.axis))


def through_reshape(m: AffineMap, source: Sequence[Dim], target: Sequence[Dim]) -> AffineMap | None:
    """A map on the target of a Reshape as a map on its source, or None if it is none.

    Both shapes are cut into blocks with equal numbers of elements; inside the block of the map's
    axis the numbers are laid out in the target's shape and read in the source's, and must then
    vary along one axis only: [N, C, H·W] ↔ [N, C, H, W] keeps the channel; a map on the target of
    [N, C, H, W] → [N, C·H·W] must be the same within each channel.
    """
    if m.axis is None:
        return m
    if 0 in source or 0 in target:
        return None
    for (s0, s1), (t0, t1) in _blocks(source, target):
        if t0 <= m.axis < t1:
            return _within_block(m, m.axis - t0, s0, source[s0:s1], target[t0:t1])
    return None


def _within_block(
    m: AffineMap, axis: int, first: int, ours: Sequence[Dim], theirs: Sequence[Dim]
) -> AffineMap | None:
    """The map along an axis of a block of the target, as one on the block of the source.

    Args:
        m: the map.
        axis: of the block of the target.
        first: the axis of the source at which its block begins.
        ours: the block of the source.
        theirs: the block of the target.
    """
    # An axis that is there on both sides as it is needs no sizes of its neighbours.
    if len(ours) == 1 and len(theirs) == 1:
        return m.on(first)
    wanted, given = _numbers(list(theirs)), _numbers(list(ours))
    if wanted is None or given is None or theirs[axis] != m.a.shape[0]:
        return None
    layout = [1] * len(theirs)
    layout[axis] = -1
    laid_out = [np.broadcast_to(part.reshape(layout), wanted).reshape(given) for part in (m.a, m.b)]
    varying = varying_axis(*laid_out)
    if varying is None:
        return None
    keep = tuple(slice(None) if i == varying else 0 for i in range(len(ours)))
    return AffineMap.along(first + varying, a=laid_out[0][keep], b=laid_out[1][keep])


def _blocks(
    source: Sequence[Dim], target: Sequence[Dim]
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Finest pairs of runs of axes with equal element counts, in order."""
    blocks = []
    s0 = t0 = 0
    while s0 < len(source) or t0 < len(target):
        s1, t1 = _grow(source, target, s0, t0)
        blocks.append(((s0, s1), (t0, t1)))
        s0, t0 = s1, t1
    return blocks


def _grow(source: Sequence[Dim], target: Sequence[Dim], s0: int, t0: int) -> tuple[int, int]:
    """Where the smallest runs from s0 and t0 with provably equal products end, else the ends."""
    for total in range(1, len(source) - s0 + len(target) - t0 + 1):
        for taken in range(min(total, len(source) - s0) + 1):
            s1, t1 = s0 + taken, t0 + total - taken
            if t1 > len(target):
                continue
            if times(source[s0:s1]) == times(target[t0:t1]):
                return s1, t1
    return len(source), len(target)


def _numbers(dims: Sequence[Dim]) -> tuple[int, ...] | None:
    if not all(isinstance(dim, int) for dim in dims):
        return None
    return tuple(dim for dim in dims if isinstance(dim, int))


def varying_axis(*arrays: np.ndarray) -> int | None:
    """The one axis along which the arrays vary (0 if they do not), None if there are several."""
    axes = {
        axis
        for array in arrays
        for axis in range(array.ndim)
        if array.shape[axis] > 1 and (array != np.take(array, [0], axis=axis)).any()
    }
    if len(axes) > 1:
        return None
    return axes.pop() if axes else 0
