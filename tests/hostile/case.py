"""A hostile model: how it is made, and what is to be said to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

Build = Callable[[Path], "ModelProto | bytes"]
"""Makes the model in a directory, with what must lie there beside it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One hostile model.

    Attributes:
        build: makes it; the directory is named ``house`` and lies beside a ``secret.bin``.
        sentence: a part of what the error must say.
        reference: the advisory or issue it is about, "" for what is a class of its own.
    """

    build: Build
    sentence: str
    reference: str = ""

    def write(self, directory: Path) -> Path:
        """The model in a new directory below `directory`, and the secret beside that."""
        house = directory / "house"
        house.mkdir(parents=True)
        (directory / "secret.bin").write_bytes(SECRET)
        built = self.build(house)
        path = house / "m.onnx"
        path.write_bytes(built if isinstance(built, bytes) else built.SerializeToString())
        return path


Cases = Mapping[str, Case]

SECRET = b"the secret of somebody else".ljust(2048, b".")
"""As long as the weight that tries to read it."""
