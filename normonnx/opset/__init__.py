"""Raising the opset of a whole model, exactly, or not at all.

    numbers      operators that mean the same, but for axes that become an input
    conversion   what an operator that may mean something else becomes
    evidence     both forms of such an operator, evaluated and compared
    kernels      what the installed ONNX Runtime has no kernel for
    splicing     nodes in the place of another
    raising      all of it, for a model

A raise is made of rewrites: where the number is all that changes, the schemas say so, and every
other node is replaced by one that was seen to compute the same.
"""

from __future__ import annotations

from normonnx.opset.known import Known
from normonnx.opset.numbers import extends
from normonnx.opset.raising import Raise, raise_opset

__all__ = ["Known", "Raise", "extends", "raise_opset"]
