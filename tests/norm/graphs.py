"""Building small models node by node, over many opsets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ELEMENT = {
    np.dtype(np.float16): TensorProto.FLOAT16,
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.int64): TensorProto.INT64,
}
AXES_ARE_INPUT = {"ReduceSum": 13, "Squeeze": 13, "Unsqueeze": 13}
"""From which opset on the axes are an input; 18 for the other reductions."""

IR_VERSION = {**dict.fromkeys(range(7, 15), 7), **dict.fromkeys(range(15, 23), 8), 23: 11}


class Graph:
    """A model under construction; values are names."""

    def __init__(self, opset: int = 17) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: Sequence[int | str] | None, dtype: Any = np.float32) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, ELEMENT[np.dtype(dtype)], shape))
        return name

    def constant(self, array: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.initializers)}"
        array = np.asarray(array, dtype=dtype)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        name = f"{op_type.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [name], f"N{name}", **attributes))
        return name

    def over_axes(self, op_type: str, value: str, axes: Sequence[int], **attributes: Any) -> str:
        """A Reduce, Squeeze or Unsqueeze node in the form of the opset."""
        if self.opset >= AXES_ARE_INPUT.get(op_type, 18):
            return self.op(op_type, value, self.constant(axes, np.int64), **attributes)
        return self.op(op_type, value, axes=list(axes), **attributes)

    def output(
        self, value: str, shape: Sequence[int | str] | None, dtype: Any = np.float32
    ) -> None:
        self.outputs.append(helper.make_tensor_value_info(value, ELEMENT[np.dtype(dtype)], shape))

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes, "g", self.inputs, self.outputs, initializer=self.initializers
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self.opset)],
            ir_version=IR_VERSION[self.opset],
        )
