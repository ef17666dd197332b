"""Operators in float64: the ones that onnx.reference computes slowly, in float32 or not at all."""

from __future__ import annotations

from normonnx.parity.kernels import (
    activation,
    convolution,
    domain,
    fused,
    indexing,
    normalization,
    pooling,
    quantization,
    recurrent,
    resize,
)
from normonnx.parity.kernels.call import Array, Call, Inputs, Kernel, Outputs

__all__ = ["KERNELS", "Array", "Call", "Inputs", "Kernel", "Outputs"]

# (domain, operator) → kernel
KERNELS: dict[tuple[str, str], Kernel] = {
    ("", "AveragePool"): pooling.average_pool,
    ("", "BatchNormalization"): normalization.batch_normalization,
    ("", "Conv"): convolution.conv,
    ("", "ConvTranspose"): convolution.conv_transpose,
    ("", "DequantizeLinear"): quantization.dequantize_linear,
    ("", "Erf"): activation.erf,
    ("", "GRU"): recurrent.gru,
    ("", "GatherElements"): indexing.gather_elements,
    ("", "GatherND"): indexing.gather_nd,
    ("", "Gelu"): activation.gelu,
    ("", "GlobalMaxPool"): pooling.global_max_pool,
    ("", "GroupNormalization"): normalization.group_normalization,
    ("", "Hardmax"): activation.hardmax,
    ("", "InstanceNormalization"): normalization.instance_normalization,
    ("", "LSTM"): recurrent.lstm,
    ("", "LayerNormalization"): normalization.layer_normalization,
    ("", "LogSoftmax"): activation.log_softmax,
    ("", "MaxPool"): pooling.max_pool,
    ("", "OneHot"): indexing.one_hot,
    ("", "RMSNormalization"): normalization.rms_normalization,
    ("", "RNN"): recurrent.rnn,
    ("", "Resize"): resize.resize,
    ("", "Scatter"): indexing.scatter_elements,
    ("", "ScatterElements"): indexing.scatter_elements,
    ("", "ScatterND"): indexing.scatter_nd,
    ("", "Sigmoid"): activation.sigmoid,
    ("", "SimplifiedLayerNormalization"): normalization.rms_normalization,
    ("", "Softmax"): activation.softmax,
    ("", "Upsample"): resize.upsample,
    ("com.microsoft", "BiasGelu"): activation.bias_gelu,
    ("com.microsoft", "FastGelu"): activation.fast_gelu,
    ("com.microsoft", "FusedConv"): fused.fused_conv,
    ("com.microsoft", "FusedGemm"): fused.fused_gemm,
    ("com.microsoft", "FusedMatMul"): fused.fused_matmul,
    ("com.microsoft", "Gelu"): activation.gelu,
    ("com.microsoft", "QuickGelu"): activation.quick_gelu,
    ("com.microsoft", "SkipLayerNormalization"): normalization.skip_layer_normalization,
    ("com.microsoft", "SkipSimplifiedLayerNormalization"): (
        normalization.skip_simplified_layer_normalization
    ),
    ("normonnx", "FusedAddLayerNormalization"): domain.fused_add_layer_normalization,
    ("normonnx", "FusedAddRMSNormalization"): domain.fused_add_rms_normalization,
    ("normonnx", "FusedLayerNormalization"): domain.fused_layer_normalization,
    ("normonnx", "FusedRMSNormalization"): domain.fused_rms_normalization,
}
