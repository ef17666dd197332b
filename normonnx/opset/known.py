"""What is known of a model's values, as far as a raise needs it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir
from msgspec import Struct

Dims: TypeAlias = "tuple[Hashable, ...]"
"""Sizes of a value: an int, or anything that is equal for sizes that are."""


class Known(Struct, frozen=True):
    """What is known of a model's values; by itself what the model declares.

    Attributes:
        dtype: the element type of a value, None if it is not known.
        dims: its sizes, None if not even their number is known.
        array: its elements, None if it is no constant.
    """

    dtype: Callable[[ir.Value], ir.DataType | None] = lambda value: value.dtype
    dims: Callable[[ir.Value], Dims | None] = lambda value: _declared(value)
    array: Callable[[ir.Value], np.ndarray[Any, Any] | None] = lambda value: _stored(value)

    def rank(self, value: ir.Value) -> int | None:
        """How many dimensions a value has, None if that is not known."""
        dims = self.dims(value)
        return None if dims is None else len(dims)


def _declared(value: ir.Value) -> Dims | None:
    if value.shape is None:
        return None
    return tuple(
        dim if isinstance(dim, int) else dim.value or (id(value), axis)
        for axis, dim in enumerate(value.shape)
    )


def _stored(value: ir.Value) -> np.ndarray[Any, Any] | None:
    tensor = value.const_value
    if tensor is None or value.is_graph_input():
        return None
    return tensor.numpy()
