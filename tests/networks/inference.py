"""What ONNX's own inference says of one node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
import onnx.defs
import onnx.shape_inference
from onnx import helper, numpy_helper

Known = Mapping[str, tuple[onnx.TypeProto, Any]]
"""Types by value's name, with the numbers where these are known."""


class UnsuitableError(Exception):
    """An operator does not fit the value that it was to read."""


def inferred(node: onnx.NodeProto, known: Known, opset: int) -> list[tuple[tuple[int, ...], int]]:
    """Shapes and types of a node's outputs.

    Raises:
        UnsuitableError: the operator does not exist at this opset, does not fit, or a size is not
            known.
    """
    names = [name for name in node.input if name]
    data = {
        name: numpy_helper.from_array(array, name)
        for name in names
        if (array := known[name][1]) is not None
    }
    try:
        schema = onnx.defs.get_schema(node.op_type, opset)
        types = {name: known[name][0] for name in names}
        opsets = [helper.make_opsetid("", opset)]
        found = onnx.shape_inference.infer_node_outputs(
            schema, node, types, data, opset_imports=opsets
        )
    except (onnx.defs.SchemaError, onnx.shape_inference.InferenceError) as error:
        raise UnsuitableError from error
    return [_concrete(found.get(name, onnx.TypeProto())) for name in node.output]


def _concrete(kind: onnx.TypeProto) -> tuple[tuple[int, ...], int]:
    tensor = kind.tensor_type
    if not tensor.HasField("shape"):
        raise UnsuitableError
    if not all(dim.HasField("dim_value") and dim.dim_value > 0 for dim in tensor.shape.dim):
        raise UnsuitableError
    return tuple(dim.dim_value for dim in tensor.shape.dim), tensor.elem_type
