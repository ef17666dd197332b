"""The command line as a process: an interrupt ends it with 130 from its first moment to its last.

Before the command line is imported there is nothing to tidy: the process ends at once, since an
exception would be a traceback, or be lost in a module that is imported. After that, the first
interrupt is raised where the program is; a second ends the process, and so does the first where
Python would lose it (in a finalizer). When all is done, what it exits with is decided.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

_INTERRUPTED = 130


def main() -> NoReturn:
    """``python -m normonnx`` and ``normonnx``; who is told to ignore interrupts goes on to."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, _end)
    from normonnx.cli import main as command_line

    try:
        if ours:
            signal.signal(signal.SIGINT, _raise)
            sys.unraisablehook = _heed
        command_line()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(_INTERRUPTED)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGINT, _end)
    raise KeyboardInterrupt


def _heed(lost: sys.UnraisableHookArgs) -> None:
    if issubclass(lost.exc_type, KeyboardInterrupt):
        os._exit(_INTERRUPTED)
    sys.__unraisablehook__(lost)


if __name__ == "__main__":
    main()
