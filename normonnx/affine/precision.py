"""Which maps may not be moved or merged: digits would be lost, or it was meant that they are.

    y = W·((x − m)/s)   →   y = W′·x + B′

x − m is exact where x lies near m, and y is as large as W. W′·x and B′ are as large as W·m/s and
cancel: log2(|m|/s) bits are lost on the data that the model was made for.

    x + m − m   →   x

x + m is rounded to the unit in the last place of m, and so log2(m/|x|) bits of x went; as one map
they would stay.

Either may be a quarter of the type's bits: 6 of float32's 24, 2.75 of float16's 11, 2 of bfloat16's
8. That is |m| ≤ 64·s in float32. The spread s is what the model says it is: the standard deviation
of a BatchNormalization, what a Div or Mul behind the shift divides by, a quarter of the range of a
Clip or of an 8-bit integer before it. Where nothing says it, it is taken to be UNSTATED_SPREAD.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.affine.map import AffineMap
from normonnx.affine.recognise import Affine
from normonnx.affine.weights import describe
from normonnx.journal import RefusedError
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context

BITS = {
    ir.DataType.BFLOAT16: 8,
    ir.DataType.FLOAT16: 11,
    ir.DataType.FLOAT: 24,
    ir.DataType.DOUBLE: 53,
}
"""How many binary digits a number of each type has."""

UNSTATED_SPREAD = 4.0
"""How far numbers lie apart where the model does not say it: as the pixels of a dim picture do."""

_QUARTER = 4
_BYTES = frozenset({ir.DataType.UINT8, ir.DataType.INT8})


class Data(Struct, frozen=True):
    """Where the numbers lie that a map is applied to, per channel or for all.

    Attributes:
        centre: what the first shift takes to 0.
        spread: how far they lie around it, None where no node says it.
        unit: what the scales before the shift take to 1.
    """

    centre: np.ndarray
    spread: np.ndarray | None
    unit: np.ndarray


def data_of(site: Affine, before: AffineMap, data: Data | None) -> Data | None:
    """Where x lies, as far as it is known from the maps up to a site.

    Args:
        site: a map of before(x).
        before: the maps between x and the site, the identity if there are none.
        data: what these say of x; None if there is no shift among them.
    """
    whole = site.map.after(before)
    if whole is None or (data is not None and data.spread is not None):
        return data
    with np.errstate(all="ignore"):
        unit = np.abs(1.0 / before.a)
        if site.mean is not None and site.deviation is not None:
            return Data((site.mean - before.b) / before.a, site.deviation * unit, unit)
        if data is None:
            return None if site.map.is_scale else Data(centre_of(whole), None, unit)
        if site.map.is_shift:
            return Data(centre_of(whole), None, data.unit)
        return scaled(data, whole)


def centre_of(m: AffineMap) -> np.ndarray:
    """How far from 0 a map takes its input to 0; 0 where it gives a constant."""
    centre: np.ndarray = np.divide(-m.b, m.a, out=np.zeros_like(m.a), where=m.a != 0)
    return centre


def scaled(data: Data, whole: AffineMap) -> Data:
    """The same, where `whole` ends in a scale behind the shift; a change of sign says nothing."""
    if (np.abs(whole.a) == 1.0 / data.unit).all():
        return data
    with np.errstate(all="ignore"):
        return Data(data.centre, np.abs(1.0 / whole.a), data.unit)


def must_keep_digits(
    context: Context, data: Data | None, source: ir.Value, dtype: ir.DataType | None, doing: str
) -> None:
    """Refuse what would put a shift behind products that it cancels with.

    Args:
        context: of the run.
        data: where the numbers of `source` lie, None if no shift is moved.
        source: what the shift is applied to.
        dtype: the type in which the products will be.
        doing: what is refused, such as ``moving it behind Gemm 'fc'``.

    Raises:
        RefusedError: if more than a quarter of the type's bits would be lost.
    """
    bits = None if dtype is None else BITS.get(dtype)
    if data is None or dtype is None or bits is None:
        return
    spread = data.spread if data.spread is not None else _spread_of(context, source, data.unit)
    lost, centre, width = np.broadcast_arrays(_bits(data.centre, spread), data.centre, spread)
    if lost.max(initial=0.0) <= bits / _QUARTER:
        return
    place = int(np.argmax(lost))
    channel = f" in channel {place}" if lost.ndim else ""
    stated = "that spread by" if data.spread is not None else "taken to spread by"
    raise RefusedError(
        f"{doing} would lose {round(min(lost.flat[place], bits))} of the {bits} bits of "
        f"{dtype.name.lower()}: it centres numbers around {centre.flat[place]:.3g} {stated} "
        f"{width.flat[place]:.3g}{channel}",
        is_notable=True,
    )


def _spread_of(context: Context, source: ir.Value, unit: np.ndarray) -> np.ndarray:
    """A quarter of the range that a Clip or the type of integers leaves, else the usual."""
    producer = source.producer()
    if producer is not None and onnx_name(producer) == "Clip" and len(producer.inputs) > 2:
        low, high = (context.constants.float64(value) for value in producer.inputs[1:3])
        if low is not None and high is not None and low.size == high.size == 1:
            return np.asarray(np.abs(high - low).reshape(()) / _QUARTER)
    is_cast = producer is not None and onnx_name(producer) == "Cast"
    if producer is not None and is_cast and context.shapes.dtype(producer.inputs[0]) in _BYTES:
        return np.asarray(256 / _QUARTER)
    return UNSTATED_SPREAD * unit


def must_not_cancel(
    inner: AffineMap, outer: AffineMap, dtype: ir.DataType | None, *, of: str
) -> None:
    """Refuse to make one map of two whose shifts, or scales, were there to round.

    Args:
        inner: the map that is applied first.
        outer: the map that is applied to what it gives.
        dtype: the type of the numbers in between.
        of: both, for a sentence.

    Raises:
        RefusedError: if the numbers in between lose more than a quarter of their bits, or leave
            the range of their type.
    """
    bits = None if dtype is None else BITS.get(dtype)
    whole = outer.after(inner)
    if whole is None or dtype is None or bits is None:
        return
    shift = np.abs(outer.a * inner.b)
    lost = _bits(shift, np.maximum(np.abs(whole.b), UNSTATED_SPREAD * np.abs(whole.a)))
    lost = np.where(whole.a == 0, 0.0, lost)  # a constant is none the worse
    if not outer.is_scale and lost.max(initial=0.0) > bits / _QUARTER:
        raise RefusedError(
            f"the shifts of {of} cancel: the numbers in between are rounded to the digits of "
            f"{np.abs(inner.b).max():.3g}, {round(min(lost.max(), bits))} of the {bits} "
            f"bits of {dtype.name.lower()} fewer than without them",
            is_notable=True,
        )
    limits = ml_dtypes.finfo(dtype.numpy())
    high, low = np.sqrt(float(limits.max)), np.sqrt(float(limits.smallest_subnormal))
    a, product = np.abs(inner.a), np.abs(whole.a)
    outside = ((a > high) & (product <= high)) | ((a < low) & (product >= low))
    if outside.any():
        raise RefusedError(
            f"the scales of {of} cancel: the numbers in between leave the range of "
            f"{dtype.name.lower()} where one scale would not",
            is_notable=True,
        )


def must_have_room(
    node: ir.Node, m: AffineMap, dtype: ir.DataType | None, terms: int | None, *, behind: bool
) -> None:
    """Refuse to make the terms of a float16 sum or mean so much larger that it may overflow.

    Numbers and sums are given half of the type's exponents each: 256 is what a scale and the number
    of terms may make together.

    Args:
        node: what sums.
        m: the map that moves to its other side.
        dtype: the type of the terms.
        terms: how many there are, None where that is not known.
        behind: whether the map moves behind the sum, so that its scale is missing in front.
    """
    if dtype is not ir.DataType.FLOAT16:
        return
    with np.errstate(all="ignore"):
        growth = float(np.max(1.0 / np.abs(m.a) if behind else np.abs(m.a), initial=0.0))
    if growth <= 1.0:
        return
    room = float(np.sqrt(float(ml_dtypes.finfo(dtype.numpy()).max)))
    if terms is None or terms * growth > room:
        count = "an unknown number of" if terms is None else str(terms)
        raise RefusedError(
            f"{describe(node)} adds {count} numbers in float16, which may overflow when they are "
            f"{growth:.3g} times as large",
            "keep this layer in float32",
            is_notable=True,
        )


def _bits(large: np.ndarray, small: np.ndarray) -> np.ndarray:
    """log2(large/small), 0 where that is no number."""
    with np.errstate(all="ignore"):
        bits = np.log2(np.abs(large) / small)
    return np.where(np.isfinite(bits) | (bits == np.inf), np.maximum(bits, 0.0), 0.0)
