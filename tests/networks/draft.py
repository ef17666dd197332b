"""A network being drawn: seeded choices, nodes so far, and the concrete shape of every value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from .choices import Choices
from .inference import UnsuitableError, inferred

Array = NDArray[Any]

MAX_ELEMENTS = 4096
"""No tensor of a network has more elements than this, if not said otherwise."""

NUMPY_TYPES = {
    TensorProto.FLOAT16: np.float16,
    TensorProto.FLOAT: np.float32,
    TensorProto.DOUBLE: np.float64,
}


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
class Draft(Choices):
    """What has been drawn so far.

    Attributes:
        opset: version of the default domain.
        inputs: graph inputs.
        live: floating-point values that a further node may read, oldest first.
        functions: model-local functions that nodes call.
        domains: versions of the domains beside the default one.
        features_last: whether values of rank 3 are rows of features, and not channels of samples.
        largest: no value has more elements than this.
    """

    opset: int
    inputs: list[Value] = field(default_factory=list)
    live: list[Value] = field(default_factory=list)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)
    functions: list[onnx.FunctionProto] = field(default_factory=list)
    domains: dict[str, int] = field(default_factory=dict)
    largest: int = MAX_ELEMENTS
    features_last: bool = False
    _known: dict[str, tuple[onnx.TypeProto, Array | None]] = field(default_factory=dict)
    _weights: dict[tuple[tuple[int, ...], int], str] = field(default_factory=dict)
    _count: int = 0

    def input(self, shape: Sequence[int], dtype: int) -> Value:
        value = self._value(self._name("x"), shape, dtype)
        self.inputs.append(value)
        self.live.append(value)
        return value

    def placeholder(self, shape: Sequence[int], dtype: int) -> Value:
        """A value that something else than a node of this draft makes."""
        return self._value(self._name("v"), shape, dtype)

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

    def initializer(self, values: Sequence[int] | int) -> str:
        """Integers that are stored as they are read, and not behind a node."""
        name, array = self._name("w"), np.asarray(values, np.int64)
        self._known[name] = (helper.make_tensor_type_proto(TensorProto.INT64, array.shape), array)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

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
        found = inferred(node, self._known, self.opset)
        if any(int(np.prod(shape)) > self.largest for shape, _ in found):
            raise UnsuitableError
        values = [self._value(name, *kind) for name, kind in zip(results, found, strict=True)]
        self.nodes.append(node)
        return values

    def stated(
        self,
        op_type: str,
        inputs: Sequence[Value | str],
        shape: Sequence[int],
        *,
        dtype: int | None = None,
        domain: str = "",
        **attributes: Any,
    ) -> Value:
        """Add a node with one output of known shape, of its first input's type if none is given."""
        if dtype is None:
            assert isinstance(inputs[0], Value)
            dtype = inputs[0].dtype
        value = self.placeholder(shape, dtype)
        self._append(op_type, inputs, value.name, domain, attributes)
        if domain:
            self.domains.setdefault(domain, 1)
        return value

    def known(
        self, op_type: str, inputs: Sequence[Value | str], array: Array, **attributes: Any
    ) -> str:
        """Add a node of shape arithmetic, whose numbers are these at the sizes drawn."""
        name = self._name("s")
        dtype = helper.np_dtype_to_tensor_dtype(array.dtype)
        self._known[name] = (helper.make_tensor_type_proto(dtype, array.shape), array)
        self._append(op_type, inputs, name, "", attributes)
        return name

    def _append(
        self,
        op_type: str,
        inputs: Sequence[Value | str],
        output: str,
        domain: str,
        attributes: dict[str, Any],
    ) -> None:
        names = [value.name if isinstance(value, Value) else value for value in inputs]
        label = f"n_{output}"
        given = {key: one for key, one in attributes.items() if one is not None}
        self.nodes.append(
            helper.make_node(op_type, names, [output], name=label, domain=domain or None, **given)
        )

    def with_axes(
        self, op_type: str, x: Value, axes: Sequence[int], *, since: int = 13, **attributes: Any
    ) -> list[Value]:
        """Add a node that takes its axes as an input from opset `since` on, before as attribute."""
        if self.opset >= since:
            return self.node(op_type, [x, self.integers(axes)], **attributes)
        return self.node(op_type, [x], axes=list(axes), **attributes)

    def checkpoint(self) -> tuple[int, int]:
        return len(self.nodes), len(self.initializers)

    def cut(self, point: tuple[int, int]) -> list[onnx.NodeProto]:
        """The nodes since then, taken out of the graph; its weights stay."""
        nodes = self.nodes[point[0] :]
        del self.nodes[point[0] :]
        self._forget()
        return nodes

    def rewind(self, point: tuple[int, int]) -> None:
        """Take back what an operator that did not fit has added."""
        del self.nodes[point[0] :]
        del self.initializers[point[1] :]
        self._forget()

    def cut_weights(self, point: tuple[int, int]) -> list[onnx.TensorProto]:
        """The initializers since then, taken out of the graph."""
        weights = self.initializers[point[1] :]
        del self.initializers[point[1] :]
        self._forget()
        return weights

    def _forget(self) -> None:
        """Weights that are no longer in this graph cannot be shared."""
        there = {tensor.name for tensor in self.initializers}
        there.update(name for node in self.nodes for name in node.output)
        self._weights = {key: name for key, name in self._weights.items() if name in there}
