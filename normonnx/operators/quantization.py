"""Quantised numbers, and products of integers."""

from __future__ import annotations

from normonnx.operators.facts import Facts
from normonnx.operators.kernels import quantization as kernels

FACTS = (
    Facts(name="DequantizeLinear", kernel=kernels.dequantize_linear),
    Facts(name="QuantizeLinear", jumps=True),
    Facts(name="DynamicQuantizeLinear", jumps=True),
    *(
        Facts(name=name)
        for name in ("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul")
    ),
)
