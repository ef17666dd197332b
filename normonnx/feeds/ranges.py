"""Ranges of numbers."""

from __future__ import annotations

import math

from msgspec import Struct

LEAST = 5e-324
"""The lower end of a range that leaves out zero."""


class Range(Struct, frozen=True):
    """The numbers from `low` to `high`, both included."""

    low: float = -math.inf
    high: float = math.inf

    def __and__(self, other: Range) -> Range:
        """What is in both."""
        return Range(max(self.low, other.low), min(self.high, other.high))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        return not self.low <= self.high

    @property
    def is_everything(self) -> bool:
        """Whether everything is in it."""
        return self == ANYTHING


ANYTHING = Range()
