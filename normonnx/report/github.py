"""What GitHub Actions shows: annotations on the run, and a summary of the job.

An annotation is a line of the log, ``::error title=…::message``; everything in it that comes from
a model is escaped, so that no name can give the runner a command.
"""

from __future__ import annotations

from collections.abc import Mapping

from normonnx.report.json import Reportable
from normonnx.report.judged import judged
from normonnx.report.markdown import render_markdown
from normonnx.report.names import safe_name

# GitHub shows ten annotations of a kind per step, and takes one MiB of summary.
MOST_ANNOTATIONS = 10
MOST_BYTES = 1 << 20
_CUT = "\n\n(cut here: GitHub takes no more)\n"
_LONG = 1000

_KINDS: Mapping[str, str] = {
    "fail": "error",
    "error": "error",
    "refused": "error",
    "inconclusive": "warning",
}


def annotated(result: Reportable) -> list[str]:
    """The lines that make GitHub show what did not pass, at most as many as it shows.

    Raises:
        UsageError: if the result is not of ``optimize`` or ``verify``.
    """
    troubled = [model for model in judged(result) if model.status in _KINDS]
    lines = []
    for model in troubled[:MOST_ANNOTATIONS]:
        message = model.trouble or model.status
        divergence = None if model.verdict is None else model.verdict.divergence
        if divergence is not None:
            message += f"\n{divergence.sentence()}"
        title = _property(f"normonnx: {model.name}")
        lines.append(f"::{_KINDS[model.status]} title={title}::{_message(message)}")
    hidden = len(troubled) - MOST_ANNOTATIONS
    if hidden > 0:
        lines[-1] = f"::error title=normonnx::and {hidden + 1} more models, see the summary"
    return lines


def summary(result: Reportable, *, room: int = MOST_BYTES) -> str:
    """The result for the summary of the job, no longer than `room` bytes.

    Raises:
        UsageError: if the result is not of ``optimize`` or ``verify``.
    """
    text = render_markdown(result)
    content = text.encode()
    if len(content) <= room:
        return text
    kept = content[: max(0, room - len(_CUT.encode()))].decode(errors="ignore")
    return kept + _CUT if len(_CUT) <= room else ""


def _message(text: str) -> str:
    """A message: ``%``, carriage return and line feed have codes."""
    lines = (safe_name(line, longest=_LONG).replace("%", "%25") for line in text.splitlines())
    return "%0A".join(lines)


def _property(text: str) -> str:
    """A property: ``:`` and ``,`` have codes too."""
    return _message(text).replace(":", "%3A").replace(",", "%2C")
