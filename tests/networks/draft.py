"""A network being drawn: seeded choices, nodes so far, and the concrete shape of every value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx.defs
import onnx.shape_inference
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]

MAX_ELEMENTS = 4096
"""No tensor of a network has more elements than this."""

IR_VERSIONS = {range(9, 11): 5, range(11, 13): 6, range(13, 15): 7, range(15, 19): 8}

NUMPY_TYPES = {
    TensorProto.FLOAT16: np.float16,
    TensorProto.FLOAT: np.float32,
    TensorProto.DOUBLE: np.float64,
}


class UnsuitableError(Exception):
    """An operator does not fit the value that it was to read."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the network.

    Attributes:
        name: its name.
        shape: its sizes for the feeds the network is drawn for.
        dtype: its `onnx.TensorProto` type.
    """

    name: str
    shape: tuple[int, ...]
    dtype: int

    @property
    def rank(self) -> int:
        return len(self.shape)


@dataclass
class Draft:
    """What has been drawn so far.

    Attributes:
        rng: every choice comes from here.
        opset: version of the default domain.
        inputs: graph inputs.
        live: floating-point values that a further node may read, oldest first.
    """

    rng: np.random.Generator
    opset: int
    inputs: list[Value] = field(default_factory=list)
    live: list[Value] = field(default_factory=list)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)
    _known: dict[str, tuple[onnx.TypeProto, Array | None]] = field(default_factory=dict)
    _weights: dict[tuple[tuple[int, ...], int], str] = field(default_factory=dict)
    _count: int = 0

    # -- choices ---------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def one_of(self, choices: Sequence[Any]) -> Any:
        if not choices:
            raise UnsuitableError
        return choices[int(self.rng.integers(len(choices)))]

    def between(self, low: int, high: int) -> int:
        """An integer, both ends included."""
        if high < low:
            raise UnsuitableError
        return int(self.rng.integers(low, high + 1))

    def need(self, condition: bool) -> None:
        """Give up on an operator that does not fit."""
        if not condition:
            raise UnsuitableError

    # -- values ----------------------------------------------------------------------------------

    def input(self, shape: Sequence[int], dtype: int) -> Value:
        value = self._value(self._name("x"), shape, dtype)
        self.inputs.append(value)
        self.live.append(value)
        return value

    def weight(self, shape: Sequence[int], dtype: int, *, gain: float = 1.0) -> str:
        """Normally distributed numbers; now and then the weight another layer has already."""
        key = (tuple(shape), dtype)
        if key in self._weights and self.chance(0.1):
            return self._weights[key]
        name = self.constant(gain * self.rng.standard_normal(shape), dtype)
        self._weights[key] = name
        return name

    def factor(self, shape: Sequence[int], dtype: int) -> str:
        """Numbers between 0.4 and 1.8, of either sign half of the time."""
        array = self.rng.uniform(0.4, 1.8, shape)
        if self.chance(0.5):
            array = array * self.rng.choice([-1.0, 1.0], shape)
        return self.constant(array, dtype)

    def constant(self, array: Array | float, dtype: int) -> str:
        """A floating constant: an initializer, a Constant node, or one behind an Identity."""
        return self._store(np.asarray(array).astype(NUMPY_TYPES[dtype]))

    def integers(self, values: Sequence[int] | int, dtype: type = np.int64) -> str:
        return self._store(np.asarray(values, dtype))

    def stored(self, array: Array) -> str:
        """An initializer with exactly this array."""
        return self._store(array)

    def _store(self, array: Array) -> str:
        name = self._name("w")
        tensor = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        kind = helper.make_tensor_type_proto(tensor.data_type, array.shape)
        self._known[name] = (kind, array)
        spelling = self.rng.random()
        if spelling < 0.8:
            self.initializers.append(tensor)
            return name
        if spelling < 0.9:
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
            return name
        tensor.name = self._name("w")
        self.initializers.append(tensor)
        self.nodes.append(helper.make_node("Identity", [tensor.name], [name]))
        return name

    def _name(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def _value(self, name: str, shape: Sequence[int], dtype: int) -> Value:
        self._known[name] = (helper.make_tensor_type_proto(dtype, shape), None)
        return Value(name, tuple(shape), dtype)

    # -- nodes -----------------------------------------------------------------------------------

    def node(
        self, op_type: str, inputs: Sequence[Value | str], *, outputs: int = 1, **attributes: Any
    ) -> list[Value]:
        """Add a node; its outputs get the shapes that ONNX's inference finds.

        Raises:
            UnsuitableError: if the operator does not exist at this opset or does not fit.
        """
        names = [value.name if isinstance(value, Value) else value for value in inputs]
        results = [self._name("v") for _ in range(outputs)]
        node = helper.make_node(op_type, names, results, name=f"{op_type}_{self._count}")
        for key, given in attributes.items():
            if given is not None:
                node.attribute.append(helper.make_attribute(key, given))
        values = [self._value(name, *self._inferred(node, name)) for name in results]
        self.nodes.append(node)
        return values

    def _inferred(self, node: onnx.NodeProto, output: str) -> tuple[tuple[int, ...], int]:
        try:
            schema = onnx.defs.get_schema(node.op_type, self.opset)
            types = {name: self._known[name][0] for name in node.input if name}
            data = {
                name: numpy_helper.from_array(np.asarray(array), name)
                for name in node.input
                if name and (array := self._known[name][1]) is not None
            }
            found = onnx.shape_inference.infer_node_outputs(
                schema, node, types, data, opset_imports=[helper.make_opsetid("", self.opset)]
            )
        except (onnx.defs.SchemaError, onnx.shape_inference.InferenceError) as error:
            raise UnsuitableError from error
        tensor = found[output].tensor_type if output in found else onnx.TypeProto.Tensor()
        if not tensor.HasField("shape"):
            raise UnsuitableError
        if not all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            raise UnsuitableError
        shape = tuple(dim.dim_value for dim in tensor.shape.dim)
        if min(shape, default=1) < 1 or int(np.prod(shape)) > MAX_ELEMENTS:
            raise UnsuitableError
        return shape, tensor.elem_type

    def stated(self, op_type: str, inputs: Sequence[Value | str], shape: Sequence[int]) -> Value:
        """Add a node with one output of known shape and of its first input's type."""
        first = inputs[0]
        assert isinstance(first, Value)
        names = [value.name if isinstance(value, Value) else value for value in inputs]
        value = self._value(self._name("v"), shape, first.dtype)
        self.nodes.append(helper.make_node(op_type, names, [value.name], name=f"n_{value.name}"))
        return value

    def with_axes(
        self, op_type: str, x: Value, axes: Sequence[int], *, since: int = 13, **attributes: Any
    ) -> list[Value]:
        """Add a node that takes its axes as an input from opset `since` on, before as attribute."""
        if self.opset >= since:
            return self.node(op_type, [x, self.integers(axes)], **attributes)
        return self.node(op_type, [x], axes=list(axes), **attributes)

    def checkpoint(self) -> tuple[int, int]:
        return len(self.nodes), len(self.initializers)

    def rewind(self, point: tuple[int, int]) -> None:
        """Take back what an operator that did not fit has added."""
        del self.nodes[point[0] :]
        del self.initializers[point[1] :]
        there = {tensor.name for tensor in self.initializers}
        there.update(name for node in self.nodes for name in node.output)
        self._weights = {key: name for key, name in self._weights.items() if name in there}

    def model(self, outputs: Sequence[Value], symbols: dict[str, Sequence[str | int]]
              ) -> onnx.ModelProto:  # fmt: skip
        """The network as a model.

        Args:
            outputs: values to hand out.
            symbols: declared dimensions of inputs by name.
        """
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info(v.name, v.dtype, symbols[v.name]) for v in self.inputs],
            [helper.make_tensor_value_info(v.name, v.dtype, [None] * v.rank) for v in outputs],
            self.initializers,
        )
        ir_version = next((v for span, v in IR_VERSIONS.items() if self.opset in span), 10)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
