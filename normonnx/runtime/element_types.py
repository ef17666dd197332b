"""Tensors of element types that NumPy does not have, to and from ONNX Runtime by their bits."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import onnxruntime
from msgspec import Struct

_Array = np.ndarray[Any, Any]


class _Bits(Struct, frozen=True):
    """An element type: as onnx counts it, as ONNX Runtime calls it, and how it is stored."""

    number: int
    name: str
    stored: type[np.unsignedinteger[Any]]
    in_pairs: bool = False


_INT4 = 22
# The numbers are onnx's: importing it takes memory that a process which measures does not have.
_KNOWN: Mapping[np.dtype[Any], _Bits] = {
    np.dtype(ml_dtypes.bfloat16): _Bits(16, "bfloat16", np.uint16),
    np.dtype(ml_dtypes.float8_e4m3fn): _Bits(17, "float8e4m3fn", np.uint8),
    np.dtype(ml_dtypes.float8_e4m3fnuz): _Bits(18, "float8e4m3fnuz", np.uint8),
    np.dtype(ml_dtypes.float8_e5m2): _Bits(19, "float8e5m2", np.uint8),
    np.dtype(ml_dtypes.float8_e5m2fnuz): _Bits(20, "float8e5m2fnuz", np.uint8),
    np.dtype(ml_dtypes.int4): _Bits(_INT4, "int4", np.uint8, in_pairs=True),
    np.dtype(ml_dtypes.uint4): _Bits(21, "uint4", np.uint8, in_pairs=True),
}
_BY_NAME = {f"tensor({bits.name})": dtype for dtype, bits in _KNOWN.items()}

BY_NAME: Mapping[str, np.dtype[Any]] = {dtype.name: dtype for dtype in _KNOWN}
"""These types by the names that NumPy shows for them."""


class NotReadableError(Exception):
    """What the runtime gave cannot be read here."""


def is_kept_by_bits(told: str) -> bool:
    """Whether ONNX Runtime tells a type, such as ``tensor(bfloat16)``, that NumPy does not have."""
    return told in _BY_NAME


def to_runtime(value: Any) -> Any:
    """An input as `InferenceSession.run` takes it; what it takes anyway is left as it is."""
    if not isinstance(value, np.ndarray) or value.dtype not in _KNOWN:
        return value
    bits = _KNOWN[value.dtype]
    stored = np.ascontiguousarray(value).view(bits.stored).reshape(value.shape)
    if bits.in_pairs:
        stored = _packed(stored)
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(stored, bits.number)


def prepared(
    session: Any, feeds: Mapping[str, Any], options: onnxruntime.RunOptions | None = None
) -> Callable[[], Sequence[Any]]:
    """A run of a session on inputs that are converted once; its outputs are the runtime's own.

    Raises:
        NotReadableError: for texts and sequences beside outputs that NumPy does not have.
    """
    if any(is_kept_by_bits(output.type) for output in session.get_outputs()):
        values = {name: _as_ort_value(value) for name, value in feeds.items()}
        return lambda: list(session.run_with_ort_values(None, values, options))
    taken = {name: to_runtime(value) for name, value in feeds.items()}
    return lambda: list(session.run(None, taken, options))


def _as_ort_value(value: Any) -> onnxruntime.OrtValue:
    given = to_runtime(value)
    if isinstance(given, onnxruntime.OrtValue):
        return given
    if not isinstance(given, np.ndarray) or given.dtype.kind in "OSU":
        raise NotReadableError("texts and sequences cannot be given beside outputs of such types")
    return onnxruntime.OrtValue.ortvalue_from_numpy(given)


def from_runtime(value: Any) -> Any:
    """An output as NumPy has it, or ml_dtypes; what the runtime has converted stays.

    Raises:
        NotReadableError: if it lies in another device's memory.
    """
    if not isinstance(value, onnxruntime.OrtValue):
        return value
    dtype = _BY_NAME.get(value.data_type())
    if dtype is None:
        return value.numpy()
    if value.device_name() != "cpu":
        raise NotReadableError(f"an output of type {dtype} stays on the device")
    shape, size = tuple(value.shape()), value.tensor_size_in_bytes()
    content = ctypes.string_at(value.data_ptr(), size) if size else b""
    bits = _KNOWN[dtype]
    stored = np.frombuffer(content, dtype=bits.stored)
    if bits.in_pairs:
        signed = bits.number == _INT4
        return _unpacked(stored, signed=signed)[: int(np.prod(shape))].reshape(shape).astype(dtype)
    return stored.view(dtype).reshape(shape).copy()


def _packed(stored: _Array) -> _Array:
    """Two elements in a byte, the first in its low half, in an array of the shape they had."""
    low = stored.reshape(-1) & 0xF
    packed = np.zeros(low.size, np.uint8)
    packed[: (low.size + 1) // 2] = low[::2]
    packed[: low.size // 2] |= low[1::2] << 4
    return packed.reshape(stored.shape)


def _unpacked(stored: _Array, *, signed: bool) -> _Array:
    halves = np.stack([stored & 0xF, stored >> 4], axis=-1).reshape(-1).astype(np.int8)
    return np.where(signed & (halves > 7), halves - 16, halves)
