"""What the IR cannot carry from file to file. Such a model is refused: nothing is lost in silence.

`onnx_ir` reads a ModelProto into objects and writes a new one. It was checked field by field what
does not come back (and what comes back from duplicates, where the last one would win); each is a
row of the tables below.

What does come back in another form, and means the same: the order of `value_info`, entries of it
for initializers (added) and for names that no node produces (dropped), metadata sorted by key,
output names left empty at the end of a node's list (dropped), an external tensor's checksum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache

import onnx
from google.protobuf.descriptor import Descriptor  # type: ignore[import-untyped]
from google.protobuf.message import Message  # type: ignore[import-untyped]
from google.protobuf.unknown_fields import UnknownFieldSet  # type: ignore[import-untyped]
from onnx import AttributeProto, ModelProto, TypeProto

from normonnx.errors import InvalidModelError, UnsupportedModelError
from normonnx.model_io.contents import Contents

DEVICE_CONFIGURATION_IR_VERSION = 11


def _duplicate(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _leaf_kinds(types: Iterable[TypeProto]) -> set[str]:
    """The kinds at the bottom of sequences and optionals, such as ``tensor_type``."""
    kinds = set()
    for leaf in types:
        kind = leaf.WhichOneof("value")
        while kind in ("sequence_type", "optional_type"):
            leaf = getattr(leaf, kind).elem_type
            kind = leaf.WhichOneof("value")
        kinds.add(kind or "")
    return kinds


def _types(contents: Contents) -> Iterable[TypeProto]:
    for graph in contents.graphs:
        for infos in (graph.input, graph.output, graph.value_info):
            yield from (info.type for info in infos)
    for function in contents.functions:
        yield from (info.type for info in function.value_info)
    for attribute in contents.attributes:
        if attribute.HasField("tp"):
            yield attribute.tp
        yield from attribute.type_protos


def _sparse(contents: Contents) -> bool:
    return any(graph.sparse_initializer for graph in contents.graphs) or any(
        attribute.type in (AttributeProto.SPARSE_TENSOR, AttributeProto.SPARSE_TENSORS)
        for attribute in contents.attributes
    )


def _early_devices(model: ModelProto, contents: Contents) -> bool:
    return model.ir_version < DEVICE_CONFIGURATION_IR_VERSION and (
        bool(model.configuration)
        or any(node.device_configurations for _, nodes in contents.nodes for node in nodes)
    )


_UNCARRIED: tuple[tuple[Callable[[ModelProto, Contents], bool], str, str], ...] = (
    (
        lambda model, _: bool(model.training_info),
        "the model carries training information (training_info)",
        "normonnx is for inference: export the model without its training graphs",
    ),
    (
        lambda _, contents: _sparse(contents),
        "the model holds sparse tensors",
        "store them dense",
    ),
    (
        lambda _, contents: bool(_leaf_kinds(_types(contents)) & {"map_type", "opaque_type"}),
        "a value of the model is a map or an opaque type",
        "for scikit-learn classifiers, export with the option zipmap=False",
    ),
    (
        lambda _, contents: any(tensor.HasField("segment") for tensor in contents.tensors),
        "a tensor of the model is stored in segments",
        "load and save it once with the tool that wrote it",
    ),
    (
        _early_devices,
        f"device configurations need IR version {DEVICE_CONFIGURATION_IR_VERSION}",
        "raise the model's IR version",
    ),
    (
        lambda _, contents: any(
            attribute.type == AttributeProto.UNDEFINED and not attribute.ref_attr_name
            for _, nodes in contents.nodes
            for node in nodes
            for attribute in node.attribute
        ),
        "a node's attribute has no type, as in files of IR version 1",
        "raise it with onnx.version_converter",
    ),
)


def _first_duplicate(model: ModelProto, contents: Contents) -> tuple[str, str] | None:
    """What occurs twice where names must be unique, as ``(what, name)``."""
    groups: list[tuple[str, Iterable[str]]] = [
        ("metadata entry", (entry.key for entry in model.metadata_props)),
        (
            "function",
            (f"{f.domain}::{f.name}:{f.overload}" for f in model.functions),
        ),
    ]
    for graph in contents.graphs:
        groups.append(("initializer", (tensor.name for tensor in graph.initializer)))
        groups.append(("graph input", (info.name for info in graph.input)))
    groups.extend(
        ("attribute", (a.name for a in node.attribute))
        for _, nodes in contents.nodes
        for node in nodes
    )
    for what, names in groups:
        if (name := _duplicate(names)) is not None:
            return what, name
    return None


def _discards_unknown(model: ModelProto) -> bool:
    """Remove the fields that the installed onnx does not know; whether there were any.

    A message that loses one is written with fewer bytes. Initializers hold the weights and are
    looked at part by part, so that no weight is written for that.
    """
    weights = model.graph.initializer
    parts = [*_messages_in(model, but="graph"), *_messages_in(model.graph, but="initializer")]
    for tensor in weights:
        parts += _messages_in(tensor)
    size = sum(part.ByteSize() for part in parts)
    found = any(len(UnknownFieldSet(owner)) for owner in (model, model.graph, *weights))
    model.DiscardUnknownFields()
    return found or sum(part.ByteSize() for part in parts) != size


def _messages_in(owner: Message, *, but: str = "") -> Iterator[Message]:
    """The messages directly below one, those of one field left out."""
    for field in _message_fields(owner.DESCRIPTOR):
        if field != but:
            part = getattr(owner, field)
            if isinstance(part, Message):
                yield part
            else:
                yield from part


@cache
def _message_fields(descriptor: Descriptor) -> tuple[str, ...]:
    return tuple(field.name for field in descriptor.fields if field.message_type is not None)


def refuse_uncarried(model: ModelProto, contents: Contents, where: str) -> None:
    """Refuse a model that would not survive the way through the IR.

    Args:
        model: the model; fields unknown to the installed onnx are removed from it in the check.
        contents: of `model`.
        where: what the error should name.

    Raises:
        UnsupportedModelError: the model holds something that is written back by nobody.
        InvalidModelError: something that must be unique is there twice.
    """
    if _discards_unknown(model):
        raise UnsupportedModelError(
            f"the model has fields that onnx {onnx.__version__} does not know",
            where=where,
            hint="upgrade the package onnx, or export for an older IR version",
        )
    for found, sentence, remedy in _UNCARRIED:
        if found(model, contents):
            raise UnsupportedModelError(sentence, where=where, hint=remedy)
    if (duplicate := _first_duplicate(model, contents)) is not None:
        what, name = duplicate
        raise InvalidModelError(f"the {what} {name!r} is there twice", where=where)
    if any(not tensor.name for graph in contents.graphs for tensor in graph.initializer):
        raise InvalidModelError("an initializer has no name", where=where)
