"""What GitHub Actions shows: annotations on the run, and a summary of the job.

An annotation is a line of the log, ``::error title=…::message``; everything in it that comes from
a model is escaped, so that no name can give the runner a command.
"""

from __future__ import annotations

from collections.abc import Mapping

from normonnx.report.json import Reportable
from normonnx.report.judged import Judged, judged
from normonnx.report.markdown import render_markdown
from normonnx.report.names import safe_name
from normonnx.report.result import RunReport, counted

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
    is_check = isinstance(result, RunReport) and result.look == "check"
    troubled = [m for m in judged(result) if m.status in _KINDS or (is_check and m.has_work)]
    lines = [
        annotation(_KINDS.get(model.status, "error"), model.name, _trouble(model), model.path)
        for model in troubled[:MOST_ANNOTATIONS]
    ]
    hidden = len(troubled) - MOST_ANNOTATIONS
    if hidden > 0:
        lines[-1] = f"::error title=normonnx::and {hidden + 1} more models, see the summary"
    return lines


def annotation(kind: str, name: str, message: str, path: str = "") -> str:
    """One annotation.

    Args:
        kind: "error" or "warning".
        name: of the model, for the title.
        message: what to say of it.
        path: of its file, "" for none.
    """
    file = f",file={_property(path)}" if path else ""
    return f"::{kind} title={_property(f'normonnx: {name}')}{file}::{_message(message)}"


def _trouble(model: Judged) -> str:
    """What did not pass, or what there is to do."""
    if model.status not in _KINDS:
        return f"{counted(len(model.report.rewrites), 'rewrite')} to make" if model.report else ""
    message = model.trouble or model.status
    divergence = None if model.verdict is None else model.verdict.divergence
    return message if divergence is None else f"{message}\n{divergence.sentence()}"


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
