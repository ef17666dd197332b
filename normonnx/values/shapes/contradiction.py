"""What a rule meets in a model that contradicts itself.

An axis beyond the rank, a weight of too few dimensions, sizes that do not broadcast: no runtime
loads such a model, and each rule would need a check for each of them. Instead whoever calls rules
catches these, knows nothing of the result, and rewrites nothing that needs to know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

CONTRADICTIONS = (ArithmeticError, IndexError, ValueError)
"""The errors by which a rule falls over sizes that do not fit one another."""


def unless_contradictory(infer: Callable[[], _T | None]) -> _T | None:
    """What a rule finds; nothing where the model contradicts itself."""
    try:
        return infer()
    except CONTRADICTIONS:
        return None
