"""On which of its inputs the numbers of a node depend, and on nothing else."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.operators.attributes import attribute_int
from normonnx.operators.names import onnx_name
from normonnx.operators.schemas import keeps_type
from normonnx.operators.table import is_deterministic
from normonnx.oracle.promotion import FLOATS


def depends_on(node: ir.Node) -> tuple[ir.Value | None, ...] | None:
    """The inputs that decide what an operator gives; None where more than they may do so."""
    if not is_deterministic(node):
        return None
    # Of what a value is cast like, nothing but the type counts.
    return tuple(node.inputs[:1] if cast_target(node) is not None else node.inputs)


def cast_target(node: ir.Node) -> ir.DataType | None:
    """The float type that a CastLike casts to, if it can be told; None for any other node."""
    if onnx_name(node) != "CastLike" or len(node.inputs) < 2:
        return None
    like = node.inputs[1]
    while like is not None and (producer := like.producer()) is not None:
        if onnx_name(producer) == "Cast":
            return _if_float(ir.DataType(attribute_int(producer, "to", 0)))
        if not producer.inputs or not keeps_type(producer.domain, producer.op_type):
            break
        like = producer.inputs[0]
    return None if like is None or like.dtype is None else _if_float(like.dtype)


def _if_float(dtype: ir.DataType) -> ir.DataType | None:
    return dtype if dtype in FLOATS else None
