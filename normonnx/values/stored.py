"""Constants as a model stores them: initializers and Constant nodes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from normonnx.operators.kernels import Array
from normonnx.operators.names import onnx_name

_CONSTANT_ATTRIBUTES = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def is_constant_node(node: ir.Node) -> bool:
    """Whether a node is a Constant that holds numbers or text."""
    if onnx_name(node) != "Constant":
        return False
    attribute = next(iter(node.attributes.data.values()), None)
    if attribute is None or attribute.is_ref():
        return False
    return attribute.name == "value" or attribute.name in _CONSTANT_ATTRIBUTES


def read_stored(value: ir.Value) -> Array | None:
    """A stored constant in its own type; None for text."""
    producer = value.producer()
    if producer is None:
        assert value.const_value is not None
        tensor = value.const_value
    else:
        name, attribute = next(iter(producer.attributes.data.items()))
        if name in _CONSTANT_ATTRIBUTES:
            return np.array(attribute.value, dtype=_CONSTANT_ATTRIBUTES[name])
        tensor = attribute.value
    if tensor.dtype == ir.DataType.STRING:
        return None
    return tensor.numpy()
