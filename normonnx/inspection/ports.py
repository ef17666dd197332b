"""What goes into a model and what comes out, as it declares them."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from normonnx.report import Port

_LONG = {"FLOAT": "float32", "DOUBLE": "float64"}


def ports(values: Iterable[ir.Value]) -> tuple[Port, ...]:
    """Inputs or outputs by name, type and shape."""
    return tuple(Port(value.name or "", _type(value.type), _shape(value.shape)) for value in values)


def _type(kind: ir.TypeProtocol | ir.DataType | None) -> str:
    if kind is None:
        return ""
    if isinstance(kind, ir.DataType):
        return _LONG.get(kind.name, kind.name.lower())
    if isinstance(kind, ir.TensorType | ir.SparseTensorType):
        return _type(kind.dtype)
    return f"{type(kind).__name__.removesuffix('Type').lower()} of {_type(kind.elem_type)}"


def _shape(shape: ir.Shape | None) -> tuple[int | str | None, ...] | None:
    if shape is None:
        return None
    return tuple(d if isinstance(d, int) else d.value for d in shape)
