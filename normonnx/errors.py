"""Errors that own their exit code, their code and the way out."""

from __future__ import annotations

import errno
import os
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of the command line, the same for every command."""

    OK = 0
    VIOLATED = 1
    USAGE = 2
    REFUSED = 3
    INCONCLUSIVE = 4
    INTERRUPTED = 130


class NormonnxError(Exception):
    """One clear error: what is wrong, where, and what to do about it.

    Attributes:
        message: what is wrong, one sentence without a full stop.
        where: the file, tensor or node it is about, or "".
        hint: the way out, or "".
        code: a stable code such as ``NX-E12``.
        exit_code: what the command line exits with.
    """

    code: ClassVar[str] = "NX-E00"
    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        lines = [f"error[{self.code}]: {self.message}"]
        if self.where:
            lines.append(f"  {self.where}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class UsageError(NormonnxError):
    """The call itself makes no sense."""

    code = "NX-E02"
    exit_code = ExitCode.USAGE


class UnreadableModelError(NormonnxError):
    """The file is missing, truncated, or no ONNX model."""

    code = "NX-E10"


class InvalidModelError(NormonnxError):
    """The file is an ONNX model that breaks the standard."""

    code = "NX-E11"


class UnsafeModelError(NormonnxError):
    """The model asks for something a model may not ask for, such as a file elsewhere."""

    code = "NX-E12"


class WriteError(NormonnxError):
    """The result could not be written; what was there before is untouched."""

    code = "NX-E13"
    exit_code = ExitCode.INCONCLUSIVE


class UnsupportedModelError(NormonnxError):
    """The model holds something that could not be written back as it was."""

    code = "NX-E14"


class EnvironmentLacksError(NormonnxError):
    """A package, a provider or a runtime version that the request needs is not here."""

    code = "NX-E20"
    exit_code = ExitCode.INCONCLUSIVE

    @classmethod
    def without(cls, package: str) -> EnvironmentLacksError:
        """The error that a package is not installed, or only in part, and how to install it."""
        hint = f"pip install --force-reinstall {package.replace('_', '-')}"
        if package == "onnxruntime":
            hint = (
                "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install one of the two: "
                "they share one directory, and who is uninstalled takes the other's files along"
            )
        return cls(f"{package} is not installed, or only in part", hint=hint)


class MemoryLacksError(EnvironmentLacksError):
    """The system, or a limit that was set, gives no more memory."""

    code = "NX-E21"

    @classmethod
    def of(cls, told: object) -> MemoryLacksError:
        """The error with what would help.

        Args:
            told: what whoever asked for memory says.
        """
        return cls(
            f"there is not enough memory: {str(told) or 'the system refuses more'}",
            hint="raise the limit (ulimit -v, the container's), do fewer models at a time "
            "(--jobs 1), keep weights in external data, which is not read whole; --no-verify "
            "needs least, for nothing is run",
        )


class InternalError(NormonnxError):
    """Something went wrong that is not the model's or the caller's fault."""

    code = "NX-E99"
    exit_code = ExitCode.INCONCLUSIVE

    @classmethod
    def of(cls, error: Exception) -> InternalError:
        """`error` as one of ours, with a request to report it."""
        return cls(
            f"internal error: {type(error).__name__}: {error}",
            hint="please report this, with the model if you can; -vv shows the traceback",
        )


_REFUSALS = (
    "std::bad_alloc",
    "bad allocation",
    "failed to allocate memory",
    "cannot allocate memory",
    "failed to map segment",
    "out of memory",
    "can't start new thread",
)
"""What runtimes and loaders of libraries say where the system gives no more memory."""


def is_starved(error: BaseException | str) -> bool:
    """Whether an error, or what it says, is that the system refuses memory."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    text = str(error).lower()
    return any(refusal in text for refusal in _REFUSALS)


_OF_PATHS = frozenset({errno.ELOOP, errno.ENAMETOOLONG, errno.ENOSPC, errno.EROFS, errno.EDQUOT})
"""What systems say of names that go in circles or are too long, and of disks that take no more."""


def _missing_from(error: Exception) -> str:
    """The package that an error says is missing, or is there in part; "" for none."""
    if isinstance(error, ImportError):
        return (error.name or "").partition(".")[0]
    if isinstance(error, AttributeError) and getattr(error.obj, "__file__", "") is None:
        # A directory that is left of a package is imported, and has nothing in it.
        return getattr(error.obj, "__name__", "").partition(".")[0]
    return ""


def ours(error: Exception) -> NormonnxError:
    """Any error as one of ours."""
    if isinstance(error, NormonnxError):
        return error
    if package := _missing_from(error):
        return EnvironmentLacksError.without(package)
    if is_starved(error):
        return MemoryLacksError.of(error)
    if isinstance(error, OSError) and error.errno in _OF_PATHS:
        where = "" if error.filename is None else os.fsdecode(error.filename)
        return WriteError(f"the system refuses a file: {error.strerror}", where=where)
    return InternalError.of(error)
