"""ONNX Runtime's operators: its own domain, and one that it has in ONNX's."""

from __future__ import annotations

from normonnx.operators import convolution, foreign_dims, product
from normonnx.operators.broadcasting import same
from normonnx.operators.facts import Facts
from normonnx.operators.kernels import activation, fused, normalization, packed
from normonnx.operators.kernels.call import Kernel
from normonnx.operators.known import Rule, type_of_input
from normonnx.operators.names import MICROSOFT


def _of(
    name: str, dims: Rule = same, kernel: Kernel | None = None, *, elementwise: bool = False
) -> Facts:
    """An operator that keeps the type of its first input."""
    return Facts(
        name=name,
        domain=MICROSOFT,
        dims=dims,
        dtype=type_of_input(0),
        kernel=kernel,
        elementwise=elementwise,
    )


FACTS = (
    # Of ONNX's domain, although ONNX does not have it.
    Facts(
        name="SimplifiedLayerNormalization",
        dims=same,
        dtype=type_of_input(0),
        kernel=normalization.rms_normalization,
    ),
    _of("BiasAdd"),
    _of("BiasGelu", same, activation.bias_gelu),
    _of("BiasSplitGelu", foreign_dims.halved),
    _of("FastGelu", same, activation.fast_gelu),
    _of("FusedConv", convolution.convolved, fused.fused_conv),
    _of("FusedGemm", product.gemm, fused.fused_gemm),
    _of("FusedMatMul", foreign_dims.fused_matmul, fused.fused_matmul),
    _of("Gelu", same, activation.gelu, elementwise=True),
    _of("GroupNorm"),
    _of("Inverse"),
    _of("MatMulBnb4", foreign_dims.last_axis("N")),
    _of("MatMulNBits", foreign_dims.last_axis("N"), packed.matmul_nbits),
    _of("QLinearAdd", foreign_dims.both),
    _of("QLinearLeakyRelu"),
    _of("QLinearMul", foreign_dims.both),
    _of("QLinearSigmoid"),
    _of("QuickGelu", same, activation.quick_gelu, elementwise=True),
    _of("RotaryEmbedding"),
    _of("SkipLayerNormalization", same, normalization.skip_layer_normalization),
    _of(
        "SkipSimplifiedLayerNormalization", same, normalization.skip_simplified_layer_normalization
    ),
    Facts(name="DequantizeLinear", domain=MICROSOFT, dims=same, dtype=type_of_input(1)),
    Facts(name="QuantizeLinear", domain=MICROSOFT, jumps=True, dims=same, dtype=type_of_input(2)),
)
