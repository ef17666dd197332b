"""The kinds of values that an input may hold."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

import onnx_ir as ir
from msgspec import Struct

from normonnx.operators.kernels import Array

_NOTHING = 1e-30


class Form(Struct, frozen=True):
    """What an input is made of tensors.

    Attributes:
        optional: whether it may be absent.
        depth: 0 for a tensor, 1 for a sequence of them, 2 for a sequence of sequences.
    """

    optional: bool
    depth: int


def form_of(value: ir.Value) -> Form | None:
    """What an input is; None if it is not made of dense tensors."""
    kind: Any = value.type
    optional = isinstance(kind, ir.OptionalType)
    kind, depth = kind.elem_type if optional else kind, 0
    while isinstance(kind, ir.SequenceType):
        kind, depth = kind.elem_type, depth + 1
    dense = isinstance(kind, ir.TensorType) or (depth + optional and isinstance(kind, ir.DataType))
    return Form(optional, depth) if dense else None


class Kind(Enum):
    """The kinds of domain, named as reports show them."""

    REAL = "real"
    POSITIVE = "positive"
    UNIT = "between 0 and 1"
    INDEX = "index"
    MASK = "mask"
    POSITION = "positions"
    LENGTH = "lengths"
    SIZE = "size"
    CHOICE = "choice"
    INTEGER = "integer"
    BOOL = "bool"
    STRING = "text"


class Domain(Struct, frozen=True, eq=False):
    """What an input may hold.

    Attributes:
        kind: of which kind it is.
        low: least value of the integer kinds.
        high: greatest value of the integer kinds.
        least: least value of a real input.
        most: greatest value of a real input.
        choices: the values of a choice; those of an index, or of a single real number, that the
            graph asks for.
        centre: mean of a real input, where the graph tells it: per channel on axis 1, or
            broadcast.
        spread: standard deviation, likewise.
        inverted: of a mask, whether true hides.
        optional: whether the model asks if it is there.
        widest: of whole numbers, between which larger ones are tried too; twice the same for none.
        count: of a sequence, how many tensors it is drawn with; 0 for any other.
        why: what in the graph says so.
    """

    kind: Kind
    low: int = 0
    high: int = 0
    least: float = -math.inf
    most: float = math.inf
    choices: tuple[float | str, ...] = ()
    centre: Array | None = None
    spread: Array | None = None
    inverted: bool = False
    optional: bool = False
    widest: tuple[int, int] = (0, 0)
    count: int = 0
    why: str = ""

    def __str__(self) -> str:
        if self.kind in (Kind.INDEX, Kind.SIZE, Kind.INTEGER, Kind.POSITION):
            return f"{self.kind.value} {self.low}..{self.high}"
        if self.kind is Kind.CHOICE:
            return f"one of {', '.join(map(str, self.choices))}"
        if self.kind is Kind.REAL and (math.isfinite(self.least) or math.isfinite(self.most)):
            least, most = (0.0 if abs(end) < _NOTHING else end for end in (self.least, self.most))
            return f"{self.kind.value} {least:.4g}..{most:.4g}"
        return str(self.kind.value)
