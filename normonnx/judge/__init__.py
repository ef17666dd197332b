"""The judge of parity: feeds, a float64 oracle, ONNX Runtime, and a verdict with numbers.

The names below are imported when they are first used: certificates need the oracle and not
ONNX Runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from normonnx.lazily import attributes_of

if TYPE_CHECKING:
    from normonnx.judge.divergence import Divergence
    from normonnx.judge.judge import Judge, verify
    from normonnx.judge.locating.locate import bisect, first_divergence
    from normonnx.judge.options import VerifyOptions
    from normonnx.judge.verdict import Verdict

__all__ = [
    "Divergence",
    "Judge",
    "Verdict",
    "VerifyOptions",
    "bisect",
    "first_divergence",
    "verify",
]

_find = attributes_of(
    __name__,
    {
        "Divergence": "normonnx.judge.divergence",
        "Judge": "normonnx.judge.judge",
        "Verdict": "normonnx.judge.verdict",
        "VerifyOptions": "normonnx.judge.options",
        "bisect": "normonnx.judge.locating.locate",
        "first_divergence": "normonnx.judge.locating.locate",
        "verify": "normonnx.judge.judge",
    },
)


def __getattr__(name: str) -> Any:
    return _find(name)
