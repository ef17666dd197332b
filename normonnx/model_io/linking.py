"""Models whose large weights stay where they are: only where they lie is handed on.

Weights in data files are read from there. Those that are views of a file's bytes are written into
one file beside it, once for all models that share them. What else there is stays in the message.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir
from msgspec import Struct
from onnx import ModelProto, TensorProto, helper

from normonnx.model_io.loading import tensors_of
from normonnx.model_io.streaming import LARGE, lightened, raw_bytes

_PAGE = 4096
_MOST_INSIDE = 1_500_000_000
"""Weights of more bytes than this do not go into the message."""


class Linked(Struct, frozen=True):
    """A model without its large weights.

    Attributes:
        content: the serialised model.
        folder: in which the files lie that it names.
    """

    content: bytes
    folder: Path


class WeightsFile:
    """The weights of one or several models in one file, each written once.

    Args:
        folder: where to write it; it is the caller's to remove.
    """

    def __init__(self, folder: Path) -> None:
        self.path: Path = folder / "weights.bin"
        self._places: dict[tuple[int, int], int] = {}
        # An address says which weight it is as long as that is in memory.
        self._held: list[ir.TensorProtocol] = []
        self._end = 0

    def place(self, tensor: ir.TensorProtocol) -> int:
        """Where the bytes of a tensor begin, which must not change any more.

        Raises:
            OSError: the system refuses to write them.
        """
        key = (tensor.numpy().__array_interface__["data"][0], tensor.nbytes)
        if key not in self._places:
            start = -(-self._end // _PAGE) * _PAGE
            with self.path.open("r+b" if self._end else "wb") as file:
                file.seek(start)
                file.write(raw_bytes(tensor))
            self._held.append(tensor)
            self._places[key] = start
            self._end = start + tensor.nbytes
        return self._places[key]


def linked(model: ir.Model, weights: WeightsFile) -> Linked | None:
    """The model with its large weights linked; None where they cannot all be.

    Args:
        model: never changed.
        weights: where to write those that are in memory and nobody changes.
    """
    proto, in_memory = lightened(model)
    folder = _named_in_one_folder(_external(model, proto))
    if folder is None:
        return None
    views = {n: w for n, w in in_memory.items() if not folder and _is_view(w)}
    inside = {name: weight for name, weight in in_memory.items() if name not in views}
    if sum(weight.nbytes for weight in inside.values()) > _MOST_INSIDE:
        return None
    for tensor in proto.graph.initializer:
        if tensor.name in inside:
            _fill(tensor, inside[tensor.name])
    if not _place(proto, views, weights):
        return None
    return Linked(proto.SerializeToString(), Path(folder) if folder else weights.path.parent)


def _named_in_one_folder(external: list[TensorProto] | None) -> str | None:
    """The folder of all these files, by whose names they are called now; None if there are more."""
    if external is None:
        return None
    folders = {os.path.dirname(_location(tensor)) for tensor in external}
    if len(folders) > 1 or not all(map(os.path.isabs, folders)):
        return None
    for tensor in external:
        _point(tensor, os.path.basename(_location(tensor)))
    return next(iter(folders), "")


def _place(proto: ModelProto, views: Mapping[str, ir.TensorProtocol], weights: WeightsFile) -> bool:
    """Write weights into the file; False where the system refuses."""
    for tensor in proto.graph.initializer:
        weight = views.get(tensor.name)
        try:
            if weight is not None:
                _point(tensor, weights.path.name, weights.place(weight), weight.nbytes)
        except OSError:
            return False
    return True


def without_weights(model: ir.Model) -> ModelProto | None:
    """The message with inputs in the place of large weights; None where others are in data files.

    What it says of operators, types and shapes is what the model says.
    """
    proto, large = lightened(model)
    external = _external(model, proto)
    if external is None:
        return None
    for tensor in external:
        weight = model.graph.initializers[tensor.name].const_value
        assert weight is not None
        if weight.nbytes < LARGE:
            _fill(tensor, weight)
        else:
            large[tensor.name] = weight
    given = {info.name for info in proto.graph.input}
    proto.graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in proto.graph.initializer
        if tensor.name in large and tensor.name not in given
    )
    kept = [tensor for tensor in proto.graph.initializer if tensor.name not in large]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    return proto


def let_go(tensor: ir.TensorProtocol) -> None:
    """Let the system have the memory of a weight in a data file, until it is read again."""
    raw = tensor.raw if isinstance(tensor, ir.ExternalTensor) else None
    if raw is not None and hasattr(raw, "madvise"):
        raw.madvise(mmap.MADV_DONTNEED)


def _external(model: ir.Model, proto: ModelProto) -> list[TensorProto] | None:
    """The initializers in data files; None if something else is in one."""
    names = {
        name
        for name, value in model.graph.initializers.items()
        if isinstance(value.const_value, ir.ExternalTensor)
    }
    if len(names) != sum(isinstance(tensor, ir.ExternalTensor) for tensor in tensors_of(model)):
        return None
    return [tensor for tensor in proto.graph.initializer if tensor.name in names]


def _fill(tensor: TensorProto, weight: ir.TensorProtocol) -> None:
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    tensor.raw_data = bytes(raw_bytes(weight))


def _is_view(weight: ir.TensorProtocol) -> bool:
    """Whether a weight is part of something that was read, and nobody changes."""
    array = weight.numpy()
    return isinstance(array, np.ndarray) and not array.flags.writeable and not array.flags.owndata


def _location(tensor: TensorProto) -> str:
    return next((e.value for e in tensor.external_data if e.key == "location"), "")


def _point(
    tensor: TensorProto, location: str, offset: int | None = None, length: int | None = None
) -> None:
    """Let a tensor lie in a file, at a new place if one is given."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    entries["location"] = location
    if offset is not None:
        entries |= {"offset": str(offset), "length": str(length)}
    del tensor.external_data[:]
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
