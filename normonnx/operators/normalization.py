"""Normalisations of ONNX's own domain, at inference."""

from __future__ import annotations

from normonnx.operators.broadcasting import same
from normonnx.operators.facts import Facts
from normonnx.operators.kernels import normalization as kernels

FACTS = (
    Facts(
        name="BatchNormalization",
        linear_in=(0, 1, 2, 3),
        dims=same,
        kernel=kernels.batch_normalization,
    ),
    Facts(
        name="InstanceNormalization",
        linear_in=(1, 2),
        linear_jointly=True,
        dims=same,
        kernel=kernels.instance_normalization,
    ),
    Facts(
        name="LayerNormalization",
        linear_in=(1, 2),
        linear_jointly=True,
        dims=same,
        kernel=kernels.layer_normalization,
    ),
    Facts(name="RMSNormalization", linear_in=(1,), dims=same, kernel=kernels.rms_normalization),
    Facts(
        name="GroupNormalization",
        linear_in=(1, 2),
        linear_jointly=True,
        dims=same,
        kernel=kernels.group_normalization,
    ),
    Facts(name="LpNormalization", dims=same, kernel=kernels.lp_normalization),
    Facts(name="LRN", dims=same),
    Facts(name="MeanVarianceNormalization", dims=same),
)
