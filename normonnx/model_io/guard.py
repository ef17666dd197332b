"""Which files a model's tensors may read: canonicalise, then compare. A string is never trusted.

A tensor's data may lie in a file whose real path is inside

    realpath(dirname(model))   or   dirname(realpath(model))   or   a directory the user allowed

The first is the ordinary case, the second is a Hugging Face cache, where model and data are links
into one directory of blobs. The file must be a regular one, of one name only (a hard link can
give any file a name beside the model), and long enough; offset and length must be what the
tensor's type and shape need.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from msgspec import Struct, field
from onnx import TensorProto

from normonnx.errors import InvalidModelError, UnreadableModelError, UnsafeModelError
from normonnx.model_io.payload import nbytes

_KEYS = frozenset({"location", "offset", "length", "checksum"})
_DECIMAL_DIGITS = 19
ADDRESS_MARKER = "*/"
"""How ONNX Runtime begins the location of a tensor that is an address in its own memory."""

_MOVE_HINT = "copy the file next to the model, or pass --allow-data-dir DIR"
_LINK_HINT = "copy the file so that it has one name, or pass --allow-hardlinks"


class DataFile(Struct, frozen=True):
    """A file that may be read: its real path and its size in bytes."""

    path: Path
    nbytes: int


class Guard(Struct, frozen=True):
    """Decides for one model which files its tensors may read.

    Attributes:
        model: what to call the model in errors.
        bases: directories a location is relative to, the first that has the file counts.
        roots: real directories the data may lie in.
        allow_hardlinks: whether a data file may have more than one name.
        untrusted: whether links of any kind are refused below the roots.
    """

    model: str
    bases: tuple[Path, ...]
    roots: tuple[Path, ...]
    allow_hardlinks: bool = False
    untrusted: bool = False
    _admitted: dict[str, DataFile] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: str,
        path: Path | None,
        *,
        allow_data_dir: tuple[Path, ...] = (),
        allow_hardlinks: bool = False,
        untrusted: bool = False,
    ) -> Guard:
        """The guard of the model at `path`; of a model without a path, only what is allowed."""
        allowed = tuple(Path(os.path.realpath(directory)) for directory in allow_data_dir)
        own: tuple[Path, ...] = ()
        if path is not None:
            own = (path.parent, Path(os.path.realpath(path)).parent)
        return cls(
            model,
            bases=own + allowed,
            roots=tuple(Path(os.path.realpath(directory)) for directory in own) + allowed,
            allow_hardlinks=allow_hardlinks,
            untrusted=untrusted,
        )

    def admit(self, tensor: TensorProto) -> int:
        """Check an external tensor and point it at the real path of its data.

        Args:
            tensor: an external tensor; its location becomes the absolute, real path that was
                checked, its offset and length become explicit.

        Returns:
            The bytes of the tensor.

        Raises:
            UnsafeModelError: the tensor asks for what a model may not ask for.
            InvalidModelError: keys, type or shape of the tensor make no sense.
            UnreadableModelError: the file is missing or too short.
        """
        fields = self._fields(tensor)
        location = fields["location"]
        where = f"tensor {tensor.name!r} in {self.model} -> {location!r}"
        file = self._admitted.get(location)
        if file is None:
            file = self._admitted[location] = self._file(location, where)
        needed = nbytes(tensor, where)
        offset = _count(fields.get("offset", "0"), "offset", where)
        length = _count(fields.get("length", str(needed)), "length", where)
        if length != needed:
            raise InvalidModelError(
                f"the data is {length} bytes long, its type and shape need {needed}", where=where
            )
        if offset + length > file.nbytes:
            raise UnreadableModelError(
                f"the data would end at byte {offset + length}, the file at {file.nbytes}",
                where=where,
                hint="the file is truncated or belongs to another model",
            )
        del tensor.external_data[:]
        for key, value in (("location", file.path), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        return needed

    def _fields(self, tensor: TensorProto) -> dict[str, str]:
        where = f"tensor {tensor.name!r} in {self.model}"
        fields: dict[str, str] = {}
        for entry in tensor.external_data:
            if entry.key not in _KEYS or entry.key in fields:
                raise UnsafeModelError(
                    f"external data with an unknown or repeated key {entry.key!r}", where=where
                )
            fields[entry.key] = entry.value
        if not fields.get("location"):
            raise InvalidModelError("external data without a location", where=where)
        if fields["location"].startswith(ADDRESS_MARKER):
            raise UnsafeModelError(
                "external data that claims to be an address in memory", where=where
            )
        return fields

    def _file(self, location: str, where: str) -> DataFile:
        if "\0" in location or os.path.isabs(location):
            raise UnsafeModelError(
                "the location of external data must be a relative path",
                where=where,
                hint=_MOVE_HINT,
            )
        if not self.bases:
            raise UnsafeModelError(
                "external data of a model that comes from no directory",
                where=where,
                hint="load the model by its path, or allow a directory for its data",
            )
        for base in self.bases:
            plain = os.path.normpath(base / location)
            real = Path(os.path.realpath(base / location))
            if not any(real.is_relative_to(root) for root in self.roots):
                raise UnsafeModelError(
                    "external data escapes the model's directory", where=where, hint=_MOVE_HINT
                )
            try:
                status = real.stat()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise UnreadableModelError(
                    f"external data cannot be read: {error.strerror}", where=where
                ) from error
            self._refuse_links(plain, real, status, base, where)
            if not os.access(real, os.R_OK):
                raise UnreadableModelError("external data may not be read", where=where)
            return DataFile(real, status.st_size)
        raise UnreadableModelError(
            "a file of external data is missing",
            where=where,
            hint="keep the model and its data files together",
        )

    def _refuse_links(
        self, plain: str, real: Path, status: os.stat_result, base: Path, where: str
    ) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise UnsafeModelError("external data is not a regular file", where=where)
        if self.untrusted and Path(os.path.realpath(base), os.path.relpath(plain, base)) != real:
            raise UnsafeModelError("external data of an untrusted model is a link", where=where)
        if status.st_nlink > 1 and (self.untrusted or not self.allow_hardlinks):
            raise UnsafeModelError(
                f"external data is a file with {status.st_nlink} hard links",
                where=where,
                hint=_LINK_HINT,
            )


def _count(text: str, key: str, where: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _DECIMAL_DIGITS):
        raise UnsafeModelError(f"the {key} of external data is {text!r}", where=where)
    return int(text)
