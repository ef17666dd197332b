"""What onnx's schemas say of an operator."""

from __future__ import annotations

from functools import lru_cache

import onnx
import onnx_ir as ir


@lru_cache(maxsize=4096)
def schema_of(domain: str, op_type: str, version: int) -> onnx.defs.OpSchema | None:
    """The schema that an operator set of this version means, or None for foreign operators."""
    try:
        return onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None


def is_foreign(node: ir.Node) -> bool:
    """Whether a node is of a domain beside ONNX's own, where onnx infers little or nothing."""
    return node.domain != ""


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
