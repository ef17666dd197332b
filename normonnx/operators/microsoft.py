"""ONNX Runtime's operators: its own domain, and one that it has in ONNX's."""

from __future__ import annotations

from normonnx.operators.facts import Facts
from normonnx.operators.kernels import activation, fused, normalization
from normonnx.operators.names import MICROSOFT

FACTS = (
    # Of ONNX's domain, although ONNX does not have it.
    Facts(name="SimplifiedLayerNormalization", kernel=normalization.rms_normalization),
    Facts(name="BiasGelu", domain=MICROSOFT, kernel=activation.bias_gelu),
    Facts(name="FastGelu", domain=MICROSOFT, kernel=activation.fast_gelu),
    Facts(name="FusedConv", domain=MICROSOFT, kernel=fused.fused_conv),
    Facts(name="FusedGemm", domain=MICROSOFT, kernel=fused.fused_gemm),
    Facts(name="FusedMatMul", domain=MICROSOFT, kernel=fused.fused_matmul),
    Facts(name="Gelu", domain=MICROSOFT, elementwise=True, kernel=activation.gelu),
    Facts(name="QuantizeLinear", domain=MICROSOFT, jumps=True),
    Facts(name="QuickGelu", domain=MICROSOFT, elementwise=True, kernel=activation.quick_gelu),
    Facts(
        name="SkipLayerNormalization",
        domain=MICROSOFT,
        kernel=normalization.skip_layer_normalization,
    ),
    Facts(
        name="SkipSimplifiedLayerNormalization",
        domain=MICROSOFT,
        kernel=normalization.skip_simplified_layer_normalization,
    ),
)
