"""The operators of the domain normonnx, under every name that one has."""

from __future__ import annotations

from normonnx.operators.broadcasting import same
from normonnx.operators.facts import Facts
from normonnx.operators.kernels import domain as kernels
from normonnx.operators.known import type_of_input
from normonnx.ops.operators import DOMAIN, OPERATORS

_KERNELS = {
    "FusedAddLayerNormalization": kernels.fused_add_layer_normalization,
    "FusedAddRMSNormalization": kernels.fused_add_rms_normalization,
    "FusedLayerNormalization": kernels.fused_layer_normalization,
    "FusedRMSNormalization": kernels.fused_rms_normalization,
}

FACTS = tuple(
    Facts(
        name=name,
        domain=DOMAIN,
        dims=same,
        dtype=type_of_input(0),
        kernel=_KERNELS[operator.base],
    )
    for name, operator in OPERATORS.items()
)
