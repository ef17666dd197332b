"""Seeded choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .inference import UnsuitableError


@dataclass
class Choices:
    """Choices of which every one comes from the same generator.

    Attributes:
        rng: the generator.
    """

    rng: np.random.Generator

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def one_of(self, choices: Sequence[Any]) -> Any:
        if not choices:
            raise UnsuitableError
        return choices[int(self.rng.integers(len(choices)))]

    def between(self, low: int, high: int) -> int:
        """An integer, both ends included."""
        if high < low:
            raise UnsuitableError
        return int(self.rng.integers(low, high + 1))

    def need(self, condition: bool) -> None:
        """Give up on an operator that does not fit."""
        if not condition:
            raise UnsuitableError
