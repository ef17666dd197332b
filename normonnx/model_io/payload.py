"""Whether a tensor in the file holds what its type and shape say: no more, no less, in one place.

    raw_data        ⌈elements · bits / 8⌉ bytes
    typed fields    one entry per element, two for complex numbers; packed types one per byte

A shape that the data does not fill would be read beyond its end, or be filled with whatever a
reader takes for the rest; readers differ, so it has no meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import onnx_ir as ir
from onnx import TensorProto

from normonnx.errors import InvalidModelError

_IN_INT32 = frozenset(
    """INT32 INT16 INT8 UINT16 UINT8 BOOL FLOAT16 BFLOAT16 FLOAT8E4M3FN FLOAT8E4M3FNUZ FLOAT8E5M2
    FLOAT8E5M2FNUZ FLOAT8E8M0 INT4 UINT4 FLOAT4E2M1 INT2 UINT2""".split()
)
_FIELDS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("float_data", lambda name: name in ("FLOAT", "COMPLEX64")),
    ("int32_data", lambda name: name in _IN_INT32),
    ("string_data", lambda name: name == "STRING"),
    ("int64_data", lambda name: name == "INT64"),
    ("double_data", lambda name: name in ("DOUBLE", "COMPLEX128")),
    ("uint64_data", lambda name: name in ("UINT32", "UINT64")),
)
"""The fields of a TensorProto that hold elements, and the types that each of them is for."""

_BITS_OF_ENTRY = 8
"""Types of fewer bits are packed into entries of one byte."""


def elements(tensor: TensorProto, where: str) -> int:
    """The number of elements.

    Raises:
        InvalidModelError: a dimension is negative.
    """
    if any(dim < 0 for dim in tensor.dims):
        raise InvalidModelError(f"the shape {list(tensor.dims)} is negative", where=where)
    return prod(map(int, tensor.dims))


def nbytes(tensor: TensorProto, where: str) -> int:
    """Bytes of a dense tensor of this type and shape, sub-byte types packed.

    Raises:
        InvalidModelError: the type has no fixed width, or a dimension is negative.
    """
    try:
        bits: int = ir.DataType(tensor.data_type).bitwidth
    except (TypeError, ValueError) as error:
        raise InvalidModelError(
            f"a tensor of type {tensor.data_type} has no size in bytes", where=where
        ) from error
    return (elements(tensor, where) * bits + 7) // 8


def refuse_wrong_payload(
    tensor: TensorProto, model: str, *, borrowed: memoryview | None = None
) -> None:
    """Refuse a tensor in the file whose data is not what its type and shape need.

    Args:
        tensor: not an external one.
        model: what to call the model in the error.
        borrowed: its raw data, where they were left out of the message.

    Raises:
        InvalidModelError: there is more or less data, or it is in the wrong place.
    """
    where = f"tensor {tensor.name!r} in {model}"
    try:
        dtype = ir.DataType(tensor.data_type)
    except ValueError as error:
        raise InvalidModelError(
            f"{tensor.data_type} is not a valid DataType", where=where
        ) from error
    count = elements(tensor, where)
    held = [(name, fits) for name, fits in _FIELDS if len(getattr(tensor, name))]
    raw = len(tensor.raw_data if borrowed is None else borrowed)
    if len(held) + bool(raw) > 1:
        raise InvalidModelError("the tensor has its data twice", where=where)
    if held:
        name, fits = held[0]
        if not fits(dtype.name):
            raise InvalidModelError(
                f"values of type {dtype.name} do not belong into {name}", where=where
            )
        given, needed, unit = len(getattr(tensor, name)), _entries(dtype, count), "values"
    elif dtype == ir.DataType.STRING and raw:
        raise InvalidModelError(
            "the tensor has texts as raw data, where they have no ends; they belong into "
            "string_data",
            where=where,
        )
    elif dtype == ir.DataType.STRING:
        given, needed, unit = 0, count, "values"
    else:
        given, needed, unit = raw, nbytes(tensor, where), "bytes"
    if given != needed:
        raise InvalidModelError(
            f"the tensor holds {given} {unit}, its type and shape need {needed}", where=where
        )


def _entries(dtype: ir.DataType, count: int) -> int:
    if dtype == ir.DataType.STRING:
        return count
    if dtype.name.startswith("COMPLEX"):
        return 2 * count
    per_entry = max(1, _BITS_OF_ENTRY // dtype.bitwidth)
    return -(-count // per_entry)
