"""What an input may hold, found by following it through the graph to the operators that read it.

An index must lie inside the table it looks up, a mask is 0 or 1, a length is at most the sequence.
Random numbers outside that domain test nothing, or nothing but the runtime's error messages.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np
import onnx_ir as ir
from msgspec.structs import replace

from normonnx.feeds.demands import (
    allowed,
    beside,
    compared_with,
    elements_of_sequence,
    hidden,
    hides,
    statistics,
    titled,
)
from normonnx.feeds.extent import AXIS_INPUTS, LENGTH_INPUTS, LOOKED_UP, SIZE_INPUTS, is_free
from normonnx.feeds.kinds import Domain, Kind, form_of
from normonnx.feeds.ranges import Range
from normonnx.feeds.trace import Functions, Reading, constant, number, readings
from normonnx.operators.lookups import row_tables
from normonnx.operators.names import onnx_name

_TEXTS = ("", "a", "Hello, world", "the quick brown fox", "ÄÖÜ ß", "12 3.5", "x" * 40)
_TEXT_ATTRIBUTES = ("keys_strings", "cats_strings", "string_vocabulary", "pool_strings")
_MASKED = re.compile(r"mask", re.IGNORECASE)
_NOT_A_MASK = re.compile(r"position|token|label|_id|ids", re.IGNORECASE)
_POSITION = re.compile(r"position|pos_id", re.IGNORECASE)
_LENGTH = re.compile(r"len(gth)?s?$|_len(gth)?s?_|seq_len", re.IGNORECASE)
_PROBABILITY = re.compile(r"prob|conf(idence)?$", re.IGNORECASE)

_ALONG_AN_AXIS = frozenset(("Gather", "GatherElements"))
_MADE_A_TRUTH = frozenset(("Cast", "Not", "Where"))
_LARGEST_SIZE = 4
_LARGEST_BITS = 40
_FEW = 7
_SLACK, _NOTHING = 1e-9, 1e-30


def domain_of(value: ir.Value, functions: Functions) -> Domain:
    """The domain of one input of a model.

    Args:
        value: an input of the main graph with a known type.
        functions: the functions of the model.
    """
    found = list(readings(value, functions))
    asked = any(onnx_name(reading.node) == "OptionalHasElement" for reading in found)
    form = form_of(value)
    count = elements_of_sequence(found) if form is not None and form.depth else 0
    domain = _of_elements(str(value.name), value.dtype or ir.DataType.FLOAT, found)
    ends = _widest(value, domain, found, functions)
    return replace(domain, optional=asked, count=count, widest=ends)


def _widest(
    value: ir.Value, domain: Domain, found: list[Reading], functions: Functions
) -> tuple[int, int]:
    """Between which whole numbers those of any size may be drawn; twice the same for none."""
    dtype = value.dtype
    if dtype is None or not dtype.is_integer() or dtype.bitwidth <= 16:
        return 0, 0
    if domain.kind not in (Kind.INTEGER, Kind.MASK):
        return 0, 0
    if _is_mask(str(value.name)) or hidden(found) or not is_free(value, functions):
        return 0, 0
    range_, _ = allowed(found)
    most = 2 ** min(dtype.bitwidth - 2, _LARGEST_BITS)
    low, high = max(range_.low, -most, dtype.min), min(range_.high, most)
    return (math.ceil(low), math.floor(high)) if low < high else (0, 0)


def _of_elements(name: str, dtype: ir.DataType, found: list[Reading]) -> Domain:
    if dtype == ir.DataType.STRING:
        return _text(found)
    if dtype == ir.DataType.BOOL:
        return Domain(Kind.BOOL, inverted=hides(found), why="its type")
    if dtype.is_integer():
        return _integer(name, dtype, found)
    return _real(name, found)


def _text(found: list[Reading]) -> Domain:
    """Texts that the graph asks for, beside what they are compared with; any where it asks none."""
    asked = {text: titled(reading) for reading in reversed(found) for text in _texts(reading)}
    if not asked:
        return Domain(Kind.STRING, choices=_TEXTS, why="its type")
    compared = any(onnx_name(reading.node) == "Equal" for reading in found)
    others = [text for text in _TEXTS[1:] if text not in asked][:compared]
    why = f"texts of {next(reversed(asked.values()))}"
    return Domain(Kind.CHOICE, choices=(*reversed(asked), *others), why=why)


def _texts(reading: Reading) -> Iterator[str]:
    """The texts that a reader tells apart."""
    for name in _TEXT_ATTRIBUTES:
        attribute = reading.node.attributes.get(name)
        if attribute is not None and not attribute.is_ref():
            yield from reversed(attribute.as_strings())
    if onnx_name(reading.node) == "Equal":
        tensor = constant(reading.node.inputs[1 - reading.index])
        if tensor is not None and tensor.dtype == ir.DataType.STRING:
            for text in np.asarray(tensor.numpy()).reshape(-1).tolist():
                yield text.decode() if isinstance(text, bytes) else text


def _integer(name: str, dtype: ir.DataType, found: list[Reading]) -> Domain:
    if _is_mask(name):
        return Domain(Kind.MASK, 0, 1, inverted=hides(found), why="its name")
    index = _index(found)
    if index is not None:
        kind = Kind.POSITION if _POSITION.search(name) else Kind.INDEX
        asked = tuple(n for n in compared_with(found) if index.low <= n <= index.high)
        return replace(index, kind=kind, choices=asked)
    return _counted(found) or _by_name_or_type(name, dtype, found)


def _is_mask(name: str) -> bool:
    return bool(_MASKED.search(name)) and not _NOT_A_MASK.search(name)


def _counted(found: list[Reading]) -> Domain | None:
    """The domain of lengths, sizes and axes, if it is read as one of them."""
    for table, kind, low, high in (
        (LENGTH_INPUTS, Kind.LENGTH, 1, 1),
        (SIZE_INPUTS, Kind.SIZE, 1, _LARGEST_SIZE),
        (AXIS_INPUTS, Kind.SIZE, 0, 0),
    ):
        for reading in found:
            if (onnx_name(reading.node), reading.index) in table:
                return Domain(kind, low, high, why=titled(reading))
    return None


def _by_name_or_type(name: str, dtype: ir.DataType, found: list[Reading]) -> Domain:
    if _LENGTH.search(name):
        return Domain(Kind.LENGTH, 1, 1, why="its name")
    asked = tuple(n for n in compared_with(found) if dtype.min <= n <= dtype.max)
    if set(asked) - {0, 1}:
        return Domain(Kind.CHOICE, choices=asked, why="what it is compared with")
    if _POSITION.search(name):
        return Domain(Kind.POSITION, 0, 127, why="its name")
    range_, why = allowed(found)
    low = math.ceil(max(range_.low, dtype.min))
    if dtype.bitwidth <= 16:
        high = math.floor(min(range_.high, dtype.max))
        return Domain(Kind.INTEGER, low, max(low, high), why=why or "its type")
    if range_.is_everything and (asked or any(onnx_name(r.node) in _MADE_A_TRUTH for r in found)):
        why = "it is compared or made a float, and no index"
        return Domain(Kind.MASK, 0, 1, inverted=hides(found), why=why)
    low = max(0, low) if range_.high >= 0 else math.floor(range_.high) - _FEW
    high = math.floor(min(range_.high, low + _FEW))
    return Domain(Kind.INTEGER, low, max(low, high), why=why or "its type")


def _real(name: str, found: list[Reading]) -> Domain:
    if _is_mask(name):
        return Domain(Kind.MASK, 0, 1, inverted=hides(found), why="its name")
    index = _index([r for r in found if r.way.truncated])
    if index is not None:
        return index
    range_, why = allowed(found)
    if 0 <= range_.low < _NOTHING and math.isinf(range_.high):
        return Domain(Kind.POSITIVE, least=0.0, why=why)
    if range_.is_everything and _PROBABILITY.search(name):
        return Domain(Kind.UNIT, why="its name")
    centred = next(filter(None, map(statistics, found)), None)
    asked = tuple(n for n in beside(found) if range_.low <= n <= range_.high)
    domain = Domain(
        Kind.REAL, least=range_.low, most=range_.high, choices=asked, why=why or "its type"
    )
    if centred is None:
        return domain
    title = f"statistics of {titled(centred.reading)}"
    return replace(domain, centre=centred.centre, spread=centred.spread, why=why or title)


def _index(found: list[Reading]) -> Domain | None:
    """The rows that every table has which this input looks up."""
    best: Domain | None = None
    for reading in found:
        rows = _rows(reading)
        if rows is None:
            continue
        range_ = reading.way.back(Range(0, rows - 1))
        if range_.is_everything:  # clipped on the way
            range_ = Range(0, rows - 1)
        low, high = max(0, math.ceil(range_.low - _SLACK)), range_.high + _SLACK
        if high >= low and (best is None or high < best.high):
            best = Domain(Kind.INDEX, low, math.floor(min(high, 2**31)), why=titled(reading))
    return best


def _rows(reading: Reading) -> int | None:
    """How many rows the table has that is looked up here, or None if nothing is looked up."""
    node, index = reading.node, reading.index
    if index in row_tables(node).values():
        return _rows_of_operator(node, index)
    name = onnx_name(node)
    if (name, index) == ("OneHot", 0):
        depth = number(node.inputs[1])
        return None if depth is None else int(depth)
    if (name, index) == ("RoiAlign", 2):
        return _extent(node.inputs[0], 0) or 1
    if (name, index) not in LOOKED_UP:
        return None
    axis = node.attributes.get("axis") if name in _ALONG_AN_AXIS else None
    rows = _extent(node.inputs[0], 0 if axis is None else axis.as_int())
    return 1 if rows is None else rows


def _rows_of_operator(node: ir.Node, index: int) -> int | None:
    """The rows of the table of an operator that looks them up and computes."""
    table = next(table for table, place in row_tables(node).items() if place == index)
    rows = _extent(node.inputs[table], 0)
    # A single number is that of the first of several rows.
    return rows // 2 + 1 if rows and _is_single(node.inputs[index]) else rows


def _is_single(value: ir.Value | None) -> bool:
    return value is not None and value.shape is not None and list(value.shape) == [1]


def _extent(value: ir.Value | None, axis: int) -> int | None:
    tensor = constant(value)
    shape = value.shape if tensor is None and value is not None else getattr(tensor, "shape", None)
    dim = shape[axis] if shape else None
    return dim if isinstance(dim, int) else None
