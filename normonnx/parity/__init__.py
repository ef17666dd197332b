"""The judge of parity: feeds, a float64 oracle, ONNX Runtime, and a verdict with numbers."""

from __future__ import annotations

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
