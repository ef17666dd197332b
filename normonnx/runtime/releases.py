"""Which opset and IR version each release of ONNX Runtime takes.

Sources of the rows:

- up to 1.12, the release of onnx that each is built with:
  https://github.com/microsoft/onnxruntime/blob/main/docs/Versioning.md, continued at
  https://onnxruntime.ai/docs/reference/compatibility.html; opset and IR version of that release of
  onnx: `onnx.helper.VERSION_TABLE`, which is https://onnx.ai/onnx/repo-docs/Versioning.html
- from 1.15 on, what each release said when it was given a model of one Identity
"""

from __future__ import annotations

_TAKES = (
    ("1.0", 11, 6),
    ("1.3", 12, 7),
    ("1.6", 13, 7),
    ("1.8", 14, 7),
    ("1.9", 15, 8),
    ("1.11", 16, 8),
    ("1.12", 17, 8),
    ("1.14", 18, 8),
    ("1.15", 18, 9),
    ("1.16", 19, 9),
    ("1.17", 20, 9),
    ("1.18", 21, 10),
    ("1.21", 22, 10),
    ("1.23", 23, 11),
    ("1.24", 25, 13),
    ("1.25", 26, 13),
)
"""From a release on, the highest opset of the default domain and the highest IR version."""


def oldest_for(opset: int, ir_version: int) -> str:
    """The oldest release that takes a model of these versions; "" if none is known to."""
    return next((release for release, o, i in _TAKES if opset <= o and ir_version <= i), "")


def surely_takes(release: tuple[int, int], opset: int, ir_version: int) -> bool:
    """Whether a release, by its major and minor version, is known to take a model."""
    oldest = oldest_for(opset, ir_version)
    if not oldest:
        return False
    major, minor = map(int, oldest.split("."))
    return release >= (major, minor)
