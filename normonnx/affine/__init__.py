"""The affine engine: BatchNormalization, and arithmetic spelled like it, is folded away."""

from __future__ import annotations

from normonnx.affine.engine import fold_affine
from normonnx.affine.map import AffineMap
from normonnx.affine.recognise import Affine, recognise

__all__ = ["Affine", "AffineMap", "fold_affine", "recognise"]
