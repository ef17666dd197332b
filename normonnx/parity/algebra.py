"""Tier 2: both models in float64, the optimised one with its weights before they were rounded.

    max|y₆₄ − t| ≤ 1e-9·max|t| + 64·2⁻²⁹·max|o − t|

A correct rewrite agrees to 1e-14. The second term is what float64 itself may lose on a model that
loses much in float32: 2⁻²⁹ is the ratio of their roundings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from normonnx.parity.kernels import Array
from normonnx.parity.metrics import ulps_at

_RELATIVE = 1e-9
_AMPLIFIED = 64 * 2.0**-29
# Half an ulp, and what computing it in float64 may lose.
_HALF_AN_ULP = 1 + 1e-6


@dataclass(frozen=True, slots=True)
class AlgebraResult:
    """How far the two models are in float64.

    Attributes:
        output: the output where they are farthest, relative to what is allowed.
        relative: max|y₆₄ − t| / max|t| there.
        excess: distance over what is allowed.
    """

    output: str
    relative: float
    excess: float


def compare_in_float64(
    truth: Mapping[str, Array], optimized: Mapping[str, Array], own: Mapping[str, float]
) -> AlgebraResult:
    """Compare the float outputs of both models, evaluated in float64 on the same feed.

    Args:
        truth: the original's outputs.
        optimized: the optimised model's outputs.
        own: the original's own greatest distance to the truth, by output.
    """
    worst = AlgebraResult("", 0.0, 0.0)
    for name, t in truth.items():
        y = optimized.get(name)
        if y is None or t.dtype != np.float64 or not t.size:
            continue
        if y.shape != t.shape:
            return AlgebraResult(name, np.inf, np.inf)
        defined = np.isfinite(t)
        if not np.isfinite(y[defined]).all():
            return AlgebraResult(name, np.inf, np.inf)
        far = float(np.abs(y[defined] - t[defined]).max(initial=0.0))
        if not far:
            continue
        scale = float(np.abs(t[defined]).max(initial=0.0))
        allowed = _RELATIVE * scale + _AMPLIFIED * own.get(name, 0.0)
        excess = far / allowed if allowed else np.inf
        if excess > worst.excess:
            worst = AlgebraResult(name, far / scale if scale else np.inf, excess)
    return worst


def unfaithful(model: ir.Model, exact: Mapping[str, Array]) -> str | None:
    """The first stored weight that is not its exact value rounded once, as a sentence.

    Args:
        model: the optimised model.
        exact: float64 values of its new weights by name.
    """
    for graph in model.graphs():
        for name, value in graph.initializers.items():
            if name not in exact or value.const_value is None:
                continue
            stored, wanted = np.asarray(value.const_value.numpy()), np.asarray(exact[name])
            if stored.shape != wanted.shape:
                return f"weight '{name}' has shape {stored.shape}, its exact value {wanted.shape}"
            half = ulps_at(np.abs(wanted), stored.dtype) / 2
            off = ~(np.abs(stored.astype(np.float64) - wanted) <= half * _HALF_AN_ULP)
            if off.any():
                count = int(off.sum())
                return f"weight '{name}' is not its exact value rounded: {count} elements differ"
    return None
