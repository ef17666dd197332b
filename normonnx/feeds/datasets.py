"""Inputs and outputs as files that `verify --data` reads back.

outputs.npz                          every input and output by its name, tensors of a sequence s as
                                     s[0], s[1], …
DIR/test_data_set_0/input_0.pb       the inputs in the order of the model
DIR/test_data_set_0/output_0.pb      what the model makes of them
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, numpy_helper

from normonnx import model_io
from normonnx.errors import UnreadableModelError, UsageError, WriteError
from normonnx.feeds.data import natural, sources_in

_ARCHIVE = ".npz"
# What NumPy's format keeps; other types, bfloat16 say, would be read back as bytes.
_PLAIN_KINDS = "biufcU"


def save(
    path: Path, inputs: Mapping[str, Any], outputs: Mapping[str, Any], *, number: int = 0
) -> Path:
    """Write one set of data.

    Args:
        path: an .npz, or a directory for ``test_data_set_<number>``.
        inputs: tensors, or lists of them, by name, in the order of the model.
        outputs: likewise.
        number: of the set in the directory.

    Returns:
        What was written: the file, or the folder of the set.

    Raises:
        UsageError: the file cannot hold the types.
        WriteError: the system refuses.
    """
    if is_archive(path):
        model_io.write_bytes(path.absolute(), _archive(path, {**inputs, **outputs}))
        return path
    folder = path / f"test_data_set_{number}"
    write_set(folder, inputs, outputs)
    return folder


def recorded_outputs(path: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """The outputs that were saved, for each set of data in the order in which feeds are read.

    Args:
        path: an .npz, a set in the layout of ONNX's tests, or a directory of either.
        names: of the outputs of the model, in its order; others are left out.

    Raises:
        UnreadableModelError: a file cannot be read.
    """
    found = []
    for source in sources_in(path):
        try:
            found.append(_outputs(source, names))
        except (OSError, ValueError, EOFError, DecodeError) as error:
            raise UnreadableModelError(
                "the saved outputs cannot be read", where=str(source)
            ) from error
    return found


def _outputs(source: Path, names: Sequence[str]) -> dict[str, Any]:
    if source.is_dir():
        files = sorted(source.glob("output_*.pb"), key=natural)
        tensors = [TensorProto.FromString(file.read_bytes()) for file in files]
        pairs = zip(names, tensors, strict=False)
        named = {t.name if t.name in names else name: t for name, t in pairs}
        return {name: numpy_helper.to_array(tensor) for name, tensor in named.items()}
    with np.load(source, allow_pickle=False) as archive:
        return {name: archive[name] for name in names if name in archive}


def is_archive(path: Path) -> bool:
    """Whether a path is that of a file for one set of data."""
    return path.suffix.lower() == _ARCHIVE


def write_set(folder: Path, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
    """Write a folder in the layout of ONNX's tests; what was such data there before goes.

    Raises:
        WriteError: the system refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob("*put_*.pb"):
            stale.unlink()
        for kind, values in (("input", inputs), ("output", outputs)):
            for number, (name, value) in enumerate(values.items()):
                (folder / f"{kind}_{number}.pb").write_bytes(_proto(name, value))
    except OSError as error:
        raise WriteError(f"cannot write the data: {error.strerror}", where=str(folder)) from error


def _proto(name: str, value: Any) -> bytes:
    """A tensor, a sequence, or an optional that is absent, as onnx stores them.

    Raises:
        UsageError: for maps.
    """
    if value is None:
        return bytes(numpy_helper.from_optional(None, name).SerializeToString())
    if _holds_maps(value):
        raise UsageError(f"'{name}' is a map, which is not written", hint="compare it with verify")
    if isinstance(value, list):
        return bytes(numpy_helper.from_list(value, name).SerializeToString())
    array = np.asarray(value)
    if array.dtype.kind == "U":  # onnx takes texts as objects only
        array = array.astype(object)
    return bytes(numpy_helper.from_array(array, name).SerializeToString())


def _holds_maps(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_holds_maps, value)))


def _archive(path: Path, values: Mapping[str, Any]) -> bytes:
    arrays: dict[str, Any] = {}
    for name, array in _tensors(values):
        if array.dtype.kind == "O" and array.size and isinstance(array.reshape(-1)[0], str):
            array = array.astype(np.str_)
        if array.dtype.kind not in _PLAIN_KINDS:
            what = "a map" if array.dtype.kind == "O" else str(array.dtype)
            raise UsageError(
                f"an .npz cannot hold '{name}', which is {what}",
                hint=f"give a directory instead of {path.name}: it gets ONNX's test_data_set_0",
            )
        arrays[name] = array
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:  # numpy.savez has parameters of its own names
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)
    return content.getvalue()


def _tensors(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """All tensors with their names, those of a sequence s as s[0], s[1], …; nothing for nothing."""
    for name, value in values.items():
        if isinstance(value, list):
            yield from _tensors({f"{name}[{number}]": item for number, item in enumerate(value)})
        elif value is not None:
            yield name, np.asarray(value)
