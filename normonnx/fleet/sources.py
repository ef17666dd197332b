"""Which models a run is about: files as they are named, and all that lie below a directory."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from normonnx.errors import UsageError


class Found(Struct, frozen=True):
    """A model, and what to call the result below a directory for results.

    Attributes:
        source: a path, or ``-`` for standard input.
        name: of the result: the file's name, or its path below the directory that was named.
    """

    source: str
    name: Path


def models_among(
    named: Iterable[str | os.PathLike[str]], *, outside: Path | None = None
) -> list[Found]:
    """The models that are named, and for a directory every ``.onnx`` below it, sorted.

    Args:
        named: paths of models and directories.
        outside: a directory for results: what lies in it is no source.

    Raises:
        UsageError: there is no model below a directory.
    """
    found = []
    for path in [os.fspath(path) for path in named]:
        if not os.path.isdir(path):
            found.append(Found(path, Path(os.path.basename(path))))
            continue
        own = None if outside is None else outside.resolve()
        below = [
            file
            for file in sorted(Path(path).rglob("*.onnx"))
            if file.is_file() and not (own is not None and file.resolve().is_relative_to(own))
        ]
        if not below:
            raise UsageError(f"there is no .onnx file below {path!r}")
        found += [Found(str(file), file.relative_to(path)) for file in below]
    return found


def called(sources: Sequence[str]) -> list[str]:
    """What to call models: the names of their files, or the whole paths where names coincide.

    Args:
        sources: paths, or ``-`` for standard input.
    """
    names = ["<stdin>" if path == "-" else os.path.basename(path) or path for path in sources]
    count = Counter(names)
    return [n if count[n] == 1 else path for n, path in zip(names, sources, strict=True)]
