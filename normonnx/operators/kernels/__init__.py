"""Operators in the type of their operands, which the oracle makes float64.

They are the ones that onnx.reference computes slowly, in float32 or not at all, and those that
windows are mostly made of: importing onnx.reference takes longer than optimising a small model.
Which operator has which kernel is said with the other facts of its family.
"""

from __future__ import annotations

from normonnx.operators.kernels.call import Array, Call, Inputs, Kernel, Outputs

__all__ = ["Array", "Call", "Inputs", "Kernel", "Outputs"]
