"""Files that appear whole or not at all, whatever happens on the way.

A file is written under a temporary name in the directory it is meant for, flushed to the disk, and
then renamed, which POSIX does in one step; the directory is flushed after each rename. What was
not published is removed on the way out, and so is what was published before a later step failed;
what a killed process left is removed by the next one (`stale`). A symbolic link is written through,
and so is what is no regular file: a device or a pipe is never replaced by a file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from normonnx.errors import WriteError
from normonnx.model_io.stale import clean, stage

_OPEN_FILES = ("/dev/std", "/dev/fd/", "/proc/")
_MOST_LINKS = 40


class Transaction:
    """A few files of one directory that are published one after another, the decisive one last.

    Args:
        directory: where the files will be.
        durable: whether to wait until the disk has them.
    """

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        self.directory = directory
        self._durable = durable
        self._staged: dict[Path, BinaryIO] = {}
        self._arrived: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for path, file in self._staged.items():
            with contextlib.suppress(OSError):
                file.close()
            with contextlib.suppress(OSError):
                path.unlink()
        if error is not None:
            for path in self._arrived:
                with contextlib.suppress(OSError):
                    path.unlink()

    def stage(self) -> tuple[Path, BinaryIO]:
        """Open a new temporary file; the umask decides on its permissions."""
        clean(self.directory)
        path, file = stage(self.directory)
        self._staged[path] = file
        return path, file

    def publish(self, staged: Path, name: str, *, decisive: bool = False) -> Path:
        """Give a staged file its name, and the permissions of the file it replaces, if any.

        Args:
            staged: as returned by `stage`.
            name: the name within the directory.
            decisive: whether this is the file that makes the others count: once it has its name
                nothing is taken back any more.
        """
        destination = self.directory / name
        file = self._staged[staged]
        file.flush()
        with contextlib.suppress(FileNotFoundError):
            os.chmod(staged, stat.S_IMODE(destination.stat().st_mode))
        if self._durable:
            os.fsync(file.fileno())
        file.close()
        is_new = not os.path.lexists(destination)
        arrived, self._arrived = self._arrived, []
        try:
            os.replace(staged, destination)
        except BaseException:
            if staged.exists():
                self._arrived = arrived
            raise
        del self._staged[staged]
        if not decisive:
            self._arrived = [*arrived, destination] if is_new else arrived
        if self._durable:
            _flush_directory(self.directory)
        return destination


def _flush_directory(directory: Path) -> None:
    """Make a rename durable, where directories can be opened at all."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other processes from publishing in `directory` meanwhile, where locks exist."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def write_errors(destination: Path) -> Iterator[None]:
    """Turn what the system says while writing into a `WriteError` about `destination`."""
    try:
        yield
    except OSError as error:
        raise WriteError(
            f"cannot write {destination.name!r}: {error.strerror or error}",
            where=str(destination),
            hint="what was there before is untouched",
        ) from error


def write_bytes(destination: Path, content: bytes) -> None:
    """Put `content` at `destination` in one step, or into it if it is a device or a pipe.

    Raises:
        WriteError: the system said no; what was there before is untouched.
    """
    with write_errors(destination):
        if is_stream(destination):
            with open_stream(destination) as stream:
                stream.write(content)
            return
        destination = behind_links(destination)
        with Transaction(destination.parent) as transaction:
            staged, file = transaction.stage()
            file.write(content)
            transaction.publish(staged, destination.name)


def behind_links(destination: Path) -> Path:
    """The file to write where `destination` is a symbolic link: the link stays."""
    return Path(os.path.realpath(destination)) if destination.is_symlink() else destination


def is_stream(destination: Path) -> bool:
    """Whether no file may be renamed over it: a device, a pipe, a file that is open already.

    Raises:
        WriteError: `destination` is a directory.
    """
    try:
        mode = destination.stat().st_mode
    except OSError:
        return False
    if stat.S_ISDIR(mode):
        raise WriteError(
            "the destination is a directory", where=str(destination), hint="name a file in it"
        )
    return not stat.S_ISREG(mode) or _is_open_already(destination)


def open_stream(destination: Path) -> BinaryIO:
    """Open what `is_stream` to write; nothing that is in it goes."""
    return destination.open("ab")


def _is_open_already(path: Path) -> bool:
    """Whether it is one of a process's open files by its number, such as /dev/stdout."""
    for _ in range(_MOST_LINKS):
        if not path.is_symlink():
            return False
        if str(path).startswith(_OPEN_FILES):
            return True
        path = path.parent / os.readlink(path)
    return False
