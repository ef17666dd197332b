"""Data files of a model that is replaced.

Those that we wrote for it go, unless something beside them refers to them. Those that another tool
named stay and are told of: models elsewhere, and backups of any name, may need them.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto

from normonnx.model_io.contents import contents_of
from normonnx.model_io.layout import is_own_data

_READERS = frozenset({".onnx", ".ort", ".pb", ".pbtxt", ".textproto", ".json"})
"""Endings of files that may name a data file."""


def data_to_retire(destination: Path, *, foreign: bool) -> set[str]:
    """Data files of the model that `destination` is now, relative to its directory.

    Args:
        destination: of a model that is about to be replaced.
        foreign: whether files count that another tool may have written, as well as our own.
    """
    with os.scandir(destination.parent) as entries:
        if not foreign and not any(is_own_data(entry.name, destination.name) for entry in entries):
            return set()
    names = locations_in(destination)
    return {name for name in names if foreign or is_own_data(name, destination.name)}


def locations_in(path: Path) -> frozenset[str]:
    """The data files that a model file names, as it names them; none where it is no model."""
    try:
        if not _mentions(path, b"location"):
            return frozenset()
        model = ModelProto.FromString(path.read_bytes())
    except (OSError, ValueError, DecodeError):
        return frozenset()
    return frozenset(
        str(entry.value)
        for tensor in contents_of(model).tensors
        for entry in tensor.external_data
        if entry.key == "location"
    )


def retire(destination: Path, names: Iterable[str]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Remove data files that we wrote and that nothing refers to any more.

    Args:
        destination: the model that named them.
        names: of the files, relative to its directory.

    Returns:
        The files that were removed, and those that were left because something may need them.
    """
    removed: list[Path] = []
    left: list[Path] = []
    directory = destination.parent
    for name in sorted(names):
        data = directory / name
        if not data.exists():
            continue
        goes = is_own_data(name, destination.name) and _remove(data, directory)
        (removed if goes else left).append(data)
    return tuple(removed), tuple(left)


def _remove(data: Path, directory: Path) -> bool:
    """Remove a file of one name within `directory`, unless a model near it names it."""
    with contextlib.suppress(OSError):
        own = data.lstat()
        if not stat.S_ISREG(own.st_mode) or own.st_nlink > 1:
            return False
        if not data.resolve().is_relative_to(directory.resolve()):
            return False
        name = os.fsencode(data.name)
        if any(_mentions(reader, name) for reader in _readers({directory, data.parent})):
            return False
        data.unlink()
        return True
    return False


def _readers(directories: Iterable[Path]) -> Iterator[Path]:
    for directory in directories:
        for path in directory.iterdir():
            if path.suffix.lower() in _READERS and path.is_file():
                yield path


def _mentions(path: Path, name: bytes) -> bool:
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(name) >= 0
