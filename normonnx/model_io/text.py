"""Names and documentation must be text: protobuf hands out what is no UTF-8 as bytes, unasked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from onnx import ModelProto

from normonnx.errors import InvalidModelError
from normonnx.model_io.contents import Contents

_NAMED = ("name", "doc_string")


def refuse_garbled(model: ModelProto, contents: Contents, where: str) -> None:
    """Refuse a model in which a name or a documentation is no text.

    Args:
        model: only read.
        contents: of `model`.
        where: what the error should name.

    Raises:
        InvalidModelError: there is one.
    """
    for messages, fields in _groups(model, contents):
        texts = (getattr(message, name) for message in messages for name in fields)
        for text in texts:
            if isinstance(text, bytes):
                raise InvalidModelError(f"{text[:60]!r} is no text (UTF-8)", where=where)
    for node in (node for _, own in contents.nodes for node in own):
        if any(isinstance(name, bytes) for name in (*node.input, *node.output)):
            raise InvalidModelError(f"a name at node {node.name!r} is no text (UTF-8)", where=where)


_Groups: TypeAlias = "tuple[tuple[Iterable[Any], Sequence[str]], ...]"


def _groups(model: ModelProto, contents: Contents) -> _Groups:
    """Messages with the names of their fields that hold texts."""
    graphs = contents.graphs
    infos = [info for graph in graphs for info in (*graph.input, *graph.output, *graph.value_info)]
    return (
        ([model], ("producer_name", "producer_version", "domain", "doc_string")),
        (graphs, _NAMED),
        (contents.functions, (*_NAMED, "domain", "overload")),
        ((n for _, own in contents.nodes for n in own), (*_NAMED, "op_type", "domain", "overload")),
        (contents.attributes, (*_NAMED, "ref_attr_name")),
        (contents.tensors, _NAMED),
        (infos, _NAMED),
        ((dim for i in infos for dim in i.type.tensor_type.shape.dim), ("dim_param",)),
        (model.metadata_props, ("key", "value")),
        ((e for graph in graphs for e in graph.metadata_props), ("key", "value")),
        ((e for _, own in contents.nodes for n in own for e in n.metadata_props), ("key", "value")),
    )
