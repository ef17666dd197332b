"""Feeds of the user: .npz, .npy, a folder in the layout of ONNX's own tests, or a function.

data.npz                    one array per input, by name; the tensors of a sequence s as s[0], …
data.npy                    the one input of the model
test_data_set_0/input_0.pb  TensorProtos, SequenceProtos or OptionalProtos in the order of the
                            inputs, or named like them

An optional input that is not given is absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx_ir as ir

from normonnx.errors import UnreadableModelError, UsageError
from normonnx.feeds.kinds import Form, form_of
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
        named = [(source.name, _read(source, inputs)) for source in sources_in(data)]
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
    return dict(given)


def sources_in(path: Path) -> list[Path]:
    """The files and sets of data that a path stands for, in their order."""
    if not path.is_dir():
        return [path]
    if _is_set(path):
        return [path]
    found = [p for p in path.iterdir() if p.suffix in (".npz", ".npy")]
    found += [p for p in path.iterdir() if p.is_dir() and _is_set(p)]
    return sorted(found, key=natural)


def _is_set(folder: Path) -> bool:
    """Whether it is a set of ONNX's tests; that of a model without inputs has outputs only."""
    return any(folder.glob("input_*.pb")) or any(folder.glob("output_*.pb"))


def natural(path: Path) -> list[tuple[int, str]]:
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
        why = getattr(error, "strerror", None) or "it is damaged, or holds Python objects"
        raise UnreadableModelError(f"cannot read the data: {why}", where=str(source)) from error
    raise UsageError(
        f"{source.name} is not a kind of data that can be read",
        hint="give an .npz, an .npy or a folder",
    )


def _protos(folder: Path, inputs: Sequence[ir.Value]) -> dict[str, Any]:
    names = [str(v.name) for v in inputs]
    result: dict[str, Any] = {}
    for number, file in enumerate(sorted(folder.glob("input_*.pb"), key=natural)):
        at_its_place = inputs[number : number + 1]
        others = [value for value in inputs if value not in at_its_place]
        name, array = _proto(file, [*at_its_place, *others])
        name = name if name in names else names[number] if number < len(names) else ""
        if name:
            result[name] = array
    return result


def _proto(file: Path, inputs: Sequence[ir.Value]) -> tuple[str, Any]:
    """The name and the value of a file, which is of the form of one of the inputs.

    Bytes of one form may be read as another: a name that is an input's counts most, and then the
    order of the inputs.

    Raises:
        UnreadableModelError: if it is of none.
    """
    content, complaint = file.read_bytes(), ""
    found: list[tuple[str, Any]] = []
    forms = [*filter(None, map(form_of, inputs)), Form(optional=False, depth=0)]
    for form in dict.fromkeys(forms):
        for proto, read in _FORMATS[bool(form.depth), form.optional]:
            try:
                message = proto.FromString(content)
                value = read(message)
            except Exception as error:
                complaint = complaint or str(error)
                continue
            if value is None or isinstance(value, list) == bool(form.depth):
                found.append((message.name, value))
    names = {value.name for value in inputs}
    best = next((pair for pair in found if pair[0] in names), next(iter(found), None))
    if best is None:
        raise UnreadableModelError(f"no tensor: {complaint}", where=str(file))
    return best


_TENSOR = (onnx.TensorProto, onnx.numpy_helper.to_array)
_SEQUENCE = (onnx.SequenceProto, onnx.numpy_helper.to_list)
_OPTIONAL = (onnx.OptionalProto, onnx.numpy_helper.to_optional)
_FORMATS: Mapping[tuple[bool, bool], tuple[tuple[Any, Callable[[Any], Any]], ...]] = {
    (False, False): (_TENSOR,),
    (True, False): (_SEQUENCE,),
    (False, True): (_OPTIONAL, _TENSOR),
    (True, True): (_OPTIONAL, _SEQUENCE),
}
"""How a value is stored that is a sequence or not, optional or not."""


def _checked(title: str, arrays: dict[str, Any], inputs: Sequence[ir.Value]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for value in inputs:
        name, form = str(value.name), form_of(value)
        sequence = form is not None and bool(form.depth)
        given: Any = _sequence(name, arrays) if sequence else arrays.get(name)
        if given is None and (form is None or not form.optional):
            raise UsageError(f"{title} has no array '{name}'")
        if given is None:
            result[name] = None
        elif sequence:
            result[name] = [_fitted(title, name, item, value.dtype) for item in given]
        else:
            result[name] = _fitted(title, name, given, value.dtype)
    return result


def _sequence(name: str, arrays: Mapping[str, Any]) -> list[Any] | None:
    """The tensors of a sequence: under names of their own, or stacked in one array."""
    stacked = arrays.get(name)
    if isinstance(stacked, list | tuple):
        return list(stacked)
    named = (f"{name}[{number}]" for number in count())
    found = [arrays[each] for each in takewhile(arrays.__contains__, named)]
    if found or stacked is None or not np.ndim(stacked):
        return found or None
    return list(stacked)


def _fitted(title: str, name: str, given: Any, dtype: ir.DataType | None) -> Any:
    """A tensor in the type of its input, where nothing is lost but digits."""
    if isinstance(given, dict):
        return given
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise UsageError(f"'{name}' in {title} is not an array of one shape") from error
    if dtype is None or dtype == ir.DataType.STRING:
        return array
    wanted = np.dtype(dtype.numpy())
    if array.dtype.type is np.void and array.dtype.itemsize == wanted.itemsize:
        array = array.view(wanted)  # as NumPy's files keep bfloat16
    if array.dtype != wanted:
        if not np.can_cast(array.dtype, wanted, "same_kind"):
            raise UsageError(f"'{name}' in {title} is {array.dtype}, the model takes {wanted}")
        array = array.astype(wanted)
    return array
