"""The target ort: the standard's operators, and ONNX Runtime's own where a sum is normalised.

SkipLayerNormalization and SkipSimplifiedLayerNormalization of com.microsoft normalise the last axis
of rows, and give the sum as the last of four outputs. They are there in any opset.
"""

from __future__ import annotations

from types import MappingProxyType

import onnx_ir as ir

from normonnx.targets.fused import FUSED_DOMAINS, FUSED_LAYER, FUSED_RMS
from normonnx.targets.operator import AddNormOperator
from normonnx.targets.placement import last
from normonnx.targets.standard import IMAGES, LAYER, RMS
from normonnx.targets.target import Target

_MICROSOFT = "com.microsoft"
_MICROSOFT_VERSION = 1


def _skip(name: str) -> AddNormOperator:
    return AddNormOperator(
        name,
        _MICROSOFT,
        4,
        last,
        types=frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16}),
        ranks=frozenset({2, 3}),
        repeats=True,
    )


ORT = Target(
    name="ort",
    norms=(LAYER, FUSED_LAYER, RMS, FUSED_RMS),
    images=IMAGES,
    sums=MappingProxyType(
        {
            LAYER.name: _skip("SkipLayerNormalization"),
            RMS.name: _skip("SkipSimplifiedLayerNormalization"),
        }
    ),
    domains=MappingProxyType({_MICROSOFT: _MICROSOFT_VERSION, **FUSED_DOMAINS}),
    improves_written=True,
)
