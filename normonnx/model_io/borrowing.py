"""A model whose large weights stay where they are in the bytes of its file.

protobuf copies each weight into its message, and hands out another copy whenever one is read. Here
the raw data of large initializers of the main graph are left out of what protobuf parses,

    ModelProto … 7 graph · GraphProto … 5 initializer · TensorProto … 9 raw_data

and are views of the bytes instead. Bytes that are laid out in any other way than writers do it are
parsed whole; everything but those views is protobuf's to judge, as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
from onnx import GraphProto, ModelProto, TensorProto

from normonnx.model_io.encoding import (
    DELIMITED,
    VARINT,
    Field,
    UnusualError,
    fields,
    number_of,
    opening,
    read_varint,
)
from normonnx.model_io.parse import parse_model

Borrowed = Mapping[int, memoryview]
"""Raw data by the index of the initializer in the main graph."""

_BORROWED_FROM = 1 << 16
"""Raw data of at least so many bytes stay where they are."""

_WORTHWHILE_FROM = 1 << 20
"""Shorter files are parsed whole."""

_MOST_FIELDS = 1 << 20
_MOST_OF_A_TENSOR = 1 << 8
"""Messages of more fields are parsed whole: protobuf walks over them a hundred times as fast."""

_TYPES = frozenset(
    getattr(TensorProto, name)
    for name in """FLOAT DOUBLE FLOAT16 BFLOAT16 INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32
    UINT64""".split()
)
"""Types of which the bytes in the file are the numbers in memory."""


def parse(content: bytes, where: str) -> tuple[ModelProto, Borrowed]:
    """Parse a file as `parse_model` does, but for the weights that stay where they are.

    Args:
        content: the bytes of the file.
        where: what an error should name.

    Returns:
        The message, and the raw data that it lacks: views of `content`.

    Raises:
        UnreadableModelError, InvalidModelError: as `parse_model`.
    """
    borrowed: dict[int, memoryview] = {}
    if len(content) >= _WORTHWHILE_FROM and sys.byteorder == "little":
        try:
            light = _lightened(memoryview(content), borrowed)
        except UnusualError:
            borrowed.clear()
        # Bytes that are kept for a few weights only would cost more than those weights do.
        if sum(map(len, borrowed.values())) > len(content) // 2:
            return parse_model(light, where), borrowed
    return parse_model(content, where), {}


def tensor(proto: TensorProto, raw: memoryview) -> ir.Tensor[np.ndarray]:
    """An initializer whose raw data are elsewhere, and were found to fit its type and shape.

    Args:
        proto: without them.
        raw: the data.

    Returns:
        A tensor of the type and shape that the message states, read-only, perhaps unaligned.
    """
    dtype = ir.DataType(proto.data_type)
    return ir.Tensor(
        np.frombuffer(raw, dtype=dtype.numpy()).reshape(proto.dims),
        dtype=dtype,
        name=proto.name,
        doc_string=proto.doc_string or None,
        metadata_props={entry.key: entry.value for entry in proto.metadata_props},
    )


def _lightened(content: memoryview, borrowed: dict[int, memoryview]) -> bytes:
    """The bytes without the raw data that are borrowed.

    Raises:
        UnusualError: they are not those of a plain ModelProto.
    """
    number = number_of(ModelProto, "graph")
    graphs = list(fields(content, 0, len(content), {number}, most=_MOST_FIELDS))
    if len(graphs) != 1 or graphs[0].kind != DELIMITED:
        raise UnusualError
    found = graphs[0]
    graph = _lightened_graph(content, found, borrowed)
    before, after = content[: found.tag], content[found.end :]
    return b"".join((before, opening(ModelProto, "graph", len(graph)), graph, after))


def _lightened_graph(content: memoryview, graph: Field, borrowed: dict[int, memoryview]) -> bytes:
    parts: list[memoryview | bytes] = []
    done = graph.start
    numbers = {number_of(GraphProto, "initializer")}
    initializers = fields(content, graph.start, graph.end, numbers, most=_MOST_FIELDS)
    for index, field in enumerate(initializers):
        if field.kind != DELIMITED:
            raise UnusualError
        raw = _raw_data(content, field) if field.end - field.start >= _BORROWED_FROM else None
        if raw is None:
            continue
        borrowed[index] = content[raw.start : raw.end]
        before, after = content[field.start : raw.tag], content[raw.end : field.end]
        length = len(before) + len(after)
        parts += [content[done : field.tag], opening(GraphProto, "initializer", length)]
        parts += [before, after]
        done = field.end
    return b"".join((*parts, content[done : graph.end]))


def _raw_data(content: memoryview, initializer: Field) -> Field | None:
    """Where the raw data of an initializer are; None if protobuf is to read them."""
    found: list[Field] = []
    names = ("raw_data", "data_type", "data_location")
    raw_data, data_type, data_location = (number_of(TensorProto, name) for name in names)
    wanted = (raw_data, data_type, data_location)
    most = _MOST_OF_A_TENSOR
    for field in fields(content, initializer.start, initializer.end, wanted, most=most):
        if field.number == raw_data:
            found.append(field)
        elif field.number == data_type:
            if field.kind != VARINT:
                return None
            if read_varint(content, field.start, field.end)[0] not in _TYPES:
                return None
        elif field.number == data_location:
            return None
    if len(found) != 1 or found[0].kind != DELIMITED:
        return None
    return found[0] if found[0].end - found[0].start >= _BORROWED_FROM else None
