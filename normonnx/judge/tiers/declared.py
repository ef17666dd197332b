"""The float types that a model declares for its values and weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir

from normonnx.graph.nesting import subgraphs
from normonnx.operators.names import onnx_name
from normonnx.operators.schemas import schema_of

_BY_NAME: dict[str, np.dtype[Any]] = {
    "tensor(float16)": np.dtype(np.float16),
    "tensor(bfloat16)": np.dtype(ml_dtypes.bfloat16),
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
}
_FLOATS = frozenset(_BY_NAME.values())


def declared_types(model: ir.Model) -> dict[ir.Value, np.dtype[Any]]:
    """The float types of the values of all graphs, as far as the operators tell them."""
    known: dict[ir.Value, np.dtype[Any]] = {}
    _declare(model.graph, model.opset_imports, known)
    return known


def _declare(
    graph: ir.Graph, opsets: Mapping[str, int], known: dict[ir.Value, np.dtype[Any]]
) -> None:
    """Note what is known of a graph, and of the graphs in it as they are met."""
    for value in (*graph.inputs, *graph.initializers.values()):
        _note(value, value.dtype, known)
    for node in graph:
        inner = list(subgraphs(node))
        for one in inner:
            _declare(one, opsets, known)
        schema = schema_of(node.domain, node.op_type, opsets.get(node.domain, 1))
        for index, value in enumerate(node.outputs):
            _note(value, value.dtype, known)
            found = known.get(value) or _handed_out(node, index, inner, known)
            if found is None and schema is not None:
                found = _by_schema(node, index, schema, known)
            if found is not None:
                known[value] = found


def _handed_out(
    node: ir.Node,
    index: int,
    inner: Sequence[ir.Graph],
    known: Mapping[ir.Value, np.dtype[Any]],
) -> np.dtype[Any] | None:
    """The type that the graphs in a node give an output of it."""
    place = index + 1 if onnx_name(node) == "Loop" else index  # its first output is the condition
    for graph in inner:
        if place < len(graph.outputs) and graph.outputs[place] in known:
            return known[graph.outputs[place]]
    return None


def _note(value: ir.Value, dtype: ir.DataType | None, known: dict[ir.Value, np.dtype[Any]]) -> None:
    if dtype is not None and dtype.is_floating_point() and dtype.numpy() in _FLOATS:
        known[value] = np.dtype(dtype.numpy())


def _by_schema(
    node: ir.Node,
    index: int,
    schema: onnx.defs.OpSchema,
    known: Mapping[ir.Value, np.dtype[Any]],
) -> np.dtype[Any] | None:
    """The type of an output: named by an attribute, fixed by the operator, or that of an input."""
    if onnx_name(node) == "Cast":
        return _float(ir.DataType(node.attributes["to"].as_int()))
    if "value" in node.attributes and onnx_name(node) in ("Constant", "ConstantOfShape"):
        tensor: ir.TensorProtocol = node.attributes["value"].value  # as_tensor looks at its methods
        return _float(tensor.dtype)
    if onnx_name(node) == "ConstantOfShape":
        return np.dtype(np.float32)
    formal = str(schema.outputs[min(index, len(schema.outputs) - 1)].type_str)
    if formal in _BY_NAME:
        return _BY_NAME[formal]
    for position, value in enumerate(node.inputs):
        same = schema.inputs[min(position, len(schema.inputs) - 1)].type_str == formal
        if same and value is not None and value in known:
            return known[value]
    return None


def _float(dtype: ir.DataType) -> np.dtype[Any] | None:
    found = np.dtype(dtype.numpy())
    return found if found in _FLOATS else None


def narrowest_weight(model: ir.Model) -> np.dtype[Any]:
    """The narrowest float type of a weight in any graph, float32 where there are none.

    A weight that is cast has been rounded to the type that it is cast to as well.
    """
    types = (_float(dtype) for graph in model.graphs() for dtype in _stored_types(graph))
    found = {dtype for dtype in types if dtype is not None}
    return max(found, key=lambda d: float(ml_dtypes.finfo(d).eps), default=np.dtype(np.float32))


def _stored_types(graph: ir.Graph) -> Iterator[ir.DataType]:
    for value in graph.initializers.values():
        if value.const_value is not None:
            yield value.const_value.dtype
    for node in graph:
        if onnx_name(node) == "Constant" and "value" in node.attributes:
            tensor: ir.TensorProtocol = node.attributes["value"].value
            yield tensor.dtype
        elif onnx_name(node) == "Cast" and _is_weight(node.inputs[0]):
            yield ir.DataType(node.attributes["to"].as_int())


def _is_weight(value: ir.Value | None) -> bool:
    """Whether a value is stored."""
    producer = None if value is None else value.producer()
    is_made = producer is not None and onnx_name(producer) == "Constant"
    return value is not None and (is_made or value.const_value is not None)
