"""The target onnx: operators of the standard, and functions where a low opset has none."""

from __future__ import annotations

from types import MappingProxyType

from normonnx.targets.fused import FUSED_DOMAINS, FUSED_LAYER, FUSED_RMS
from normonnx.targets.standard import IMAGES, LAYER, RMS
from normonnx.targets.target import Target

ONNX = Target(
    name="onnx",
    norms=(LAYER, FUSED_LAYER, RMS, FUSED_RMS),
    images=IMAGES,
    sums=MappingProxyType({}),
    domains=FUSED_DOMAINS,
)
