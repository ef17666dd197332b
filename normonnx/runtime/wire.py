"""Inputs and outputs as bytes, to and from a process that is not trusted: nothing in them is code.

length of the header, 8 bytes │ header, JSON │ the arrays one behind the other
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from normonnx.runtime.element_types import BY_NAME

_KINDS = "biufc"
_WIDTH = 8


class NotSendableError(Exception):
    """A value is no tensor, no map and no sequence of them, or what came is none."""


def encode(outputs: Mapping[str, Any]) -> bytes:
    """The inputs or outputs of a session as bytes.

    Raises:
        NotSendableError: if one is neither a tensor, nor a map, nor a sequence of them, nor absent.
    """
    blobs: list[bytes] = []
    header = {name: _described(name, value, blobs) for name, value in outputs.items()}
    text = json.dumps(header).encode()
    return b"".join((len(text).to_bytes(_WIDTH, "little"), text, *blobs))


def decode(content: bytes) -> dict[str, Any]:
    """The outputs again.

    Raises:
        NotSendableError: if the bytes are no outputs.
    """
    try:
        end = _WIDTH + int.from_bytes(content[:_WIDTH], "little")
        header = json.loads(content[_WIDTH:end])
        rest = memoryview(content)[end:]
        result = {}
        for name, described in header.items():
            result[name], rest = _restored(described, rest)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise NotSendableError(f"the answer is damaged: {error}") from error
    return result


def _described(name: str, value: Any, blobs: list[bytes]) -> Any:
    if value is None:
        return None
    if isinstance(value, list):
        return {"list": [_described(name, item, blobs) for item in value]}
    if isinstance(value, dict):
        parts = [list(value), list(value.values())]
        return {"map": [_described(name, np.array(part), blobs) for part in parts]}
    array = np.asarray(value)
    if array.dtype.kind in _KINDS or array.dtype.name in BY_NAME:
        blobs.append(np.ascontiguousarray(array).tobytes())
        return {"type": array.dtype.name, "shape": array.shape}
    texts = array.reshape(-1).tolist()
    if not all(isinstance(text, str) for text in texts):
        raise NotSendableError(f"'{name}' is no tensor")
    return {"texts": texts, "shape": array.shape}


def _restored(described: Any, rest: memoryview) -> tuple[Any, memoryview]:
    if described is None:
        return None, rest
    if "list" in described:
        items = []
        for item in described["list"]:
            value, rest = _restored(item, rest)
            items.append(value)
        return items, rest
    if "map" in described:
        keys, rest = _restored(described["map"][0], rest)
        values, rest = _restored(described["map"][1], rest)
        return dict(zip(keys.tolist(), values.tolist(), strict=True)), rest
    shape = tuple(map(int, described["shape"]))
    if "texts" in described:
        return np.array(described["texts"], dtype=object).reshape(shape), rest
    dtype = BY_NAME.get(described["type"]) or np.dtype(described["type"])
    if dtype.hasobject:
        raise NotSendableError("the answer holds objects")
    size = math.prod(shape) * dtype.itemsize
    array: np.ndarray[Any, Any] = np.frombuffer(rest[:size], dtype=dtype).reshape(shape).copy()
    return array, rest[size:]
