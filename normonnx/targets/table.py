"""The targets by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from normonnx.targets.normonnx import NORMONNX
from normonnx.targets.onnx import ONNX
from normonnx.targets.ort import ORT
from normonnx.targets.target import Target

TARGETS: Mapping[str, Target] = MappingProxyType(
    {target.name: target for target in (ONNX, ORT, NORMONNX)}
)
"""Each target by its name, the default first."""
