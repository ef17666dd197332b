"""What the readers of an input ask of it: ranges, numbers to compare with, masks, statistics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from msgspec import Struct

from normonnx.feeds.ranges import ANYTHING, LEAST, Range
from normonnx.feeds.trace import Reading, number, numbers
from normonnx.operators.kernels import Array
from normonnx.operators.names import MACHINE_LEARNING, onnx_name

_POSITIVE, _UNIT, _SINE = Range(LEAST), Range(0, 1), Range(-1, 1)
_RANGES: Mapping[tuple[str, int], Range] = {
    **dict.fromkeys((("Log", 0), ("Reciprocal", 0), ("Div", 1), ("Mod", 1)), _POSITIVE),
    ("Sqrt", 0): Range(0),
    ("Acos", 0): _SINE,
    ("Asin", 0): _SINE,
    ("Atanh", 0): Range(-0.99, 0.99),
    ("Acosh", 0): Range(1),
    ("Bernoulli", 0): _UNIT,
    ("Dropout", 1): Range(0, 0.9),
    ("NonMaxSuppression", 3): _UNIT,
    **dict.fromkeys((("QuantizeLinear", 1), ("DequantizeLinear", 1)), _POSITIVE),
    ("BatchNormalization", 4): Range(0),
    **dict.fromkeys((("Resize", 2), ("Upsample", 1)), Range(1, 2)),
}
"""(operator, input) → where what is read there has to lie."""

# operator → what makes it true, and what does not, around the number that it compares with
_COMPARED: Mapping[str, Callable[[int], tuple[int, int]]] = {
    "Equal": lambda c: (c, c + 1 if c <= 0 else c - 1),
    "Greater": lambda c: (c + 1, c),
    "GreaterOrEqual": lambda c: (c, c - 1),
    "Less": lambda c: (c - 1, c),
    "LessOrEqual": lambda c: (c, c + 1),
}
_TURNED: Mapping[str, str] = {
    "Greater": "Less",
    "GreaterOrEqual": "LessOrEqual",
    "Less": "Greater",
    "LessOrEqual": "GreaterOrEqual",
}
_MOST_COMPARED = 8
_FEW_TENSORS, _MOST_TENSORS = 3, 256
_HIDDEN = -1e3
"""What is as low as this before a Softmax is hidden."""
_FAR = 4.0
"""A mean beyond this is not met by numbers around zero."""


def titled(reading: Reading) -> str:
    """The node that reads."""
    name = reading.node.name
    return f"{reading.node.op_type} '{name}'" if name else reading.node.op_type


def allowed(found: list[Reading]) -> tuple[Range, str]:
    """Where an input must lie, and who says so first; nearer readers go before farther ones."""
    result, why = ANYTHING, ""
    for reading in found:
        wanted = _wanted(reading)
        if wanted is None:
            continue
        narrower = result & reading.way.back(wanted)
        if narrower != result and not narrower.is_empty:
            result, why = narrower, why or titled(reading)
    return result, why


def _wanted(reading: Reading) -> Range | None:
    name = onnx_name(reading.node)
    if name == "Pow" and reading.index == 0:
        exponent = number(reading.node.inputs[1])
        if exponent is None or exponent < 0:
            return _POSITIVE
        return None if exponent == int(exponent) else Range(0)
    if name == "Div" and reading.node.inputs[0] is reading.node.inputs[1]:
        return None
    return _RANGES.get((name, reading.index))


def compared_with(found: list[Reading]) -> tuple[int, ...]:
    """The whole numbers that decide comparisons: the constants first, then their neighbours."""
    first: dict[int, None] = {}
    then: dict[int, None] = {}
    for reading in found:
        name = onnx_name(reading.node)
        if name not in _COMPARED:
            continue
        if reading.index == 1:
            name = _TURNED.get(name, name)
        for constant in _constants(reading):
            for kept, asked in zip((first, then), _COMPARED[name](constant), strict=True):
                range_ = reading.way.back(Range(asked, asked))
                if math.isfinite(range_.low):
                    kept[math.ceil(range_.low - 1e-9)] = None
    return tuple({**dict.fromkeys(sorted(first)), **dict.fromkeys(sorted(then))})


def beside(found: list[Reading]) -> tuple[float, ...]:
    """Real numbers on both sides of those that decide comparisons; of equality, the number too."""
    asked: dict[float, None] = {}
    for reading in found:
        name = onnx_name(reading.node)
        other = number(reading.node.inputs[1 - reading.index]) if name in _COMPARED else None
        if other is None or not math.isfinite(other):
            continue
        step = max(1.0, abs(other)) / 2
        places = (other + step, other - step, *([other] if name == "Equal" else []))
        ends = (reading.way.back(Range(place, place)).low for place in places)
        asked.update(dict.fromkeys(filter(math.isfinite, ends)))
    return tuple(asked)


def _constants(reading: Reading) -> Iterator[int]:
    others = numbers(reading.node.inputs[1 - reading.index])
    if others is not None and others.size <= _MOST_COMPARED and others.dtype.kind in "iuf":
        for other in np.unique(others):
            if math.isfinite(other):
                yield math.floor(other)


def elements_of_sequence(found: list[Reading]) -> int:
    """How many tensors a sequence has: a few, and as many as are read from it by number."""
    count = _FEW_TENSORS
    for reading in found:
        if onnx_name(reading.node) == "SequenceAt" and reading.index == 0:
            place = number(reading.node.inputs[1])
            if place is not None:
                count = max(count, int(place) + 1 if place >= 0 else int(-place))
    return min(count, _MOST_TENSORS)


def hides(found: list[Reading]) -> bool:
    """Whether it is by true, or 1, that a mask hides: where that makes scores very small."""
    for reading in found:
        when = _hidden_when(reading)
        if when is not None:
            return when
    return False


def hidden(found: list[Reading]) -> bool:
    """Whether a mask hides by what is read."""
    return any(_hidden_when(reading) is not None for reading in found)


def _hidden_when(reading: Reading) -> bool | None:
    name, node = onnx_name(reading.node), reading.node
    if name == "Where" and reading.index == 0:
        ends = [_is_low(numbers(value)) for value in node.inputs[1:]]
        return None if ends[0] == ends[1] else ends[0] != reading.way.negated
    if name == "Mul":
        factor = number(node.inputs[1 - reading.index])
        zero, one = reading.way.ahead(0.0), reading.way.ahead(1.0)
        if factor is None or zero is None or one is None:
            return None
        low = [factor * end <= _HIDDEN for end in (zero, one)]
        return None if low[0] == low[1] else low[1] != reading.way.negated
    return None


def _is_low(filled: Array | None) -> bool:
    return filled is not None and filled.size > 0 and bool((filled <= _HIDDEN).all())


class Centred(Struct, frozen=True, eq=False):
    """Where an input lies by the numbers that its first readers centre it with."""

    centre: Array
    spread: Array
    reading: Reading


def statistics(reading: Reading) -> Centred | None:
    """A real input that is normalised at once is drawn as what it was normalised for."""
    if not reading.way.direct or reading.way.steps or reading.index:
        return None
    name = onnx_name(reading.node)
    if name == "BatchNormalization":
        return _normalised(reading)
    if (reading.node.domain, reading.node.op_type) == (MACHINE_LEARNING, "Scaler"):
        return _scaled(reading)
    return _subtracted(reading) if name in ("Sub", "Add") else None


def _normalised(reading: Reading) -> Centred | None:
    mean, variance = (numbers(value) for value in reading.node.inputs[3:5])
    if mean is None or variance is None:
        return None
    return Centred(_wide(mean), np.sqrt(np.abs(_wide(variance))), reading)


def _scaled(reading: Reading) -> Centred | None:
    offset, scale = (reading.node.attributes.get(key) for key in ("offset", "scale"))
    if offset is None or scale is None or not all(scale.as_floats()):
        return None
    return Centred(_wide(offset.as_floats()), 1 / np.abs(_wide(scale.as_floats())), reading)


def _subtracted(reading: Reading) -> Centred | None:
    """A mean that is taken away, and the deviation that is divided by next."""
    node = reading.node
    other = numbers(node.inputs[1])
    if other is None or not other.size or other.dtype.kind != "f":
        return None
    far = np.isfinite(other) & (np.abs(other) >= _FAR)
    if not far.any() or not np.abs(other).all():  # zeros beside what is far: it hides some places
        return None
    centre = _wide(other) if onnx_name(node) == "Sub" else -_wide(other)
    for reader, index in node.outputs[0].uses():
        factor = numbers(reader.inputs[1 - index]) if onnx_name(reader) in ("Div", "Mul") else None
        if factor is not None and factor.all() and index == 0:
            spread = np.abs(_wide(factor))
            return Centred(centre, spread if onnx_name(reader) == "Div" else 1 / spread, reading)
    return Centred(centre, np.maximum(1.0, np.abs(centre) / 3), reading)


def _wide(numbers: object) -> Array:
    return np.asarray(numbers, dtype=np.float64)
