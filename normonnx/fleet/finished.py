"""What earlier runs into a directory have finished, so that a later run need not do it again.

A line of ``.normonnx-finished.jsonl`` says: this content, under these options and this version of
normonnx, has become that file. All of it must still hold, by SHA-256, for a model to be skipped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import onnx_ir as ir
from msgspec import to_builtins
from msgspec.structs import replace

from normonnx import model_io
from normonnx.errors import NormonnxError
from normonnx.fleet.one import Task
from normonnx.journal import NearMiss, Rewrite
from normonnx.report import ModelFacts, ModelReport, Written
from normonnx.version import __version__

NAME = ".normonnx-finished.jsonl"
_NOTE = "finished by an earlier run"
_CHUNK = 1 << 20

_KEPT: dict[str, Any] = {
    "before": ModelFacts | None,
    "after": ModelFacts | None,
    "rewrites": tuple[Rewrite, ...],
    "near_misses": tuple[NearMiss, ...],
}
"""What of a report an entry keeps, and what it is."""


class Finished:
    """The list of what is finished in one directory.

    Args:
        directory: where the results are.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME
        self._entries = {str(entry["key"]): entry for entry in self._read()}

    def report(self, task: Task, key: str | None) -> ModelReport | None:
        """The report of a task that an earlier run has finished; None if it is to be done.

        Args:
            task: what is to be done.
            key: its `fingerprint`.
        """
        entry = None if key is None else self._entries.get(key)
        if entry is None or task.destination is None:
            return None
        with contextlib.suppress(OSError, KeyError, TypeError, msgspec.ValidationError):
            written = msgspec.convert(entry["written"], Written)
            if (
                Path(written.path) == Path(os.path.abspath(task.destination))
                and _sha256(task.destination) == written.sha256
                and (written.data is None or Path(written.data).is_file())
            ):
                return _earlier(entry, task, replace(written, path=str(task.destination)))
        return None

    def add(self, key: str, report: ModelReport) -> None:
        """Note that a model is finished.

        Args:
            key: its `fingerprint`, taken before the work began.
            report: of the model; one that was not written is not noted.
        """
        if report.written is None:
            return
        path = os.path.abspath(report.written.path)
        entry = {
            "key": key,
            "name": report.name,
            "status": report.status,
            "ratio": report.ratio,
            **{field: to_builtins(getattr(report, field)) for field in _KEPT},
            "written": to_builtins(replace(report.written, path=path)),
        }
        self._entries[key] = entry
        # One line in one write: a run that ends here leaves the line whole or cut, never mixed.
        with self._path.open("ab") as file:
            file.write(json.dumps(entry).encode() + b"\n")

    def _read(self) -> Iterator[dict[str, Any]]:
        with contextlib.suppress(OSError):
            for line in self._path.read_bytes().splitlines():
                with contextlib.suppress(ValueError):
                    entry = json.loads(line)
                    if isinstance(entry, dict) and "key" in entry:
                        yield entry


def fingerprint(task: Task) -> str | None:
    """SHA-256 of a model with its data files, what is done to it, on which feeds, by which version.

    None for a model that cannot be read: whoever works on it will say why.
    """
    try:
        loaded = model_io.load(
            task.source,
            allow_data_dir=task.options.allow_data_dir,
            allow_hardlinks=task.options.allow_hardlinks,
            untrusted=task.options.untrusted,
        )
        files = {
            str(tensor.path)
            for tensor in model_io.tensors_of(loaded.model)
            if isinstance(tensor, ir.ExternalTensor)
        }
        feeds = _files(task.options.data) if task.options.verify else []
        parts = [__version__, loaded.sha256, *map(_sha256, [*map(Path, sorted(files)), *feeds])]
    except (NormonnxError, OSError):
        return None
    parts.append("" if task.destination is None else os.path.abspath(task.destination))
    asked = (task.options, task.plan, task.partial, task.bench)
    parts.append(msgspec.json.encode(asked, order="deterministic").decode())
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()


def _files(data: str | None) -> list[Path]:
    """The files of feeds, which decide on the verdict."""
    if data is None:
        return []
    place = Path(data)
    return sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _earlier(entry: dict[str, Any], task: Task, written: Written) -> ModelReport:
    """The report of an earlier run, with everything that is counted in it.

    Raises:
        KeyError: the entry is of a version that kept less, as does ValidationError.
    """
    return ModelReport(
        name=task.name or str(entry["name"]),
        source=task.source,
        status=entry["status"],
        target=task.options.target,
        notes=(_NOTE,),
        written=written,
        told_ratio=entry["ratio"],
        **{field: msgspec.convert(entry[field], kind) for field, kind in _KEPT.items()},
    )
