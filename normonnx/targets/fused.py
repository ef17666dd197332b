"""The norms of the domain normonnx.

    operator                   normalises                 with the sum before it
    FusedLayerNormalization    axes in a row, anywhere    FusedAddLayerNormalization
    FusedRMSNormalization      axes in a row, anywhere    FusedAddRMSNormalization

They come with their body as a function of the model, one for all nodes of an operator (so all
FusedLayerNormalizations have a bias), and ask for no opset of their own. They are what is written
for the target of that name, and for the others where the standard operator cannot be had.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from normonnx.ops.operators import DOMAIN, VERSION
from normonnx.targets.operator import AddNormOperator, NormOperator
from normonnx.targets.placement import consecutive

FIRST_BODY = 7
"""The first opset in which the operators of the domain normonnx can be written as functions."""

_AXIS = frozenset({"axis"})

FUSED_LAYER = NormOperator(
    "FusedLayerNormalization",
    "LayerNorm",
    "LayerNorm",
    "NX101",
    consecutive,
    first_opset=FIRST_BODY,
    domain=DOMAIN,
    attributes=_AXIS,
    needs_bias=True,
)
FUSED_RMS = NormOperator(
    "FusedRMSNormalization",
    "RMSNorm",
    "RMSNorm",
    "NX102",
    consecutive,
    first_opset=FIRST_BODY,
    domain=DOMAIN,
    attributes=_AXIS,
    takes_bias=False,
)

FUSED_SUMS: Mapping[str, AddNormOperator] = MappingProxyType(
    {
        alone.name: AddNormOperator(
            name, DOMAIN, 2, consecutive, first_opset=FIRST_BODY, attributes=_AXIS
        )
        for alone, name in (
            (FUSED_LAYER, "FusedAddLayerNormalization"),
            (FUSED_RMS, "FusedAddRMSNormalization"),
        )
    }
)
"""What takes the sum before each of them along."""

FUSED_DOMAINS: Mapping[str, int] = MappingProxyType({DOMAIN: VERSION})
"""What a model with them imports."""
