"""Feeds of the user: .npz, .npy, a folder in the layout of ONNX's own tests, or a function.

data.npz                    one array per input, by name
data.npy                    the one input of the model
test_data_set_0/input_0.pb  TensorProtos in the order of the inputs, or named like them
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx_ir as ir

from normonnx.errors import UnreadableModelError, UsageError
from normonnx.feeds.source import Feed

Data: TypeAlias = "Path | Callable[[], Iterable[Mapping[str, Any]]]"
"""Feeds of the user: a file or folder, or a function that gives one mapping per feed."""

_NUMBER = re.compile(r"(\d+)")


def feeds_from(data: Data, inputs: Sequence[ir.Value], *, first: int = 0) -> list[Feed]:
    """Read feeds.

    Args:
        data: a file, a test data set, a folder of either, or a function that gives mappings from
            input names to arrays.
        inputs: the inputs of the model that need data.
        first: number of the first feed.

    Raises:
        UnreadableModelError: if a file cannot be read.
        UsageError: if the data do not fit the inputs.
    """
    if isinstance(data, Path):
        named = [(source.name, _read(source, inputs)) for source in _sources(data)]
        origin, hint = str(data), "give an .npz, an .npy or a folder with input_0.pb"
    else:
        named = [(f"data {number}", _arrays(given)) for number, given in enumerate(data())]
        origin, hint = "what the function gives", "give one mapping from names to arrays per feed"
    if not named:
        raise UsageError(f"no data in {origin}", hint=hint)
    return [
        Feed(number, title, {}, _checked(title, arrays, inputs))
        for number, (title, arrays) in enumerate(named, start=first)
    ]


def _arrays(given: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise UsageError(
            f"the function gives a {type(given).__name__}",
            hint="give one mapping from names to arrays per feed",
        )
    return {name: np.asarray(array) for name, array in given.items()}


def _sources(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if _is_set(path):
        return [path]
    found = [p for p in path.iterdir() if p.suffix in (".npz", ".npy")]
    found += [p for p in path.iterdir() if p.is_dir() and _is_set(p)]
    return sorted(found, key=_natural)


def _is_set(folder: Path) -> bool:
    """Whether it is a set of ONNX's tests; that of a model without inputs has outputs only."""
    return any(folder.glob("input_*.pb")) or any(folder.glob("output_*.pb"))


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


def _checked(title: str, arrays: dict[str, Any], inputs: Sequence[ir.Value]) -> dict[str, Any]:
    result = {}
    for value in inputs:
        name = str(value.name)
        if name not in arrays:
            raise UsageError(f"{title} has no array '{name}'")
        array = arrays[name]
        if value.dtype is not None and value.dtype != ir.DataType.STRING:
            wanted = value.dtype.numpy()
            if array.dtype != wanted:
                if not np.can_cast(array.dtype, wanted, "same_kind"):
                    raise UsageError(
                        f"'{name}' in {title} is {array.dtype}, the model takes {wanted}"
                    )
                array = array.astype(wanted)
        result[name] = array
    return result
