"""The data file of a model: tensors one after another, named by what is in it.

    name = <stem>.<first 12 hex digits of H>.data,   H = sha256(h₁ h₂ …),   hᵢ = sha256(block i)

A block is at most 1 MiB and belongs to one tensor. A file of a given name never changes, so a
model that is replaced never finds its old data overwritten, and processes that have it mapped
are undisturbed. Blocks of zeros are left out of the file as holes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from functools import cache
from io import FileIO
from typing import BinaryIO

import onnx_ir as ir

from normonnx.errors import UnreadableModelError

BLOCK = 1 << 20
_ZEROS = bytes(BLOCK)

_PAGE = 4096
_PAGE_ALIGNED_FROM = 1 << 20
_SMALL_ALIGNMENT = 64

_NAME_LIMIT = 255
_UNSAFE_IN_LOCATION = re.compile(r'[\x00-\x1f\x7f\\/:*?"<>|\ud800-\udfff]')
_SUFFIX = re.compile(r"\.[0-9a-f]{12}\.data")


def data_stem(name: str) -> str:
    """The stem of the data file of a model file called `name`, fit for any file system."""
    stem = name.removesuffix(".onnx") or "model"
    stem = _UNSAFE_IN_LOCATION.sub("_", stem)
    room = _NAME_LIMIT - len(".0123456789ab.data")
    return stem.encode()[:room].decode(errors="ignore")


def is_own_data(location: str, name: str) -> bool:
    """Whether `location` is a name that only we give to data of the model file `name`."""
    stem = data_stem(name)
    return location.startswith(stem) and bool(_SUFFIX.fullmatch(location[len(stem) :]))


class DataFile:
    """Writes tensors into a file and works out the file's name.

    Args:
        file: empty, opened for writing.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = 0
        self._digest = hashlib.sha256()
        self._placed: dict[tuple[object, ...], int] = {}

    def append(self, tensor: ir.TensorProtocol) -> int:
        """Write a tensor, unless it is there already, and return its offset in bytes.

        Args:
            tensor: of any type that has a fixed width; at most one tensor is in memory.
        """
        identity = _identity(tensor)
        if identity in self._placed:
            return self._placed[identity]
        alignment = _PAGE if tensor.nbytes >= _PAGE_ALIGNED_FROM else _SMALL_ALIGNMENT
        offset = -(-self._end // alignment) * alignment
        self._digest.update(offset.to_bytes(8, "little"))
        self._file.seek(offset)
        for block in _blocks(tensor):
            if block == _ZEROS:
                self._file.seek(BLOCK, 1)
                self._digest.update(_digest_of_zeros())
            else:
                self._file.write(block)
                self._digest.update(hashlib.sha256(block).digest())
        self._end = offset + tensor.nbytes
        self._placed[identity] = offset
        return offset

    def close(self) -> tuple[str, int]:
        """Give the file its full length, for it may end in a hole; its 12 digits and its bytes."""
        self._file.flush()
        self._file.truncate(self._end)
        return self._digest.hexdigest()[:12], self._end


@cache
def _digest_of_zeros() -> bytes:
    return hashlib.sha256(_ZEROS).digest()


def _identity(tensor: ir.TensorProtocol) -> tuple[object, ...]:
    if isinstance(tensor, ir.ExternalTensor):
        return (tensor.path, tensor.offset or 0, tensor.nbytes)
    return (id(tensor),)


def _blocks(tensor: ir.TensorProtocol) -> Iterator[bytes | bytearray]:
    if isinstance(tensor, ir.ExternalTensor):
        yield from _blocks_on_disk(tensor)
        return
    content = tensor.tobytes()
    for start in range(0, len(content), BLOCK):
        yield content[start : start + BLOCK]


def _blocks_on_disk(tensor: ir.ExternalTensor) -> Iterator[bytes | bytearray]:
    """Straight from the file into one buffer, which the next block overwrites."""
    where = f"tensor {tensor.name!r} -> {tensor.path!r}"
    start, left = tensor.offset or 0, tensor.nbytes
    buffer = bytearray(BLOCK)
    try:
        with open(tensor.path, "rb", buffering=0) as source:
            is_whole = os.fstat(source.fileno()).st_size >= start + left
            source.seek(start)
            while left:
                if left >= BLOCK and is_whole and _in_hole(source, BLOCK):
                    source.seek(BLOCK, os.SEEK_CUR)
                    left -= BLOCK
                    yield _ZEROS
                    continue
                count = source.readinto(memoryview(buffer)[:left])
                if not count:
                    raise UnreadableModelError(
                        "external data ended early: the file was changed meanwhile", where=where
                    )
                left -= count
                yield buffer if count == BLOCK else bytes(buffer[:count])
    except OSError as error:
        raise UnreadableModelError(
            f"external data cannot be read: {error.strerror}", where=where
        ) from error


def _in_hole(source: FileIO, count: int) -> bool:
    """Whether the next `count` bytes are a hole, so that reading them would be a waste."""
    here = source.tell()
    try:
        data = os.lseek(source.fileno(), here, os.SEEK_DATA)
    except (OSError, AttributeError) as error:
        return isinstance(error, OSError) and error.errno == errno.ENXIO
    finally:
        source.seek(here)
    return data - here >= count
