"""The target normonnx: the operators of the domain normonnx, which have kernels of their own."""

from __future__ import annotations

from normonnx.targets.fused import FUSED_DOMAINS, FUSED_LAYER, FUSED_RMS, FUSED_SUMS
from normonnx.targets.standard import IMAGES, LAYER, RMS
from normonnx.targets.target import Target

NORMONNX = Target(
    name="normonnx",
    norms=(FUSED_LAYER, LAYER, FUSED_RMS, RMS),
    images=IMAGES,
    sums=FUSED_SUMS,
    domains=FUSED_DOMAINS,
    improves_written=True,
    has_library=True,
)
