"""One node as a model of its own, and numbers to feed it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx_ir as ir
from msgspec import Struct

from normonnx.graph.nesting import subgraphs
from normonnx.opset.known import Dims, Known

Feeds: TypeAlias = "Mapping[str, np.ndarray[Any, Any]]"

_KEPT_ELEMENTS = 1 << 10
"""Constants up to this size are part of the model; of larger ones only type and sizes matter."""

_LARGE, _SMALL = 24, 8
"""Sizes from which on they are made smaller, and about to what."""

_MOST_ELEMENTS = 1 << 22

_OPEN = (2, 3, 4, 5, 6, 7)
"""For sizes that the model leaves open."""

_STYLES = ("normal", "positive", "shifted")


class NoSampleError(Exception):
    """A node cannot stand alone; the text says why, as what follows "because"."""


class Sample(Struct, frozen=True):
    """A node as a model.

    Attributes:
        proto: with the node as its only one, its inputs in0, in1 … and outputs out0, out1 …
        inputs: the value of the node that each name stands for.
        outputs: likewise, those that something reads.
        unread: the others.
        dtypes: of the inputs that are fed.
        dims: of the inputs that are fed.
    """

    proto: onnx.ModelProto
    inputs: Mapping[str, ir.Value]
    outputs: Mapping[str, ir.Value]
    unread: Mapping[str, ir.Value]
    dtypes: Mapping[str, ir.DataType]
    dims: Mapping[str, Dims]

    def feeds(self) -> Iterator[list[Feeds]]:
        """Numbers for the inputs: of each binding of their sizes some, the small sizes first."""
        seen = set()
        for shrink in (True, False):
            shapes = self._shapes(shrink=shrink)
            key = tuple(shapes.values())
            if key in seen or sum(map(math.prod, shapes.values())) > _MOST_ELEMENTS:
                continue
            seen.add(key)
            rng = np.random.default_rng(0)
            yield [
                {
                    name: _drawn(rng, self.dtypes[name], shape, style)
                    for name, shape in shapes.items()
                }
                for style in _STYLES
            ]

    def _shapes(self, *, shrink: bool) -> dict[str, tuple[int, ...]]:
        symbols = dict.fromkeys(d for dims in self.dims.values() for d in dims if not _is_size(d))
        chosen = {symbol: _OPEN[i % len(_OPEN)] for i, symbol in enumerate(symbols)}

        def size(dim: Any) -> int:
            if not _is_size(dim):
                return chosen[dim]
            assert isinstance(dim, int)
            return dim if not shrink or dim <= _LARGE else _SMALL + dim % _SMALL

        return {name: tuple(size(dim) for dim in dims) for name, dims in self.dims.items()}


def _is_size(dim: Any) -> bool:
    return isinstance(dim, int) and dim >= 0


def _drawn(
    rng: np.random.Generator, dtype: ir.DataType, shape: tuple[int, ...], style: str
) -> np.ndarray[Any, Any]:
    if dtype == ir.DataType.STRING:
        return rng.choice(np.array(["a", "b", "c"], dtype=object), shape)
    if dtype == ir.DataType.BOOL:
        return np.asarray(rng.random(shape) < 0.5)
    kind = dtype.numpy()
    if dtype.is_integer():
        low, high = {"normal": (0, 2), "positive": (1, 3), "shifted": (-1, 2)}[style]
        low = max(low, 0) if not dtype.is_signed() else low
        return np.asarray(rng.integers(low, high, shape)).astype(kind)
    if style == "positive":
        return np.asarray(rng.uniform(1, 3, shape)).astype(kind)
    spread, mean = (1.0, 0.0) if style == "normal" else (5.0, 3.0)
    return np.asarray(mean + spread * rng.standard_normal(shape)).astype(kind)


def sample(node: ir.Node, opset: int, known: Known) -> Sample:
    """A node as a model of its own.

    Args:
        node: of the default domain; it is only read.
        opset: of the default domain.
        known: of the model's values.

    Raises:
        NoSampleError: it has graphs of its own, or too little is known of its inputs.
    """
    if subgraphs(node):
        raise NoSampleError("it has graphs of its own")
    graph = onnx.GraphProto(name="one")
    read_by = dict.fromkeys(value for value in node.inputs if value is not None)
    inputs = {f"in{index}": value for index, value in enumerate(read_by)}
    dtypes: dict[str, ir.DataType] = {}
    dims: dict[str, Dims] = {}
    for name, value in inputs.items():
        array = _small_constant(value, known)
        if array is not None:
            graph.initializer.append(_tensor(array, name, known.dtype(value)))
            continue
        dtypes[name], dims[name] = _form(node, value, known)
        graph.input.append(_info(name, dtypes[name], dims[name]))
    named = {f"out{i}": value for i, value in enumerate(node.outputs) if value.name}
    outputs = {n: v for n, v in named.items() if v.uses() or v.is_graph_output()} or named
    graph.output.extend(_output(name, value, known) for name, value in outputs.items())
    graph.node.append(_alone(node, inputs))
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8
    )
    unread = {name: value for name, value in named.items() if name not in outputs}
    return Sample(model, inputs, outputs, unread, dtypes, dims)


def _alone(node: ir.Node, inputs: Mapping[str, ir.Value]) -> onnx.NodeProto:
    """The node with the names that its values have in its model."""
    names = {value: name for name, value in inputs.items()}
    proto = onnx.NodeProto(op_type=node.op_type, name="one")
    proto.input.extend("" if value is None else names[value] for value in node.inputs)
    proto.output.extend(f"out{i}" if v.name else "" for i, v in enumerate(node.outputs))
    proto.attribute.extend(map(ir.serde.serialize_attribute, node.attributes.values()))
    return proto


def _small_constant(value: ir.Value, known: Known) -> np.ndarray[Any, Any] | None:
    dims = known.dims(value)
    if dims is not None and all(map(_is_size, dims)) and math.prod(dims) > _KEPT_ELEMENTS:  # type: ignore[arg-type]
        return None
    array = known.array(value)
    return None if array is None or array.size > _KEPT_ELEMENTS else array


def _tensor(array: np.ndarray[Any, Any], name: str, dtype: ir.DataType | None) -> onnx.TensorProto:
    return ir.serde.serialize_tensor(ir.Tensor(array, dtype=dtype, name=name))


def _form(node: ir.Node, value: ir.Value, known: Known) -> tuple[ir.DataType, Dims]:
    """Type and sizes of an input; of a vector beside the first input its rank is the length."""
    dtype, dims = known.dtype(value), known.dims(value)
    first = node.inputs[0]
    if dims is None and first is not None and value is not first:
        rank = known.rank(first)
        dims = None if rank is None else (rank,)
    if dtype is None or dims is None:
        what = "type" if dtype is None else "rank"
        raise NoSampleError(f"the {what} of its input '{value.name}' is not known")
    return dtype, dims


def _info(name: str, dtype: ir.DataType, dims: Dims) -> onnx.ValueInfoProto:
    shape = [dim if isinstance(dim, int) and dim >= 0 else f"n{i}" for i, dim in enumerate(dims)]
    return onnx.helper.make_tensor_value_info(name, int(dtype), shape)


def _output(name: str, value: ir.Value, known: Known) -> onnx.ValueInfoProto:
    dtype = known.dtype(value)
    if dtype is None:
        return onnx.ValueInfoProto(name=name)
    return onnx.helper.make_tensor_value_info(name, int(dtype), None)
