"""How much all constants that are worked out may add to a model in sum.

Constants of about one size are stored all together or not at all: which of them came first must not
matter, and what is left of them must not be stored by the next run.
"""

from __future__ import annotations

from collections.abc import Iterable

MOST_IN_ALL = 1 << 20
"""Bytes that all of them may add, in a model of any size."""

_PART = 100
"""In a large model they may add one in so many of its bytes."""

_FREE = 64
"""What adds no more bytes than this is not counted: a node takes as many."""

LITTLE = 1 << 12
"""Bytes up to which a constant is a small one; these may add a quarter of all, others the rest."""


class Budget:
    """What constants may add in one run of the engine."""

    def __init__(self, stored: int) -> None:
        """Begin with nothing added.

        Args:
            stored: bytes of the constants that the model has.
        """
        most = max(MOST_IN_ALL, stored // _PART)
        self._left = [most // 4, most - most // 4]
        self._is_open = [True, True]

    def look(self, growths: Iterable[int]) -> None:
        """Decide for each kind of size, from all constants that could be stored.

        Args:
            growths: the bytes that each of them would add.
        """
        wanted = [0, 0]
        for growth in growths:
            if growth > _FREE:
                wanted[growth > LITTLE] += growth
        self._is_open = [n <= left for n, left in zip(wanted, self._left, strict=True)]

    def takes(self, growth: int) -> bool:
        """Whether a constant that adds so many bytes may be stored; if it is, they are spent."""
        kind = growth > LITTLE
        if growth <= _FREE:
            return True
        if not self._is_open[kind] or growth > self._left[kind]:
            return False
        self._left[kind] -= growth
        return True
