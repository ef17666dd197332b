"""Temporary files: whose they are is a lock that the kernel lets go when the process is gone.

A killed process leaves its temporary file behind. The next save in that directory removes it, if
it can lock it: who still writes it holds the lock, on this machine or, over a network file system
with locks, on another one. A number of a process in the name would prove nothing of the kind.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from pathlib import Path
from typing import BinaryIO

_NAME = re.compile(r"\.normonnx-[0-9a-f]{16}\.tmp")
_cleaned: set[Path] = set()


def stage(directory: Path) -> tuple[Path, BinaryIO]:
    """Open a new temporary file, locked; the umask decides on its permissions."""
    while True:
        path = directory / f".normonnx-{secrets.token_hex(8)}.tmp"
        file = path.open("x+b")
        # Another process may have taken it for left behind before it was locked.
        if _lock(file.fileno()) and path.exists():
            return path, file
        file.close()


def clean(directory: Path) -> None:
    """Remove what killed processes left in a directory, once in the life of this process."""
    if directory in _cleaned:
        return
    _cleaned.add(directory)
    with contextlib.suppress(OSError):
        for entry in os.scandir(directory):
            if _NAME.fullmatch(entry.name):
                _remove_if_left(Path(entry.path))


def _remove_if_left(path: Path) -> None:
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with contextlib.suppress(OSError):
        descriptor = os.open(path, flags)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and _lock(descriptor, sure=True):
                path.unlink()
        finally:
            os.close(descriptor)


def _lock(descriptor: int, *, sure: bool = False) -> bool:
    """Whether the file is locked by us now; where there are no locks, not `sure`."""
    try:
        import fcntl
    except ImportError:
        return not sure
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return not sure
    return True
