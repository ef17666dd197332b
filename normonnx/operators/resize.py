"""Sampling of images at other places."""

from __future__ import annotations

from normonnx.operators.facts import Facts
from normonnx.operators.kernels import resize as kernels
from normonnx.operators.kernels import sampling

FACTS = (
    Facts(name="Resize", linear_in=(0,), steered_by=(1, 2, 3), kernel=kernels.resize),
    Facts(name="Upsample", linear_in=(0,), steered_by=(1,), kernel=kernels.upsample),
    Facts(name="GridSample", linear_in=(0,), kernel=sampling.grid_sample),
    Facts(name="AffineGrid", linear_in=(0,)),
)
