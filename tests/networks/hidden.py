"""Constants that are not stored as they are used: behind nodes that make them of others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from . import layers
from .draft import Array, Draft, Value


def _same_type(draft: Draft, name: str, source: int, dtype: int) -> str:
    return name if source == dtype else draft.node("Cast", [name], to=dtype)[0].name


def by_cast(draft: Draft, array: Array, dtype: int) -> str:
    """Stored in another floating type."""
    other = draft.one_of([TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.FLOAT])
    return draft.node("Cast", [draft.constant(array, other)], to=dtype)[0].name


def by_product(draft: Draft, array: Array, dtype: int) -> str:
    factor = draft.rng.uniform(0.5, 2, array.shape if draft.chance(0.5) else ())
    pair: list[Value | str] = [draft.constant(array / factor, dtype), draft.constant(factor, dtype)]
    return draft.node("Mul", pair)[0].name


def by_sum(draft: Draft, array: Array, dtype: int) -> str:
    part = draft.rng.standard_normal(array.shape)
    pair: list[Value | str] = [draft.constant(array + part, dtype), draft.constant(part, dtype)]
    return draft.node("Sub", pair)[0].name


def by_reciprocal(draft: Draft, array: Array, dtype: int) -> str:
    draft.need(bool(np.all(np.abs(array) > 1e-2)))
    stored = draft.constant(1 / array, dtype)
    if draft.chance(0.5):
        return draft.node("Reciprocal", [stored])[0].name
    return draft.node("Div", [draft.constant(1.0, dtype), stored])[0].name


def by_root(draft: Draft, array: Array, dtype: int) -> str:
    draft.need(bool(np.all(array > 0)))
    if draft.chance(0.5):
        return draft.node("Sqrt", [draft.constant(array**2, dtype)])[0].name
    return draft.node("Exp", [draft.constant(np.log(array), dtype)])[0].name


def by_transpose(draft: Draft, array: Array, dtype: int) -> str:
    draft.need(array.ndim >= 2)
    order = [int(axis) for axis in draft.rng.permutation(array.ndim)]
    stored = draft.constant(np.transpose(array, np.argsort(order)), dtype)
    return draft.node("Transpose", [stored], perm=order)[0].name


def by_reshape(draft: Draft, array: Array, dtype: int) -> str:
    stored = draft.constant(array.reshape(-1), dtype)
    return draft.node("Reshape", [stored, draft.integers(array.shape)])[0].name


def by_squeeze(draft: Draft, array: Array, dtype: int) -> str:
    axis = draft.between(0, array.ndim)
    stored = draft.constant(np.expand_dims(array, axis), dtype)
    if draft.opset >= 13:
        return draft.node("Squeeze", [stored, draft.integers([axis])])[0].name
    return draft.node("Squeeze", [stored], axes=[axis])[0].name


def by_concat(draft: Draft, array: Array, dtype: int) -> str:
    draft.need(array.ndim >= 1 and array.shape[0] >= 2)
    cut = draft.between(1, array.shape[0] - 1)
    halves: list[Value | str] = [draft.constant(part, dtype) for part in (array[:cut], array[cut:])]
    return draft.node("Concat", halves, axis=0)[0].name


def by_gather(draft: Draft, array: Array, dtype: int) -> str:
    draft.need(array.ndim >= 1)
    order = draft.rng.permutation(array.shape[0])
    stored = draft.constant(array[np.argsort(order)], dtype)
    return draft.node("Gather", [stored, draft.integers(order.tolist())], axis=0)[0].name


def by_slice(draft: Draft, array: Array, dtype: int) -> str:
    draft.need(array.ndim >= 1)
    more = np.concatenate([draft.rng.standard_normal((2, *array.shape[1:])), array])
    stored = draft.constant(more, dtype)
    if draft.opset < 10:
        return draft.node("Slice", [stored], starts=[2], ends=[2**31 - 1])[0].name
    return draft.node("Slice", [stored, draft.integers([2]), draft.integers([2**31 - 1])])[0].name


def by_quantisation(draft: Draft, array: Array, dtype: int) -> str:
    """To eight bits and back, one scale for all or one per first index."""
    draft.need(draft.opset >= 10 and dtype == TensorProto.FLOAT and array.ndim >= 1)
    each = draft.opset >= 13 and draft.chance(0.5)
    rest = tuple(range(1, array.ndim)) if each else None
    scale = draft.constant(np.abs(array).max(axis=rest) / 127 + 1e-3, dtype)
    zero = draft.stored(np.zeros(array.shape[:1] if each else (), np.int8))
    axis = 0 if each else None
    whole = draft.node("QuantizeLinear", [draft.constant(array, dtype), scale, zero], axis=axis)[0]
    return draft.node("DequantizeLinear", [whole, scale, zero], axis=axis)[0].name


def by_choice(draft: Draft, array: Array, dtype: int) -> str:
    mask = draft.rng.random(array.shape) < 0.5
    other = draft.rng.standard_normal(array.shape)
    parts = [draft.stored(mask), *(
        draft.constant(np.where(m, array, other), dtype) for m in (mask, ~mask)
    )]  # fmt: skip
    return draft.node("Where", parts)[0].name


WAYS: tuple[Callable[[Draft, Array, int], str], ...] = (
    by_cast, by_product, by_sum, by_reciprocal, by_root, by_transpose, by_reshape, by_squeeze,
    by_concat, by_gather, by_slice, by_quantisation, by_choice,
)  # fmt: skip


def hide(draft: Draft, array: Array, dtype: int) -> str:
    """A constant with about these numbers, computed from others."""
    name = draft.one_of(WAYS)(draft, array, dtype)
    return draft.node("Identity", [name])[0].name if draft.chance(0.15) else name


def _parameters(draft: Draft, channels: int, dtype: int) -> list[str]:
    arrays = [draft.rng.uniform(0.4, 1.8, channels), draft.rng.standard_normal(channels),
              draft.rng.standard_normal(channels), draft.rng.uniform(0.2, 2, channels)]  # fmt: skip
    return [hide(draft, a, dtype) if draft.chance(0.4) else draft.constant(a, dtype)
            for a in arrays]  # fmt: skip


def layer(draft: Draft, x: Value) -> list[Value]:
    """A convolution and its norm."""
    layers.about_channels(draft, x)
    shape = (3, x.shape[1], *(3,) * (x.rank - 2))
    w = hide(draft, 0.3 * draft.rng.standard_normal(shape), x.dtype)
    bias = [hide(draft, draft.rng.standard_normal(3), x.dtype)] if draft.chance(0.4) else []
    y = draft.node("Conv", [x, w, *bias], pads=[1] * (2 * (x.rank - 2)))[0]
    return draft.node("BatchNormalization", [y, *_parameters(draft, 3, x.dtype)])


def arithmetic(draft: Draft, x: Value) -> list[Value]:
    """A factor and a shift per channel, about a product or a convolution."""
    draft.need(x.rank >= 3)
    last = draft.chance(0.6 if x.rank == 3 else 0.1)
    shape = (x.shape[-1],) if last else (x.shape[1], *(1,) * (x.rank - 2))
    scale = hide(draft, draft.rng.uniform(0.4, 1.8, shape), x.dtype)
    shift = hide(draft, draft.rng.standard_normal(shape), x.dtype)
    y = x
    if draft.chance(0.5):
        y = layers.linear(draft, x, x.shape[-1]) if last else layers.conv(draft, x, x.shape[1], 1)
    draft.need(y.shape == x.shape)
    y = draft.node("Add", [draft.node("Mul", [y, scale])[0], shift])[0]
    return [layers.linear(draft, y, 3) if last else layers.conv(draft, y, 3, 3)]


OPERATORS = {layer: 3, arithmetic: 2}
