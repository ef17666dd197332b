"""The values of one input of one feed: its domain, drawn from its own stream of random numbers."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from normonnx.feeds.kinds import Domain, Kind
from normonnx.feeds.whole import Family, Random, of_any_size, whole
from normonnx.operators.kernels import Array

_MARGIN = 0.1
"""How far inside of a range values stay, where that is wide."""

_MOST_VARIANTS = 8


def stream(seed: int, draw: int, name: str) -> Random:
    """The random numbers of one input: adding an input never changes another's."""
    sequence = np.random.SeedSequence([seed, draw, zlib.crc32(name.encode())])
    return np.random.Generator(np.random.PCG64(sequence))


def values(
    domain: Domain,
    shape: tuple[int, ...],
    dtype: ir.DataType,
    family: Family,
    random: Random,
    *,
    extent: int,
    variant: int = 0,
) -> Array:
    """Draw a tensor; of rank 0 it is an array too, as ONNX Runtime takes nothing else.

    Args:
        domain: what it may hold.
        shape: its shape.
        dtype: its type.
        family: distribution of real values; integers and masks vary with it as well.
        random: where the numbers come from.
        extent: the longest sequence of this feed, for lengths.
        variant: which of the `variants` it is.
    """
    drawn = _drawn(domain, shape, dtype, family, random, extent, variant)
    return np.asarray(drawn, dtype=object if dtype == ir.DataType.STRING else dtype.numpy())


def variants(domain: Domain, shape: tuple[int, ...]) -> int:
    """How many ways to draw a tensor there are to be tried one by one."""
    if domain.widest[0] < domain.widest[1]:
        return 2
    if math.prod(shape) != 1:
        return 1
    if domain.kind in (Kind.CHOICE, Kind.REAL):
        return max(1, min(len(domain.choices), _MOST_VARIANTS))
    return 2 if domain.kind is Kind.BOOL else 1


def _drawn(
    domain: Domain,
    shape: tuple[int, ...],
    dtype: ir.DataType,
    family: Family,
    random: Random,
    extent: int,
    variant: int,
) -> Array:
    if domain.kind in (Kind.REAL, Kind.POSITIVE, Kind.UNIT):
        if domain.choices and math.prod(shape) == 1:
            chosen = domain.choices[variant % len(domain.choices)]
            return _fitted(np.full(shape, chosen), dtype)
        unit = domain.kind is Kind.UNIT
        drawn = random.uniform(size=shape) if unit else _real(domain, shape, family, random)
        return _fitted(drawn, dtype)
    if domain.kind in (Kind.STRING, Kind.CHOICE):
        return _chosen(domain, shape, dtype, random, variant)
    if domain.kind is Kind.BOOL and math.prod(shape) == 1:
        return np.full(shape, variant == 0)
    if variant and domain.widest[0] < domain.widest[1]:
        return of_any_size(domain.widest, shape, random)
    return whole(domain, shape, family, random, extent)


def _normal(shape: tuple[int, ...], random: Random) -> Array:
    return random.standard_normal(shape)


def _uniform(shape: tuple[int, ...], random: Random) -> Array:
    return random.uniform(size=shape)


def _scaled(shape: tuple[int, ...], random: Random) -> Array:
    """Every sample with a size and an offset of its own."""
    each = (shape[0], *(1,) * (len(shape) - 1)) if shape else ()
    return random.standard_normal(shape) * 10 ** random.uniform(
        -1, 1, each
    ) + random.standard_normal(each)


def _wide(shape: tuple[int, ...], random: Random) -> Array:
    signs = random.choice([-1.0, 1.0], shape)
    drawn: Array = signs * 10 ** random.uniform(-4, 4, shape)
    return drawn


def _edge(shape: tuple[int, ...], random: Random) -> Array:
    """Mostly zeros of both signs, single ones, and the smallest numbers there are."""
    return random.choice([0.0, -0.0, 1.0, -1.0, 1e-40, -1e-40], shape, p=[0.4, 0.2, *[0.1] * 4])


_FAMILIES: dict[Family, Callable[[tuple[int, ...], Random], Array]] = {
    Family.NORMAL: _normal,
    Family.UNIFORM: _uniform,
    Family.SCALED: _scaled,
    Family.WIDE: _wide,
    Family.EDGE: _edge,
}


def _real(domain: Domain, shape: tuple[int, ...], family: Family, random: Random) -> Array:
    drawn = _FAMILIES[family](shape, random)
    if family is Family.NORMAL:
        drawn = _centred(drawn, domain)
    least = max(domain.least, 0.0) if domain.kind is Kind.POSITIVE else domain.least
    return _within(drawn, least, domain.most)


def _centred(drawn: Array, domain: Domain) -> Array:
    """Around the mean that the graph tells, per channel on axis 1 or broadcast."""
    if domain.centre is None or domain.spread is None:
        return drawn
    centre, spread, shape = domain.centre, domain.spread, drawn.shape
    if len(shape) >= 2 and centre.shape == (shape[1],):
        per_channel = (-1, *(1,) * (len(shape) - 2))
        centre = centre.reshape(per_channel)
        spread = spread if spread.size == 1 else spread.reshape(per_channel)
    try:
        moved: Array = np.broadcast_to(drawn * spread + centre, shape)
    except ValueError:  # the constants are of another size than this feed
        return drawn
    return moved


def _within(drawn: Array, least: float, most: float) -> Array:
    """The values folded into a range, a little inside of its ends; what is in it stays."""
    if math.isinf(least) and math.isinf(most):
        return drawn
    if math.isinf(least):
        return -_within(-drawn, -most, math.inf)
    margin = max(_MARGIN, _MARGIN**3 * abs(least))
    if math.isinf(most):
        low = least + margin
        folded = low + np.abs(drawn) if low > 0 else np.where(drawn < low, 2 * low - drawn, drawn)
        return np.asarray(folded)
    margin = min(margin, (most - least) / 20)
    low, span = least + margin, most - least - 2 * margin
    if not span:
        return np.full_like(drawn, low)
    turned = np.mod(drawn - low, 2 * span)
    return np.asarray(low + np.where(turned > span, 2 * span - turned, turned))


def _fitted(drawn: Array, dtype: ir.DataType) -> Array:
    """The values in the type of the input, within its range."""
    if dtype.is_floating_point():
        limit = float(dtype.max)
        drawn = np.clip(drawn, -limit, limit)
    fitted: Array = drawn.astype(dtype.numpy())
    return fitted


def _chosen(
    domain: Domain, shape: tuple[int, ...], dtype: ir.DataType, random: Random, variant: int
) -> Array:
    """Choices by chance, each of them once where there is room; a single element by its number."""
    count = len(domain.choices)
    index = random.integers(0, count, shape)
    if index.size == 1 and domain.kind is Kind.CHOICE:
        index = np.full(shape, variant % count)
    elif index.size >= count:
        index.reshape(-1)[random.choice(index.size, count, replace=False)] = np.arange(count)
    if dtype == ir.DataType.STRING:
        return np.array(domain.choices, dtype=object)[index]
    chosen: Array = np.array(domain.choices)[index].astype(dtype.numpy())
    return chosen
