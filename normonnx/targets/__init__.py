"""What a model may be written for: which operators a norm becomes there, and why not.

    onnx        operators of the standard                         `onnx`
    ort         those, and ONNX Runtime's own for a sum           `ort`
    normonnx    those of the domain normonnx, with their library  `normonnx`

`operator` is what is said of an operator, `placement` on which axes one can stand, `standard` and
`fused` are the operators that several targets share, `target` is what is said of a target, and
`table` has them by name. A target's operator is added in the file of that target; an engine asks
the target and never compares its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from normonnx.lazily import attributes_of

if TYPE_CHECKING:
    from normonnx.targets.operator import AddNormOperator, Kind, NormOperator
    from normonnx.targets.table import TARGETS
    from normonnx.targets.target import Target

__all__ = ["NAMES", "TARGETS", "AddNormOperator", "Kind", "NormOperator", "Target"]

NAMES = ("onnx", "ort", "normonnx")
"""The names of the targets, the default first; the command line needs no more than these."""

_HOMES = {
    "AddNormOperator": "normonnx.targets.operator",
    "Kind": "normonnx.targets.operator",
    "NormOperator": "normonnx.targets.operator",
    "TARGETS": "normonnx.targets.table",
    "Target": "normonnx.targets.target",
}

_find = attributes_of(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    return _find(name)
