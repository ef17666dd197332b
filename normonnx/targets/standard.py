"""The norms of the standard.

operator                   since opset   normalises
LayerNormalization         17            all axes from one on
RMSNormalization           23            all axes from one on
InstanceNormalization      6             all axes behind the channels'
GroupNormalization         21            those, and some channels
"""

from __future__ import annotations

from types import MappingProxyType

import onnx_ir as ir

from normonnx.journal import Refusal
from normonnx.targets.operator import NormOperator, Types
from normonnx.targets.placement import grouped, spatial, trailing

# The standard leaves open in which type InstanceNormalization computes in half precision, and
# ONNX Runtime has no kernel of it for double.
_SINGLE: Types = MappingProxyType({ir.DataType.FLOAT: frozenset({ir.DataType.FLOAT})})

LAYER = NormOperator(
    "LayerNormalization",
    "LayerNorm",
    "LayerNorm",
    "NX101",
    trailing,
    opset=17,
    attributes=frozenset({"axis", "stash_type"}),
)
RMS = NormOperator(
    "RMSNormalization",
    "RMSNorm",
    "RMSNorm",
    "NX102",
    trailing,
    opset=23,
    attributes=frozenset({"axis", "stash_type"}),
    takes_bias=False,
)
INSTANCE = NormOperator(
    "InstanceNormalization",
    "LayerNorm",
    "InstanceNorm",
    "NX104",
    spatial,
    opset=6,
    needs_bias=True,
    is_for_images=True,
    statistics=_SINGLE,
)
GROUP = NormOperator(
    "GroupNormalization",
    "LayerNorm",
    "GroupNorm",
    "NX103",
    grouped,
    opset=21,
    attributes=frozenset({"num_groups", "stash_type"}),
    needs_bias=True,
    is_for_images=True,
    by_choice=Refusal(
        "GroupNormalization is off by default: ONNX Runtime's CPU provider takes it apart, and "
        "needs about twice as long as for InstanceNormalization between Reshapes",
        "--rule NX103 writes it, for a runtime with a kernel for it",
    ),
)

IMAGES = (INSTANCE, GROUP)
"""What is made for images, the preferred first."""
