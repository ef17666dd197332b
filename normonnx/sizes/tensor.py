"""What a value is at sizes that are all numbers, and that a node does not take such a value."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TypeAlias

import onnx_ir as ir
from msgspec import Struct

Shape: TypeAlias = "tuple[int, ...]"


class Tensor(Struct, frozen=True):
    """What is known of a value at given sizes.

    Attributes:
        shape: its dimensions.
        dtype: its element type.
    """

    shape: Shape
    dtype: ir.DataType

    @property
    def size(self) -> int:
        """How many elements it has."""
        return prod(self.shape)


class ContradictionError(Exception):
    """A node does not take inputs of these sizes.

    Attributes:
        found: a size that does not fit, 0 where it is none.
        wanted: the size that would.
        after: how many nodes were walked until then.
        unmet: how many pairs of sizes that are to be equal at the node are not.
    """

    def __init__(self, reason: str, found: int = 0, wanted: int = 0) -> None:
        super().__init__(reason)
        self.found: int = found
        self.wanted: int = wanted
        self.after: int = 0
        self.unmet: int = 1

    @property
    def place(self) -> tuple[int, int]:
        """How far a walk came until then: what is greater is closer to one that fits."""
        return self.after, -self.unmet


Tensors: TypeAlias = "Sequence[Tensor | None]"
