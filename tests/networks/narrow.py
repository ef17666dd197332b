"""Parts in half precision between Casts, as mixed precision is exported."""

from __future__ import annotations

from onnx import TensorProto

from . import keeping, layers
from .draft import Draft, Value


def _cast(draft: Draft, x: Value, to: int) -> Value:
    return draft.node("Cast", [x], to=to)[0]


def half_block(draft: Draft, x: Value) -> list[Value]:
    """A block in float16 within a network of float32."""
    draft.need(x.dtype == TensorProto.FLOAT)
    y = keeping.block(draft, _cast(draft, x, TensorProto.FLOAT16))
    return [_cast(draft, y, TensorProto.FLOAT)]


def wide_norm(draft: Draft, x: Value) -> list[Value]:
    """A layer in float16 whose norm is computed in float32."""
    draft.need(x.dtype == TensorProto.FLOAT and 3 <= x.rank <= 4)
    y = layers.conv(draft, _cast(draft, x, TensorProto.FLOAT16), 4, 3)
    y = layers.norm(draft, _cast(draft, y, TensorProto.FLOAT))
    if draft.chance(0.5):
        y = _cast(draft, _cast(draft, y, TensorProto.FLOAT16), TensorProto.FLOAT)
    return [y]


def norm_of_half(draft: Draft, x: Value) -> list[Value]:
    """A norm of data in float32 between values of float16."""
    draft.need(x.dtype == TensorProto.FLOAT)
    y = _cast(draft, _cast(draft, x, TensorProto.FLOAT16), TensorProto.FLOAT)
    y = _cast(draft, keeping.norm_of_data(draft, y), TensorProto.FLOAT16)
    return [_cast(draft, layers.linear(draft, y, x.shape[-1]), TensorProto.FLOAT)]


OPERATORS = {half_block: 2, wide_norm: 2, norm_of_half: 1}
