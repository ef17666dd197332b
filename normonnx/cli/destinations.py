"""Where results go, settled before any work begins."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from normonnx.errors import UsageError

if TYPE_CHECKING:
    from normonnx.fleet.sources import Found

PIPE = "-"
"""Standard input as a source, standard output as a destination."""


def destinations(
    found: Sequence[Found], output: str | None, directory: Path | None
) -> list[Path | None]:
    """The file of each result, None for standard output.

    Args:
        found: the models.
        output: what ``-o`` says.
        directory: what ``--output-dir`` says; it is made if it is not there.

    Raises:
        UsageError: results would meet in one file, overwrite a source, or have nowhere to go.
    """
    sources = [entry.source for entry in found]
    if output == PIPE or (output is None and PIPE in sources):
        if len(sources) > 1:
            raise UsageError("several models do not fit into standard output")
        if sys.stdout.isatty():
            raise UsageError(
                "a model does not belong on a terminal", hint="redirect it, or use -o FILE"
            )
        return [None]
    if directory is not None:
        return [*_inside(directory, found)]
    if len(sources) > 1:
        raise UsageError("several models need --output-dir DIR")
    if output is not None:
        return [Path(output)]
    path = Path(sources[0])
    return [path.parent / f"{path.name.removesuffix('.onnx')}.optimized.onnx"]


def refuse_mixtures(sources: Sequence[str], output: str | None, directory: Path | None) -> None:
    """Refuse options that exclude each other, whether anything is written or not.

    Raises:
        UsageError: they do.
    """
    if output is not None and directory is not None:
        raise UsageError("-o and --output-dir exclude each other")
    if PIPE in sources and (len(sources) > 1 or directory is not None):
        raise UsageError("a model from standard input must be the only one", hint="use -o FILE")


def _inside(directory: Path, found: Sequence[Found]) -> list[Path]:
    originals = {Path(entry.source).resolve() for entry in found}
    taken: dict[Path, str] = {}
    for source, name in ((entry.source, entry.name) for entry in found):
        destination = directory / name
        if destination in taken:
            raise UsageError(
                f"two models would both become {str(destination)!r}",
                where=f"{taken[destination]!r} and {source!r}",
                hint="give them directories of their own",
            )
        if destination.resolve() in originals:
            raise UsageError(
                f"--output-dir would overwrite the model {str(destination)!r}",
                hint="choose another directory",
            )
        taken[destination] = source
    try:
        for parent in {directory, *(destination.parent for destination in taken)}:
            parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the directory {str(directory)!r}: {error.strerror}"
        ) from error
    return list(taken)
