"""The values of one input of one feed: its domain, drawn from its own stream of random numbers."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from enum import Enum

import numpy as np
import onnx_ir as ir

from normonnx.feeds.domains import Domain, Kind
from normonnx.operators.kernels import Array

Random = np.random.Generator


class Family(Enum):
    """How real values are distributed."""

    NORMAL = "normal"
    UNIFORM = "uniform"
    SCALED = "scaled normal"
    WIDE = "wide"
    EDGE = "edge"


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
) -> Array:
    """Draw a tensor; of rank 0 it is an array too, as ONNX Runtime takes nothing else.

    Args:
        domain: what it may hold.
        shape: its shape.
        dtype: its type.
        family: distribution of real values; integers and masks vary with it as well.
        random: where the numbers come from.
        extent: the longest sequence of this feed, for lengths.
    """
    drawn = _drawn(domain, shape, dtype, family, random, extent)
    return np.asarray(drawn, dtype=object if dtype == ir.DataType.STRING else dtype.numpy())


def _drawn(
    domain: Domain,
    shape: tuple[int, ...],
    dtype: ir.DataType,
    family: Family,
    random: Random,
    extent: int,
) -> Array:
    if domain.kind in (Kind.REAL, Kind.POSITIVE, Kind.UNIT):
        drawn = _real(domain, shape, family, random)
        if domain.kind is Kind.POSITIVE:
            drawn = np.abs(drawn) + 0.1
        elif domain.kind is Kind.UNIT:
            drawn = random.uniform(size=shape)
        return _fitted(drawn, dtype)
    if domain.kind in (Kind.STRING, Kind.CHOICE):
        return _chosen(domain, shape, dtype, random)
    return _whole(domain, shape, family, random, extent)


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
    if domain.centre is None or domain.spread is None or family is not Family.NORMAL:
        return drawn
    if len(shape) < 2 or domain.centre.size != shape[1]:
        return drawn
    per_channel = (-1, *(1,) * (len(shape) - 2))
    return drawn * domain.spread.reshape(per_channel) + domain.centre.reshape(per_channel)


def _fitted(drawn: Array, dtype: ir.DataType) -> Array:
    """The values in the type of the input, within its range."""
    if dtype.is_floating_point():
        limit = float(dtype.max)
        drawn = np.clip(drawn, -limit, limit)
    fitted: Array = drawn.astype(dtype.numpy())
    return fitted


def _chosen(domain: Domain, shape: tuple[int, ...], dtype: ir.DataType, random: Random) -> Array:
    index = random.integers(0, len(domain.choices), shape)
    if dtype == ir.DataType.STRING:
        return np.array(domain.choices, dtype=object)[index]
    chosen: Array = np.array(domain.choices)[index].astype(dtype.numpy())
    return chosen


def _whole(
    domain: Domain, shape: tuple[int, ...], family: Family, random: Random, extent: int
) -> Array:
    if domain.kind is Kind.MASK:
        return _mask(shape, family, random)
    if domain.kind is Kind.BOOL:
        return random.integers(0, 2, shape).astype(bool)
    if domain.kind is Kind.POSITION:
        steps = np.arange(shape[-1] if shape else 1)
        return np.broadcast_to(
            np.clip(domain.low + steps, None, domain.high), shape or (1,)
        ).reshape(shape)
    if domain.kind is Kind.LENGTH:
        lengths = random.integers(1, extent + 1, shape)
        if lengths.size:
            lengths.reshape(-1)[0] = extent
        return lengths
    drawn = random.integers(domain.low, domain.high + 1, shape)
    if domain.kind is Kind.INDEX and drawn.size >= 2:
        # The first and the last row of a table are where an off-by-one shows.
        ends = random.choice(drawn.size, 2, replace=False)
        drawn.reshape(-1)[ends] = (domain.low, domain.high)
    return drawn


def _mask(shape: tuple[int, ...], family: Family, random: Random) -> Array:
    """All ones; or rows of ones of differing lengths, one of them full; or ones and zeros mixed."""
    mask = np.ones(shape, dtype=np.int64)
    if family is Family.UNIFORM or not shape or not mask.size:
        return mask
    if family in (Family.SCALED, Family.EDGE):
        mask = random.integers(0, 2, shape)
        mask[..., 0] = 1
        return mask
    kept = random.integers(1, shape[-1] + 1, shape[:-1])
    if kept.size:
        kept.reshape(-1)[0] = shape[-1]
    ragged: Array = (np.arange(shape[-1]) < kept[..., None]).astype(np.int64)
    return ragged
