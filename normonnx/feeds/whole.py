"""Whole numbers: indices, positions, lengths, masks, pixels."""

from __future__ import annotations

import math
from enum import Enum

import numpy as np

from normonnx.feeds.kinds import Domain, Kind
from normonnx.operators.kernels import Array

Random = np.random.Generator


class Family(Enum):
    """How real values are distributed."""

    NORMAL = "normal"
    UNIFORM = "uniform"
    SCALED = "scaled normal"
    WIDE = "wide"
    EDGE = "edge"


def whole(
    domain: Domain, shape: tuple[int, ...], family: Family, random: Random, extent: int
) -> Array:
    """Draw a tensor of one of the kinds that are whole numbers; see `values.values`."""
    if domain.kind in (Kind.MASK, Kind.BOOL):
        flags = domain.kind is Kind.BOOL and len(shape) < 2
        mask = _mask(shape, Family.SCALED if flags else family, random)
        return 1 - mask if domain.inverted else mask
    if domain.kind is Kind.POSITION:
        steps = np.arange(shape[-1] if shape else 1)
        return np.broadcast_to(
            np.clip(domain.low + steps, None, domain.high), shape or (1,)
        ).reshape(shape)
    if domain.kind is Kind.LENGTH:
        lengths = random.integers(1, extent + 1, shape)
        lengths.reshape(-1)[:1] = extent
        return lengths
    if domain.kind is Kind.INTEGER and family is Family.NORMAL and len(shape) >= 3:
        return _picture(domain, shape, random)
    drawn = random.integers(domain.low, domain.high + 1, shape)
    return _with_ends(drawn, domain, random) if domain.kind is Kind.INDEX else drawn


def of_any_size(ends: tuple[int, int], shape: tuple[int, ...], random: Random) -> Array:
    """Whole numbers of both signs and all magnitudes between two ends, where they are allowed."""
    low, high = ends
    most = math.log2(max(abs(low), abs(high), 2))
    sizes = np.exp2(random.uniform(0, most, shape)).astype(np.int64)
    signs = random.choice([-1, 1], shape) if low < 0 < high else np.sign(low + high)
    return np.asarray(np.clip(sizes * signs, low, high))


def _with_ends(drawn: Array, domain: Domain, random: Random) -> Array:
    """With the first and last row of a table, where an off-by-one shows, and those asked for."""
    wanted = (domain.low, domain.high, *domain.choices)
    if drawn.size >= 2:
        count = min(len(wanted), drawn.size)
        drawn.reshape(-1)[random.choice(drawn.size, count, replace=False)] = wanted[:count]
    return drawn


def _picture(domain: Domain, shape: tuple[int, ...], random: Random) -> Array:
    """Integers that vary slowly along the axes behind the first, as the pixels of a picture do."""
    field = random.standard_normal(shape) * 0.15
    for axis in range(1, len(shape)):
        phase = random.uniform(0, 2 * math.pi, (shape[0], *(1,) * (len(shape) - 1)))
        turns = random.uniform(0.5, 2) * 2 * math.pi / max(1, shape[axis])
        along = np.arange(shape[axis]).reshape(-1, *(1,) * (len(shape) - 1 - axis))
        field += np.sin(along * turns + phase) / (len(shape) - 1)
    width = domain.high - domain.low
    pixels = domain.low + width / 2 + field * width / 2
    return np.asarray(np.clip(np.rint(pixels), domain.low, domain.high))


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
