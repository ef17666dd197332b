"""Building small models node by node, over many opsets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ELEMENT = {
    np.dtype(ml_dtypes.bfloat16): TensorProto.BFLOAT16,
    np.dtype(np.bool_): TensorProto.BOOL,
    np.dtype(np.float16): TensorProto.FLOAT16,
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.int64): TensorProto.INT64,
}
AXES_ARE_INPUT = {"ReduceSum": 13, "Squeeze": 13, "Unsqueeze": 13}
"""From which opset on the axes are an input; 18 for the other reductions."""

IR_VERSION = {**dict.fromkeys(range(7, 15), 7), **dict.fromkeys(range(15, 23), 8), 23: 11}
"""The IR version that goes with an opset."""


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

    def model(self, *, inside_if: bool = False) -> onnx.ModelProto:
        """The model; its nodes in the branch of an If that is always taken, if so wanted."""
        if inside_if:
            self._move_into_branch()
        graph = helper.make_graph(
            self.nodes, "g", self.inputs, self.outputs, initializer=self.initializers
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self.opset)],
            ir_version=IR_VERSION[self.opset],
        )

    def _move_into_branch(self) -> None:
        inner = [self._renamed(value) for value in self.outputs]
        for node in self.nodes:
            node.output[:] = [f"{name}_then" if self._is_output(name) else name for name in
                              node.output]  # fmt: skip
            node.input[:] = [f"{name}_then" if self._is_output(name) else name for name in
                             node.input]  # fmt: skip
        then = helper.make_graph(self.nodes, "then", [], inner)
        zeros = [
            helper.make_node("Cast", [self.inputs[0].name], [f"{value.name}_else"],
                             to=value.type.tensor_type.elem_type)
            for value in self.outputs
        ]  # fmt: skip
        other = helper.make_graph(
            zeros, "else", [], [self._renamed(v, "else") for v in self.outputs]
        )
        flag = self.constant(np.array(True), np.bool_)
        names = [value.name for value in self.outputs]
        self.nodes = [
            helper.make_node("If", [flag], names, "branch", then_branch=then, else_branch=other)
        ]

    def _is_output(self, name: str) -> bool:
        return any(value.name == name for value in self.outputs)

    def _renamed(self, value: onnx.ValueInfoProto, branch: str = "then") -> onnx.ValueInfoProto:
        copy = onnx.ValueInfoProto()
        copy.CopyFrom(value)
        copy.name = f"{value.name}_{branch}"
        return copy
