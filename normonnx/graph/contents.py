"""Tensors numbered by their type, shape and bits, so that equal ones have one number."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
import onnx_ir as ir

_BLOCK = 1 << 20
"""Bytes that are compared at a time: a difference is found without a look at all of them."""
_ENDS = 256
"""Bytes at both ends by which tensors are told apart before they are compared."""

Array = np.ndarray[Any, Any]


class Contents:
    """Numbers tensors; a large one is compared in blocks with those that begin and end like it."""

    def __init__(self) -> None:
        """Begin with no tensor."""
        self._alike: dict[Hashable, list[tuple[int, ir.TensorProtocol]]] = {}
        self._numbered: dict[int, tuple[int, ir.TensorProtocol]] = {}
        self._count = 0

    def number(self, tensor: ir.TensorProtocol) -> int:
        """The number that all tensors of this type, shape and bits share."""
        known = self._numbered.get(id(tensor))
        if known is not None:
            return known[0]
        shape = tensor.shape.numpy()
        if tensor.dtype == ir.DataType.STRING:
            texts = tuple(np.asarray(tensor.numpy()).reshape(-1).tolist())
            found = self._among((shape, texts), tensor, None)
        else:
            flat = _flat(tensor)
            ends = (flat[:_ENDS].tobytes(), flat[-_ENDS:].tobytes())
            found = self._among((tensor.dtype, shape, ends), tensor, flat)
        self._numbered[id(tensor)] = (found, tensor)
        return found

    def _among(self, key: Hashable, tensor: ir.TensorProtocol, flat: Array | None) -> int:
        alike = self._alike.setdefault(key, [])
        for number, other in alike:
            if flat is None or flat.size <= _ENDS or _same(flat, _flat(other)):
                return number
        self._count += 1
        alike.append((self._count, tensor))
        return self._count


def differing(one: Array, other: Array) -> Array:
    """Which elements of two arrays of one type and shape differ in a bit, as truth values."""
    if one.dtype.kind in "OSU":
        return np.asarray(one != other)
    size = one.dtype.itemsize
    first, second = (np.ascontiguousarray(a).reshape(-1).view(np.uint8) for a in (one, other))
    found = np.zeros(one.size, dtype=bool)
    for start in range(0, one.size, _BLOCK):
        block = slice(start * size, (start + _BLOCK) * size)
        unlike = first[block] != second[block]
        found[start : start + _BLOCK] = unlike.reshape(-1, size).any(axis=1)
    return found.reshape(one.shape)


def _flat(tensor: ir.TensorProtocol) -> Array:
    """The bytes of a tensor; a view where it lies in one piece."""
    return np.ascontiguousarray(tensor.numpy()).reshape(-1).view(np.uint8)


def _same(one: Array, other: Array) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(_blocks(one), _blocks(other), strict=True))


def _blocks(flat: Array) -> Iterator[Array]:
    for start in range(0, flat.size, _BLOCK):
        yield flat[start : start + _BLOCK]
