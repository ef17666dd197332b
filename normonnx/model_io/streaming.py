"""A model as the bytes of one protobuf message, a piece at a time.

A message that is built and serialised is in memory twice, with all its weights. Here the message is
built with stand-ins for the large initializers, and their bytes are put in where they belong:

    ModelProto   fields before 7 · 7 graph · fields after 7
    GraphProto   fields before 5 · 5 initializer … · fields after 5
    TensorProto  fields before 9 · 9 raw_data · fields after 9

Fields come in the order of their numbers, as protobuf writes them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from google.protobuf.message import EncodeError, Message  # type: ignore[import-untyped]
from msgspec import Struct
from onnx import GraphProto, ModelProto, TensorProto

from normonnx.errors import WriteError
from normonnx.model_io.contents import contents_of
from normonnx.model_io.encoding import opening
from normonnx.model_io.loading import tensors_of
from normonnx.model_io.parse import PROTOBUF_LIMIT

LARGE = 1 << 16
"""Initializers of at least so many bytes are not copied into the message."""

_STAND_IN = "\0"
"""The location that marks a stand-in; no file can have it as its name."""


def pieces(model: ir.Model, *, location: str | None = None) -> Iterator[bytes | memoryview]:
    """The bytes of `model`; tensors that refer to data files still do so.

    Args:
        model: never changed; its weights are read one at a time.
        location: what to call the data file in all of these tensors, None for what they call it.

    Raises:
        WriteError: it does not fit into one protobuf message.
    """
    weights: list[ir.TensorProtocol] = []
    has_metadata = any(tensor.metadata_props for tensor in tensors_of(model))
    proto = _to_proto(_Lightened(model, weights), location, has_metadata=has_metadata)
    tensors = [_tensor(tensor, weights) for tensor in proto.graph.initializer]
    head, tail = _split(proto.graph, "initializer")
    before, after = _split(proto, "graph")
    length = len(head) + sum(tensor.length for tensor in tensors) + len(tail)
    before += opening(ModelProto, "graph", length)
    if len(before) + length + len(after) > PROTOBUF_LIMIT:
        raise _too_large()
    yield before + head
    for tensor in tensors:
        yield tensor.before
        if tensor.weight is not None:
            content = raw_bytes(tensor.weight)
            if len(content) != tensor.weight.nbytes:
                raise WriteError(f"the tensor {tensor.weight.name!r} is not as long as it says")
            yield content
            yield tensor.after
    yield tail + after


def lightened(model: ir.Model) -> tuple[ModelProto, dict[str, ir.TensorProtocol]]:
    """The message of a model with stand-ins for its large weights, and these weights by name.

    A stand-in refers to no file that there is. Tensors in data files are left as they are.
    """
    weights: list[ir.TensorProtocol] = []
    has_metadata = any(tensor.metadata_props for tensor in tensors_of(model))
    proto = _to_proto(_Lightened(model, weights), None, has_metadata=has_metadata)
    found = {}
    for tensor in proto.graph.initializer:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if entries.get("location") == _STAND_IN:
            found[tensor.name] = weights[int(entries["offset"])]
    return proto, found


def _to_proto(model: _Lightened, location: str | None, *, has_metadata: bool) -> ModelProto:
    """Serialize; onnx_ir 1.1 writes the metadata of a tensor twice, here it is once again."""
    proto = ModelProto()
    ir.serde.serialize_model_into(proto, model)  # type: ignore[arg-type]
    if location is None and not has_metadata:
        return proto
    for tensor in contents_of(proto).tensors:
        for entry in tensor.external_data:
            if entry.key == "location" and entry.value != _STAND_IN and location is not None:
                entry.value = location
        if tensor.metadata_props:
            entries = {entry.key: entry.value for entry in tensor.metadata_props}
            del tensor.metadata_props[:]
            for key, value in entries.items():
                tensor.metadata_props.add(key=key, value=value)
    return proto


def raw_bytes(weight: ir.TensorProtocol) -> bytes | memoryview:
    """The bytes of a weight; a view of them where they are in memory as they are in a file."""
    if type(weight) is ir.Tensor and sys.byteorder == "little":
        array = weight.numpy()
        if array.flags.c_contiguous and 8 * array.itemsize == weight.dtype.bitwidth:
            return array.reshape(-1).view(np.uint8).data
    return weight.tobytes()


class _Delegate:
    """Looks like another object but for what it has itself."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class _Lightened(_Delegate):
    """A model whose large initializers are stand-ins, each of which names one of `weights`."""

    def __init__(self, model: ir.Model, weights: list[ir.TensorProtocol]) -> None:
        super().__init__(model)
        self.graph = _LightenedGraph(model.graph, weights)


