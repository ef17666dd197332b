"""What an input may hold, found by following it through the graph to the operators that read it.

An index must lie inside the table it looks up, a mask is 0 or 1, a length is at most the sequence.
Random numbers outside that domain test nothing, or nothing but the runtime's error messages.
"""

from __future__ import annotations

import re
from enum import Enum

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.feeds.trace import Functions, Reading, constant, number, readings
from normonnx.operators.kernels import Array
from normonnx.operators.names import MICROSOFT, onnx_name


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
        choices: the values of a choice.
        centre: mean per channel on axis 1 of a real input, where the first operator tells it.
        spread: standard deviation per channel, likewise.
        why: what in the graph says so.
    """

    kind: Kind
    low: int = 0
    high: int = 0
    choices: tuple[int | str, ...] = ()
    centre: Array | None = None
    spread: Array | None = None
    why: str = ""

    def __str__(self) -> str:
        if self.kind in (Kind.INDEX, Kind.SIZE, Kind.INTEGER, Kind.POSITION):
            return f"{self.kind.value} {self.low}..{self.high}"
        if self.kind is Kind.CHOICE:
            return f"one of {', '.join(map(str, self.choices))}"
        return str(self.kind.value)


_TEXTS = ("", "a", "Hello, world", "the quick brown fox", "ÄÖÜ ß", "12 3.5", "x" * 40)
_MASKED = re.compile(r"mask", re.IGNORECASE)
_NOT_A_MASK = re.compile(r"position|token|label|_id|ids", re.IGNORECASE)
_POSITION = re.compile(r"position|pos_id", re.IGNORECASE)
_LENGTH = re.compile(r"len(gth)?s?$|_len(gth)?s?_|seq_len", re.IGNORECASE)
_PROBABILITY = re.compile(r"prob|conf(idence)?$", re.IGNORECASE)

# (operator, input) → what reading an integer there means
_LENGTH_INPUTS = frozenset((("LSTM", 4), ("GRU", 4), ("RNN", 4), ("ReverseSequence", 1)))
_SIZE_INPUTS = frozenset(
    (op, index)
    for op, indices in {
        "Reshape": (1,),
        "Expand": (1,),
        "ConstantOfShape": (0,),
        "Range": (0, 1, 2),
        "Tile": (1,),
        "Slice": (1, 2, 4),
        "Resize": (3,),
        "TopK": (1,),
        "Loop": (0,),
        "Split": (1,),
        "OneHot": (1,),
        "Pad": (1,),
    }.items()
    for index in indices
)
_AXIS_INPUTS = frozenset(
    (op, index)
    for op, index in (("Unsqueeze", 1), ("Squeeze", 1), ("CumSum", 1), ("Slice", 3), ("Pad", 3))
)
_LOOKED_UP = frozenset(
    (name, 1) for name in ("Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND")
)
_ALONG_AN_AXIS = frozenset(("Gather", "GatherElements"))
_MADE_A_TRUTH = frozenset(("Cast", "Not", "Where"))
_COMPARED = frozenset(("Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"))
_POSITIVE_INPUTS = frozenset((("Log", 0), ("Sqrt", 0), ("Div", 1), ("Reciprocal", 0)))
_LARGEST_SIZE = 4


def domain_of(value: ir.Value, functions: Functions) -> Domain:
    """The domain of one input of a model.

    Args:
        value: an input of the main graph with a known type.
        functions: the functions of the model.
    """
    found = list(readings(value, functions))
    name = str(value.name)
    dtype = value.dtype or ir.DataType.FLOAT
    if dtype == ir.DataType.STRING:
        return _text(found)
    if dtype == ir.DataType.BOOL:
        return Domain(Kind.BOOL, why="its type")
    if dtype.is_integer():
        return _integer(name, dtype, found)
    return _real(name, found)


def _text(found: list[Reading]) -> Domain:
    for reading in found:
        keys = reading.node.attributes.get("keys_strings")
        if keys is not None:
            return Domain(
                Kind.CHOICE, choices=tuple(keys.as_strings()), why=f"keys of {_title(reading)}"
            )
    return Domain(Kind.STRING, choices=_TEXTS, why="its type")


def _integer(name: str, dtype: ir.DataType, found: list[Reading]) -> Domain:
    if _is_mask(name):
        return Domain(Kind.MASK, 0, 1, why="its name")
    index = _index(found)
    if index is not None:
        kind = Kind.POSITION if _POSITION.search(name) else Kind.INDEX
        return Domain(kind, index.low, index.high, why=index.why)
    return _counted(found) or _by_name_or_type(name, dtype, found)


def _is_mask(name: str) -> bool:
    return bool(_MASKED.search(name)) and not _NOT_A_MASK.search(name)


def _counted(found: list[Reading]) -> Domain | None:
    """The domain of lengths, sizes and axes, if it is read as one of them."""
    for table, kind, low, high in (
        (_LENGTH_INPUTS, Kind.LENGTH, 1, 1),
        (_SIZE_INPUTS, Kind.SIZE, 1, _LARGEST_SIZE),
        (_AXIS_INPUTS, Kind.SIZE, 0, 0),
    ):
        for reading in found:
            if (onnx_name(reading.node), reading.index) in table:
                return Domain(kind, low, high, why=_title(reading))
    return None


def _by_name_or_type(name: str, dtype: ir.DataType, found: list[Reading]) -> Domain:
    if _LENGTH.search(name):
        return Domain(Kind.LENGTH, 1, 1, why="its name")
    compared = _compared_with(found)
    if compared - {0, 1}:
        return Domain(Kind.CHOICE, choices=tuple(sorted(compared)), why="what it is compared with")
    if _POSITION.search(name):
        return Domain(Kind.POSITION, 0, 127, why="its name")
    if dtype in (ir.DataType.UINT8, ir.DataType.INT8):
        low = 0 if dtype == ir.DataType.UINT8 else -128
        return Domain(Kind.INTEGER, low, low + 255, why="its type")
    if compared or any(onnx_name(r.node) in _MADE_A_TRUTH for r in found):
        return Domain(Kind.MASK, 0, 1, why="it is compared or made a float, and no index")
    return Domain(Kind.INTEGER, 0, 7, why="its type")


def _real(name: str, found: list[Reading]) -> Domain:
    if _is_mask(name):
        return Domain(Kind.MASK, 0, 1, why="its name")
    index = _index([r for r in found if r.way.truncated])
    if index is not None:
        return index
    for reading in found:
        if (onnx_name(reading.node), reading.index) in _POSITIVE_INPUTS:
            return Domain(Kind.POSITIVE, why=_title(reading))
    if _PROBABILITY.search(name):
        return Domain(Kind.UNIT, why="its name")
    for reading in found:
        hint = _statistics(reading)
        if hint is not None:
            return hint
    return Domain(Kind.REAL, why="its type")


def _index(found: list[Reading]) -> Domain | None:
    """The rows that every table has which this input looks up."""
    best: Domain | None = None
    for reading in found:
        rows = _rows(reading)
        if rows is None:
            continue
        low, high = max(0, -reading.way.offset), rows - 1 - reading.way.offset
        if high >= low and (best is None or high < best.high):
            best = Domain(Kind.INDEX, low, high, why=_title(reading))
    return best


def _rows(reading: Reading) -> int | None:
    """How many rows the table has that is looked up here, or None if nothing is looked up."""
    node, index = reading.node, reading.index
    if (node.domain, node.op_type) == (MICROSOFT, "EmbedLayerNormalization"):
        return _extent(node.inputs[2 + index], 0) if index < 2 else None
    name = onnx_name(node)
    if (name, index) == ("OneHot", 0):
        depth = number(node.inputs[1])
        return None if depth is None else int(depth)
    if (name, index) not in _LOOKED_UP:
        return None
    axis = node.attributes.get("axis") if name in _ALONG_AN_AXIS else None
    rows = _extent(node.inputs[0], 0 if axis is None else axis.as_int())
    return 1 if rows is None else rows


def _extent(value: ir.Value | None, axis: int) -> int | None:
    tensor = constant(value)
    shape = value.shape if tensor is None and value is not None else getattr(tensor, "shape", None)
    dim = shape[axis] if shape else None
    return dim if isinstance(dim, int) else None


def _compared_with(found: list[Reading]) -> set[int]:
    result = set()
    for reading in found:
        if onnx_name(reading.node) in _COMPARED:
            other = number(reading.node.inputs[1 - reading.index])
            if other is not None and other == int(other):
                result.add(int(other) - reading.way.offset)
    return result


def _statistics(reading: Reading) -> Domain | None:
    """A real input that is normalised at once is drawn as what it was normalised for."""
    node = reading.node
    if onnx_name(node) != "BatchNormalization" or reading.index != 0 or not reading.way.direct:
        return None
    mean, variance = constant(node.inputs[3]), constant(node.inputs[4])
    if mean is None or variance is None:
        return None
    centre = np.asarray(mean.numpy(), dtype=np.float64)
    spread = np.sqrt(np.abs(np.asarray(variance.numpy(), dtype=np.float64)))
    return Domain(Kind.REAL, centre=centre, spread=spread, why=f"statistics of {_title(reading)}")


def _title(reading: Reading) -> str:
    name = reading.node.name
    return f"{reading.node.op_type} '{name}'" if name else reading.node.op_type
