"""SHA-256 of pieces, worked out beside what the caller does meanwhile where they are large."""

from __future__ import annotations

import contextlib
import hashlib
from threading import Thread

_BESIDE_FROM = 1 << 20
"""To hash so many bytes takes much longer than to start a thread."""


class Digest:
    """The SHA-256 of a sequence of pieces."""

    def __init__(self) -> None:
        """Begin with no piece."""
        self._hash = hashlib.sha256()
        self._beside: Thread | None = None

    def update(self, piece: bytes | memoryview) -> None:
        """Add a piece, which must not change any more."""
        self._wait()
        if len(piece) >= _BESIDE_FROM:
            thread = Thread(target=self._hash.update, args=(piece,))
            with contextlib.suppress(RuntimeError):  # no more threads to be had
                thread.start()
                self._beside = thread
                return
        self._hash.update(piece)

    def hexdigest(self) -> str:
        """The digest of all pieces so far, in 64 hexadecimal digits."""
        self._wait()
        return self._hash.hexdigest()

    def _wait(self) -> None:
        if self._beside is not None:
            self._beside.join()
            self._beside = None
