"""Errors that nobody foresaw, in the form of those that somebody did."""

from __future__ import annotations

from typing import ClassVar

from normonnx.errors import ExitCode, NormonnxError


class InternalError(NormonnxError):
    """Something went wrong that is not the model's or the caller's fault."""

    code: ClassVar[str] = "NX-E99"
    exit_code: ClassVar[ExitCode] = ExitCode.INCONCLUSIVE


def unforeseen(error: Exception) -> InternalError:
    """`error` as one of ours, with a request to report it."""
    return InternalError(
        f"internal error: {type(error).__name__}: {error}",
        hint="please report this, with the model if you can; -vv shows the traceback",
    )
