"""What operators with constants do to the elements of an input, and how a range comes back.

    y = f(x),   y must lie in [l, h]   ⇒   x must lie in f⁻¹([l, h])

Where f has several branches the one that most of the real line lies in is taken, so that log|x|
asks for nothing and log(max(x, 0)) for x > 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.feeds.ranges import ANYTHING, LEAST, Range
from normonnx.operators.kernels import Array
from normonnx.operators.names import onnx_name

_TINY = 1e-30

Back: TypeAlias = Callable[[Range], Range]


class Step(Struct, frozen=True, eq=False):
    """One operator on the way.

    Attributes:
        back: where its input must be for its output to be in a range.
        scale: factor of an affine step, None for any other.
        shift: what an affine step adds.
    """

    back: Back
    scale: Array | None = None
    shift: Array | None = None

    def ahead(self, number: float) -> float | None:
        """What becomes of a number, if that is one number."""
        if self.scale is None or self.shift is None or max(self.scale.size, self.shift.size) > 1:
            return None
        return number * float(self.scale.reshape(-1)[0]) + float(self.shift.reshape(-1)[0])


def step_of(
    node: ir.Node, index: int, constant: Callable[[ir.Value | None], Array | None]
) -> Step | None:
    """What a node does to the elements of one of its inputs; None where that is not known.

    Args:
        node: an operator of ONNX.
        index: the input whose elements are followed.
        constant: the numbers of a value that is a constant.
    """
    name = onnx_name(node)
    if name in _ALONE:
        return Step(_ALONE[name]) if index == 0 else None
    if name == "Clip":
        return _clip(node, constant) if index == 0 else None
    if name not in _WITH_A_NUMBER or len(node.inputs) != 2:
        return None
    if node.inputs[0] is node.inputs[1]:
        return Step(_even(0.5)) if name == "Mul" else None
    other = constant(node.inputs[1 - index])
    if other is None or not other.size or not np.isfinite(other).all():
        return None
    return _WITH_A_NUMBER[name](other.astype(np.float64), index)


def _affine(scale: Array, shift: Array) -> Step:
    def back(wanted: Range) -> Range:
        if (scale > 0).all() == (scale < 0).all():  # of both signs, or zero
            return ANYTHING
        ends = (wanted.low - shift) / scale, (wanted.high - shift) / scale
        low, high = ends if scale.reshape(-1)[0] > 0 else ends[::-1]
        return Range(float(np.max(low)), float(np.min(high)))

    return Step(back, scale, shift)


_ONE, _ZERO = np.ones(()), np.zeros(())


def _add(other: Array, index: int) -> Step:
    return _affine(_ONE, other)


def _subtract(other: Array, index: int) -> Step:
    return _affine(_ONE, -other) if index == 0 else _affine(-_ONE, other)


def _multiply(other: Array, index: int) -> Step:
    return _affine(other, _ZERO)


def _divide(other: Array, index: int) -> Step | None:
    if index == 1:
        return Step(_reciprocal) if (other > 0).all() else None
    return _affine(1 / other, _ZERO) if other.all() else None


def _power(other: Array, index: int) -> Step | None:
    if index == 1 or other.size != 1:
        return None
    exponent = float(other.reshape(-1)[0])
    if exponent <= 0:
        return None
    return Step(_even(1 / exponent) if exponent % 2 == 0 else _odd(1 / exponent))


def _remainder(other: Array, index: int) -> Step | None:
    """Of x modulo m: the numbers from 0 to m − 1 are their own remainders."""
    if index == 1 or not (other > 0).all():
        return None
    most = float(other.min()) - 1

    def back(wanted: Range) -> Range:
        return ANYTHING if wanted.low <= 0 and wanted.high >= most else wanted & Range(0, most)

    return Step(back)


def _greatest(other: Array, index: int) -> Step:
    return _between(float(other.min()), math.inf)


def _least(other: Array, index: int) -> Step:
    return _between(-math.inf, float(other.max()))


def _between(least: float, most: float) -> Step:
    """Nothing is asked at an end that is cut off where that is allowed."""

    def back(wanted: Range) -> Range:
        return Range(
            -math.inf if least >= wanted.low else wanted.low,
            math.inf if most <= wanted.high else wanted.high,
        )

    return Step(back)


def _clip(node: ir.Node, constant: Callable[[ir.Value | None], Array | None]) -> Step:
    def end(name: str, index: int, default: float) -> float:
        attribute = node.attributes.get(name)
        if attribute is not None and not attribute.is_ref():
            return attribute.as_float()
        value = node.inputs[index] if index < len(node.inputs) else None
        found = constant(value)
        return default if found is None or found.size != 1 else float(found.reshape(-1)[0])

    return _between(end("min", 1, -math.inf), end("max", 2, math.inf))


def _same(wanted: Range) -> Range:
    return wanted


def _negative(wanted: Range) -> Range:
    return Range(-wanted.high, -wanted.low)


def _cone(wanted: Range) -> Range:
    """Of a sum: as many terms as there are keep a sign, and no size."""
    low = wanted.low if 0 <= wanted.low <= _TINY else -math.inf
    high = wanted.high if -_TINY <= wanted.high <= 0 else math.inf
    return Range(low, high)


def _relu(wanted: Range) -> Range:
    return Range(wanted.low if wanted.low > 0 else -math.inf, wanted.high)


def _even(root: float) -> Back:
    """Of |x|^(1/root), which is no number only where it is asked to be far from zero."""

    def back(wanted: Range) -> Range:
        high = max(wanted.high, 0.0) ** root
        return Range(-high, high) if wanted.low <= _TINY else Range(wanted.low**root, high)

    return back


def _odd(root: float) -> Back:
    def of(end: float) -> float:
        return math.copysign(abs(end) ** root, end)

    return lambda wanted: Range(of(wanted.low), of(wanted.high))


def _reciprocal(wanted: Range) -> Range:
    """Of c/x with c > 0, for x > 0."""
    return Range(LEAST) if 0 <= wanted.low <= _TINY and math.isinf(wanted.high) else ANYTHING


def _exponential(wanted: Range) -> Range:
    low = math.log(wanted.low) if wanted.low > _TINY else -math.inf
    return Range(low, math.log(wanted.high) if 0 < wanted.high < math.inf else math.inf)


def _logarithm(wanted: Range) -> Range:
    def of(end: float) -> float:
        return math.exp(end) if end < 700 else math.inf

    return Range(of(wanted.low), of(wanted.high))


def _square_root(wanted: Range) -> Range:
    return Range(max(wanted.low, 0.0) ** 2, max(wanted.high, 0.0) ** 2)


_ALONE: dict[str, Back] = {
    **dict.fromkeys(("Floor", "Ceil", "Round", "ReduceMean", "ReduceMax", "ReduceMin"), _same),
    **dict.fromkeys(("AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool"), _same),
    "ReduceSum": _cone,
    "Neg": _negative,
    "Abs": _even(1.0),
    "Relu": _relu,
    "Exp": _exponential,
    "Log": _logarithm,
    "Sqrt": _square_root,
    "Reciprocal": _reciprocal,
}
_WITH_A_NUMBER: dict[str, Callable[[Array, int], Step | None]] = {
    "Add": _add,
    "Sub": _subtract,
    "Mul": _multiply,
    "Div": _divide,
    "Pow": _power,
    "Mod": _remainder,
    "Max": _greatest,
    "Min": _least,
}
