"""Save a model so that a crash at any instant leaves the old model or the new one, whole.

One file when the model fits and kept no data files before; otherwise the proto and one data file
named by its content (`layout`). The proto is published last: until then the old model is complete,
after that the new one is.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

import onnx_ir as ir
from msgspec import Struct

from normonnx.errors import WriteError
from normonnx.graph.nesting import graphs_of
from normonnx.model_io.atomic import (
    Transaction,
    behind_links,
    is_stream,
    locked,
    write_bytes,
    write_errors,
)
from normonnx.model_io.digest import Digest
from normonnx.model_io.layout import DataFile, data_stem
from normonnx.model_io.loading import LoadedModel, tensors_of
from normonnx.model_io.retiring import data_to_retire, retire
from normonnx.model_io.streaming import pieces

SINGLE_FILE_LIMIT = 1_900_000_000
"""Weights of more bytes than this go into a data file; a protobuf file ends at 2³¹ − 1."""

EXTERNAL_FROM = 1024
"""Tensors of fewer bytes than this stay in the proto."""


class SavedModel(Struct, frozen=True):
    """What was written.

    Attributes:
        path: of the model file.
        nbytes: of the model file and its data file.
        sha256: of the model file; it names the data file, so it stands for both.
        data: the data file, None when the model is one file.
        removed: data files of the model that was replaced, which nothing refers to any more.
        left: data files of the model that was replaced, which something else may need.
    """

    path: Path
    nbytes: int
    sha256: str
    data: Path | None
    removed: tuple[Path, ...] = ()
    left: tuple[Path, ...] = ()


def save(
    model: ir.Model,
    destination: str | os.PathLike[str],
    *,
    external_data: bool | None = None,
    in_place: bool = False,
) -> SavedModel:
    """Write `model` to `destination`, which may be the file it was loaded from.

    Args:
        model: never changed; its weights are read one at a time.
        destination: a file name; a symbolic link is written through, and so is a device.
        external_data: whether weights go into a data file beside it; None keeps the model's own
            style and uses a data file for what does not fit into one.
        in_place: whether the model came from there: its data files go then, as far as no other
            model beside it refers to them.

    Raises:
        WriteError: it could not be written; what was there before is untouched.
    """
    path = Path(os.path.abspath(destination))
    if is_stream(path):
        return _into(path, model)
    path = behind_links(path)
    _refuse_weights(model, path)
    return _save(model, path, external_data, durable=True, in_place=in_place)


def to_session_file(model: ir.Model, directory: Path) -> Path:
    """Write `model` into `directory` for ONNX Runtime: one file, with a data file if it must.

    Its name is new in the directory each time.

    Raises:
        WriteError: it could not be written.
    """
    destination = Path(os.path.abspath(directory)) / f"model-{secrets.token_hex(4)}.onnx"
    return _save(model, destination, _too_large(model), durable=False).path


def dump(model: ir.Model) -> bytes:
    """The bytes of `model` as one file, for standard output.

    Raises:
        WriteError: it does not fit into one file.
    """
    if _too_large(model):
        raise WriteError(
            "the model is too large for one file", hint="name a file with -o instead of '-'"
        )
    return b"".join(pieces(_inlined(model)))


def copy(loaded: LoadedModel, destination: str | os.PathLike[str]) -> SavedModel | None:
    """Write the very bytes that `loaded` came from.

    Returns:
        None when there are no such bytes: the model came as an object, keeps weights in data
        files, or its file has changed since.

    Raises:
        WriteError: it could not be written.
    """
    content = original_bytes(loaded)
    if content is None:
        return None
    path = Path(os.path.abspath(destination))
    write_bytes(path, content)
    return SavedModel(path, len(content), loaded.sha256, None)


def _into(stream: Path, model: ir.Model) -> SavedModel:
    """Write `model` as one file into a device or a pipe."""
    content = dump(model)
    write_bytes(stream, content)
    return SavedModel(stream, len(content), hashlib.sha256(content).hexdigest(), None)


def _refuse_weights(model: ir.Model, destination: Path) -> None:
    """Refuse to write a model over the weights that it reads."""
    for tensor in tensors_of(model):
        if isinstance(tensor, ir.ExternalTensor) and Path(tensor.path) == destination:
            raise WriteError(
                "the model would be written over its own weights",
                where=str(destination),
                hint="choose another name for the result",
            )


def original_bytes(loaded: LoadedModel) -> bytes | None:
    """The bytes that `loaded` came from, None when they are not to be had or not all of it."""
    content = loaded.content
    if content is None and loaded.path is not None:
        with contextlib.suppress(OSError):
            content = loaded.path.read_bytes()
    if content is None or loaded.external:
        return None
    return content if hashlib.sha256(content).hexdigest() == loaded.sha256 else None


def same(first: ir.Model, second: ir.Model) -> bool:
    """Whether both are written the same way; weights on disk are compared by where they are."""
    try:
        pairs = zip_longest(pieces(first), pieces(second))
        return all(one == other for one, other in pairs)
    except WriteError:
        return False


def _too_large(model: ir.Model) -> bool:
    nbytes = sum(t.nbytes for t in tensors_of(model) if t.dtype != ir.DataType.STRING)
    return nbytes > SINGLE_FILE_LIMIT


def _save(
    model: ir.Model,
    destination: Path,
    external_data: bool | None,
    *,
    durable: bool,
    in_place: bool = False,
) -> SavedModel:
    if external_data is None:
        has_data_files = any(isinstance(t, ir.ExternalTensor) for t in tensors_of(model))
        external_data = has_data_files or _too_large(model)
    with (
        write_errors(destination),
        Transaction(destination.parent, durable=durable) as transaction,
    ):
        data_name, data_bytes = None, 0
        if external_data:
            staged_data, file = transaction.stage()
            model, data_name, data_bytes = _externalized(model, DataFile(file), destination.name)
        else:
            model = _inlined(model)
        staged, file = transaction.stage()
        digest = Digest()
        for piece in pieces(model, location=data_name):
            digest.update(piece)
            file.write(piece)
        nbytes = file.tell()
        with locked(destination.parent):
            retired = data_to_retire(destination, foreign=in_place) - {data_name or ""}
            if data_name is not None:
                transaction.publish(staged_data, data_name)
            transaction.publish(staged, destination.name, decisive=True)
            removed, left = retire(destination, retired)
    return SavedModel(
        destination,
        nbytes + data_bytes,
        digest.hexdigest(),
        None if data_name is None else destination.parent / data_name,
        removed,
        left,
    )


def _inlined(model: ir.Model) -> ir.Model:
    """The model with every weight inside."""
    if any(isinstance(tensor, ir.ExternalTensor) for tensor in tensors_of(model)):
        return _replaced(model, _in_memory)
    return model


def _in_memory(tensor: ir.TensorProtocol, _is_initializer: bool) -> ir.TensorProtocol:
    if not isinstance(tensor, ir.ExternalTensor):
        return tensor
    return ir.Tensor(
        tensor.numpy(),
        dtype=tensor.dtype,
        shape=tensor.shape,
        name=tensor.name,
        doc_string=tensor.doc_string,
        metadata_props=tensor.metadata_props,
    )


def _externalized(
    model: ir.Model, data: DataFile, model_name: str
) -> tuple[ir.Model, str | None, int]:
    """The model with its weights in a data file, the file's name (None if empty), its bytes."""

    def place(tensor: ir.TensorProtocol, is_initializer: bool) -> ir.TensorProtocol:
        if tensor.dtype == ir.DataType.STRING or tensor.nbytes < EXTERNAL_FROM:
            return _in_memory(tensor, is_initializer)
        if not (is_initializer or isinstance(tensor, ir.ExternalTensor)):
            return tensor
        return ir.ExternalTensor(
            data_stem(model_name),
            data.append(tensor),
            tensor.nbytes,
            tensor.dtype,
            shape=ir.Shape(tensor.shape.numpy()),
            name=tensor.name or "",
            doc_string=tensor.doc_string,
            metadata_props=dict(tensor.metadata_props),
        )

    model = _replaced(model, place)
    digest, nbytes = data.close()
    return model, f"{data_stem(model_name)}.{digest}.data" if nbytes else None, nbytes


def _replaced(
    model: ir.Model, replace: Callable[[ir.TensorProtocol, bool], ir.TensorProtocol]
) -> ir.Model:
    """A clone of `model` with each tensor replaced; told which of them are initializers."""
    clone = model.clone()
    for graph in graphs_of(clone):
        for value in graph.initializers.values():
            if value.const_value is not None:
                value.const_value = replace(value.const_value, True)
        for node in graph:
            for name, attribute in node.attributes.items():
                new = _replaced_attribute(attribute, replace)
                if new is not None:
                    node.attributes[name] = new
    return clone


def _replaced_attribute(
    attribute: ir.Attr, replace: Callable[[ir.TensorProtocol, bool], ir.TensorProtocol]
) -> ir.Attr | None:
    """The attribute with its tensors replaced; None if it holds none."""
    if attribute.is_ref() or attribute.value is None:
        return None
    new: object
    if attribute.type == ir.AttributeType.TENSOR:
        new = replace(attribute.value, False)
    elif attribute.type == ir.AttributeType.TENSORS:
        new = [replace(tensor, False) for tensor in attribute.value]
    else:
        return None
    return ir.Attr(attribute.name, attribute.type, new, doc_string=attribute.doc_string)
