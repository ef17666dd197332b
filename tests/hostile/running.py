"""``normonnx`` on a hostile model, called in a guarded process: what it said, what it left."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

from normonnx.cli import main


@dataclass(frozen=True, slots=True)
class Said:
    """What a run of the command line came to.

    Attributes:
        code: it exited with.
        text: standard output and standard error.
        left: names of files in the directory for the result.
    """

    code: int
    text: str
    left: tuple[str, ...]


def optimize(path: Path, out: Path, *options: str) -> Said:
    """``normonnx optimize PATH -o out/m.onnx OPTIONS``."""
    out.mkdir(exist_ok=True)
    stream = io.StringIO()
    code = 0
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        try:
            main(["optimize", str(path), "-o", str(out / "m.onnx"), *options])
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Said(code, stream.getvalue(), tuple(sorted(entry.name for entry in out.iterdir())))
