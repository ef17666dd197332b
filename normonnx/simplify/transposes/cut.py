"""Which of two sides each of many things is on, so that the ties cut between them are the fewest.

A tie costs one if what it comes from is on the first side and what it leads to is not. A bond is a
tie that must not be cut. This is a smallest cut between two ends, found by pushing one unit after
the other along free ties (Ford and Fulkerson).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

BOND = 1 << 30
"""The cost of a tie that is never cut."""


class Ties:
    """What is tied to what, between the two ends FIRST and SECOND."""

    FIRST, SECOND = "first", "second"

    def __init__(self) -> None:
        self._free: dict[Hashable, dict[Hashable, int]] = {}

    def tie(self, one: Hashable, other: Hashable, cost: int = 1) -> None:
        """Say what it costs to have one on the first side without the other."""
        ahead = self._free.setdefault(one, {})
        ahead[other] = ahead.get(other, 0) + cost
        self._free.setdefault(other, {}).setdefault(one, 0)

    def cut(self) -> tuple[int, set[Hashable]]:
        """What the cheapest cut costs, and the fewest things that are then on the first side."""
        pushed = 0
        while True:
            came = self._reached()
            if self.SECOND not in came:
                return pushed, set(came)
            self._push(came)
            pushed += 1

    def _reached(self) -> dict[Hashable, Hashable]:
        """From where each thing is reached that free ties lead to."""
        came: dict[Hashable, Hashable] = {self.FIRST: self.FIRST}
        pending: deque[Hashable] = deque([self.FIRST])
        while pending and self.SECOND not in came:
            one = pending.popleft()
            for other, free in self._free.get(one, {}).items():
                if free and other not in came:
                    came[other] = one
                    pending.append(other)
        return came

    def _push(self, came: dict[Hashable, Hashable]) -> None:
        other: Hashable = self.SECOND
        while other != self.FIRST:
            one = came[other]
            self._free[one][other] -= 1
            self._free[other][one] += 1
            other = one
