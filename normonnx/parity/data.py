"""Feeds of the user: .npz, .npy, or a folder in the layout of ONNX's own tests.

data.npz                    one array per input, by name
data.npy                    the one input of the model
test_data_set_0/input_0.pb  TensorProtos in the order of the inputs, or named like them
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from normonnx.errors import UnreadableModelError, UsageError
from normonnx.parity.feeds import Feed

_NUMBER = re.compile(r"(\d+)")


def feeds_from(path: Path, inputs: Sequence[ir.Value], *, first: int = 0) -> list[Feed]:
    """Read feeds.

    Args:
        path: a file, a test data set, or a folder of either.
        inputs: the inputs of the model that need data.
        first: number of the first feed.

    Raises:
        UnreadableModelError: if a file cannot be read.
        UsageError: if the data do not fit the inputs.
    """
    sources = _sources(path)
    if not sources:
        raise UsageError(
            f"no data in {path}", hint="give an .npz, an .npy or a folder with input_0.pb"
        )
    result = []
    for number, source in enumerate(sources, start=first):
        arrays = _read(source, inputs)
        result.append(Feed(number, source.name, {}, _checked(source, arrays, inputs)))
    return result


def _sources(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if any(path.glob("input_*.pb")):
        return [path]
    found = [p for p in path.iterdir() if p.suffix in (".npz", ".npy")]
    found += [p for p in path.iterdir() if p.is_dir() and any(p.glob("input_*.pb"))]
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort input_10 behind input_9."""
    return [(int(p), "") if p.isdigit() else (-1, p) for p in _NUMBER.split(path.name)]


def _read(source: Path, inputs: Sequence[ir.Value]) -> dict[str, Any]:
    try:
        if source.is_dir():
            return _protos(source, inputs)
        if source.suffix == ".npz":
            with np.load(source, allow_pickle=False) as archive:
                return dict(archive)
        if source.suffix == ".npy":
            if len(inputs) != 1:
                raise UsageError(
                    f"{source.name} is one array, the model has {len(inputs)} inputs",
                    hint="give an .npz with one array per input",
                )
            return {str(inputs[0].name): np.load(source, allow_pickle=False)}
    except (OSError, ValueError, EOFError) as error:
        raise UnreadableModelError(f"cannot read the data: {error}", where=str(source)) from error
    raise UsageError(f"{source.name} is no data", hint="give an .npz, an .npy or a folder")


def _protos(folder: Path, inputs: Sequence[ir.Value]) -> dict[str, Any]:
    names = [str(v.name) for v in inputs]
    result: dict[str, Any] = {}
    for number, file in enumerate(sorted(folder.glob("input_*.pb"), key=_natural)):
        tensor = onnx.TensorProto()
        try:
            tensor.ParseFromString(file.read_bytes())
            array = onnx.numpy_helper.to_array(tensor)
        except Exception as error:
            raise UnreadableModelError(f"no tensor: {error}", where=str(file)) from error
        known = tensor.name in names
        name = tensor.name if known else names[number] if number < len(names) else ""
        if name:
            result[name] = array
    return result


def _checked(source: Path, arrays: dict[str, Any], inputs: Sequence[ir.Value]) -> dict[str, Any]:
    result = {}
    for value in inputs:
        name = str(value.name)
        if name not in arrays:
            raise UsageError(f"{source.name} has no array '{name}'")
        array = arrays[name]
        if value.dtype is not None and value.dtype != ir.DataType.STRING:
            wanted = value.dtype.numpy()
            if array.dtype != wanted:
                if not np.can_cast(array.dtype, wanted, "same_kind"):
                    raise UsageError(
                        f"'{name}' in {source.name} is {array.dtype}, the model takes {wanted}"
                    )
                array = array.astype(wanted)
        result[name] = array
    return result
