"""The judge of parity: feeds, a float64 oracle, ONNX Runtime, and a verdict with numbers.

The names below are imported when they are first used: certificates need the oracle and not
ONNX Runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from normonnx.lazily import attributes_of

if TYPE_CHECKING:
    from normonnx.parity.judge import Judge, verify
    from normonnx.parity.locate import Divergence, bisect, first_divergence
    from normonnx.parity.options import VerifyOptions
    from normonnx.parity.verdict import Verdict

__all__ = [
    "Divergence",
    "Judge",
    "Verdict",
    "VerifyOptions",
    "bisect",
    "first_divergence",
    "verify",
]

__getattr__ = attributes_of(
    __name__,
    {
        "Divergence": "normonnx.parity.locate",
        "Judge": "normonnx.parity.judge",
        "Verdict": "normonnx.parity.verdict",
        "VerifyOptions": "normonnx.parity.options",
        "bisect": "normonnx.parity.locate",
        "first_divergence": "normonnx.parity.locate",
        "verify": "normonnx.parity.judge",
    },
)
