"""What onnx's schemas say of an operator."""

from __future__ import annotations

from functools import lru_cache

import onnx


@lru_cache(maxsize=4096)
def schema_of(domain: str, op_type: str, version: int) -> onnx.defs.OpSchema | None:
    """The schema that an operator set of this version means, or None for foreign operators."""
    try:
        return onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None


@lru_cache(maxsize=1024)
def keeps_type(domain: str, op_type: str) -> bool:
    """Whether the first output has the element type of the first input, by the newest schema."""
    try:
        schema = onnx.defs.get_schema(op_type, domain)
    except onnx.defs.SchemaError:
        return False
    if not schema.inputs or not schema.outputs:
        return False
    return schema.inputs[0].type_str == schema.outputs[0].type_str