class _LightenedGraph(_Delegate):
    def __init__(self, graph: ir.Graph, weights: list[ir.TensorProtocol]) -> None:
        super().__init__(graph)
        self.initializers: Mapping[str, Any] = {
            name: _LightenedValue(value, weights) if _is_streamed(value.const_value) else value
            for name, value in graph.initializers.items()
        }

    def __iter__(self) -> Iterator[ir.Node]:
        return iter(self._original)


class _LightenedValue(_Delegate):
    def __init__(self, value: ir.Value, weights: list[ir.TensorProtocol]) -> None:
        super().__init__(value)
        weight = value.const_value
        assert weight is not None
        self.const_value = ir.ExternalTensor(
            _STAND_IN,
            len(weights),
            None,
            weight.dtype,
            shape=ir.Shape(weight.shape.numpy()),
            name=str(value.name),
            doc_string=weight.doc_string,
            metadata_props=dict(weight.metadata_props),
        )
        weights.append(weight)


def _is_streamed(tensor: ir.TensorProtocol | None) -> bool:
    if tensor is None or tensor.dtype == ir.DataType.STRING or tensor.nbytes < LARGE:
        return False
    if isinstance(tensor, ir.serde.TensorProtoTensor):
        return bool(tensor.raw.HasField("raw_data"))  # other fields are written as they are
    return not isinstance(tensor, ir.ExternalTensor)


class _Tensor(Struct, frozen=True):
    """What is written of an initializer: bytes, perhaps those of a weight, and bytes again."""

    before: bytes
    weight: ir.TensorProtocol | None = None
    after: bytes = b""

    @property
    def length(self) -> int:
        nbytes = 0 if self.weight is None else self.weight.nbytes
        return len(self.before) + nbytes + len(self.after)


def _tensor(tensor: TensorProto, weights: list[ir.TensorProtocol]) -> _Tensor:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if entries.get("location") != _STAND_IN:
        content = _serialize(tensor)
        return _Tensor(opening(GraphProto, "initializer", len(content)) + content)
    weight = weights[int(entries["offset"])]
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    before, after = _split(tensor, "raw_data")
    before += opening(TensorProto, "raw_data", weight.nbytes)
    length = len(before) + weight.nbytes + len(after)
    return _Tensor(opening(GraphProto, "initializer", length) + before, weight, after)


def _split(message: Message, name: str) -> tuple[bytes, bytes]:
    """The bytes of a message before and after one of its fields; the message is used up."""
    limit = message.DESCRIPTOR.fields_by_name[name].number
    rest = type(message)()
    for field, value in message.ListFields():
        if field.number > limit:
            if isinstance(value, Message):
                getattr(rest, field.name).CopyFrom(value)
            elif isinstance(value, str | bytes | int | float):
                setattr(rest, field.name, value)
            else:
                getattr(rest, field.name).extend(value)
        if field.number >= limit:
            message.ClearField(field.name)
    return _serialize(message), _serialize(rest)


def _serialize(message: Message) -> bytes:
    try:
        return bytes(message.SerializeToString(deterministic=True))
    except (EncodeError, ValueError) as error:
        raise _too_large() from error


def _too_large() -> WriteError:
    return WriteError(
        "the model is too large for one file", hint="its weights must be external data"
    )
