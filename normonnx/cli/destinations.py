"""Where results go, settled before any work begins."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from normonnx.errors import UsageError

if TYPE_CHECKING:
    from normonnx.fleet.sources import Found

PIPE = "-"
"""Standard input as a source, standard output as a destination."""

STDOUT = frozenset({PIPE, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})
"""What names standard output; it is open already, and written to as it is."""

IN_PLACE = "--in-place writes the result over the model"


def destinations(
    found: Sequence[Found], output: str | None, directory: Path | None, *, in_place: bool = False
) -> list[Path | None]:
    """The file of each result, None for standard output.

    Args:
        found: the models.
        output: what ``-o`` says.
        directory: what ``--output-dir`` says; it is made if it is not there.
        in_place: whether results may be written over the models.

    Raises:
        UsageError: results would meet in one file, overwrite a source unasked, or have nowhere to
            go.
    """
    sources = [entry.source for entry in found]
    if in_place and output is None and directory is None:
        if PIPE in sources:
            raise UsageError("standard input has no place to write to", hint="use -o FILE")
        return [Path(source) for source in sources]
    if output in STDOUT or (output is None and PIPE in sources):
        _refuse_terminal(sources)
        return [None]
    if directory is not None:
        return [*_inside(directory, found, in_place=in_place)]
    if len(sources) > 1:
        raise UsageError("several models need --output-dir DIR, or --in-place")
    return [_beside(sources[0]) if output is None else _named(sources, output, in_place=in_place)]


def _refuse_terminal(sources: Sequence[str]) -> None:
    """Refuse to write several models to standard output, or any to a terminal."""
    if len(sources) > 1:
        raise UsageError("several models do not fit into standard output")
    if sys.stdout.isatty():
        raise UsageError(
            "a model does not belong on a terminal", hint="redirect it, or use -o FILE"
        )


def _named(sources: Sequence[str], output: str, *, in_place: bool) -> Path:
    """What ``-o`` names, which is none of the models unless that is asked for."""
    if not in_place:
        refuse_overwriting(read_from(sources), "-o", Path(output), hint=IN_PLACE)
    _refuse_weights(sources[0], Path(output))
    return Path(output)


def _refuse_weights(source: str, output: Path) -> None:
    """Refuse to write a result over a data file that the model names."""
    if source == PIPE or not output.is_file():
        return
    from normonnx.model_io.retiring import locations_in

    model = Path(source)
    if _behind(output) in {_behind(model.parent / name) for name in locations_in(model)}:
        raise UsageError(
            f"-o would overwrite the weights of {source!r}, {str(output)!r}",
            hint="name another file",
        )


def _beside(source: str) -> Path:
    path = Path(source)
    return path.parent / f"{path.name.removesuffix('.onnx')}.optimized.onnx"


def refuse_mixtures(sources: Sequence[str], output: str | None, directory: Path | None) -> None:
    """Refuse options that exclude each other, whether anything is written or not.

    Raises:
        UsageError: they do.
    """
    if output is not None and directory is not None:
        raise UsageError("-o and --output-dir exclude each other")
    if PIPE in sources and (len(sources) > 1 or directory is not None):
        raise UsageError("a model from standard input must be the only one", hint="use -o FILE")


def read_from(sources: Iterable[str]) -> frozenset[Path]:
    """The files behind models that are named."""
    return frozenset(_behind(source) for source in sources if source != PIPE)


def touched(sources: Iterable[str], results: Iterable[Path | None]) -> frozenset[Path]:
    """The files behind models that are read and behind results, devices and pipes aside."""
    files = [path for path in results if path is not None and (path.is_file() or not path.exists())]
    return read_from(sources) | {_behind(path) for path in files}


def _behind(path: str | Path) -> Path:
    """The file that a name leads to, links followed; one that goes in circles leads nowhere."""
    return Path(os.path.realpath(path))


def refuse_overwriting(models: frozenset[Path], option: str, path: Path, *, hint: str = "") -> None:
    """Refuse to write something over a model that is read.

    Args:
        models: as `read_from` gives them.
        option: which names `path`.
        path: where something is to be written.
        hint: the way out, where there is a better one than another name.

    Raises:
        UsageError: the path is one of the models.
    """
    if _behind(path) in models:
        raise UsageError(
            f"{option} would overwrite the model {str(path)!r}", hint=hint or "name another file"
        )


def refuse_written(
    reports: Iterable[tuple[str, Path]],
    sources: Iterable[str],
    results: Iterable[Path | None] = (),
) -> None:
    """Refuse to write a report over a model that is read, or that is written.

    Raises:
        UsageError: a report would be.
    """
    models = touched(sources, results)
    for _, path in reports:
        if str(path) != PIPE:
            refuse_overwriting(models, "--report", path)


def _inside(directory: Path, found: Sequence[Found], *, in_place: bool) -> list[Path]:
    models = read_from(entry.source for entry in found)
    taken: dict[Path, str] = {}
    for source, name in ((entry.source, entry.name) for entry in found):
        destination = directory / name
        if destination in taken:
            raise UsageError(
                f"two models would both become {str(destination)!r}",
                where=f"{taken[destination]!r} and {source!r}",
                hint="give them directories of their own",
            )
        if not in_place:
            refuse_overwriting(
                models, "--output-dir", destination, hint=f"name another directory; {IN_PLACE}"
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
