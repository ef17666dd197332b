"""What the operators mean, in float64: the truth their kernels are held to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from normonnx.errors import UsageError
from normonnx.ops.operators import DEFAULT_AXIS, DEFAULT_EPSILON, OPERATORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[Any]


def reference(
    op_type: str,
    inputs: Sequence[Array | None],
    *,
    axis: int = DEFAULT_AXIS,
    epsilon: float = DEFAULT_EPSILON,
) -> tuple[Array, ...]:
    """Outputs of an operator, computed in float64.

        s = X + Residual + XBias
        y = (s − E[s]) / √(E[(s − E[s])²] + ε) · γ + β          LayerNorm
        y = s / √(E[s²] + ε) · γ                                RMSNorm

    Args:
        op_type: one of `OPERATORS`.
        inputs: in the order of the operator, of any float type; None for what is left out.
        axis: first normalised axis; Scale spans them all.
        epsilon: as the operator stores it, a float32.

    Returns:
        Y of X's shape, and Sum for the operators that have it, both float64.

    Raises:
        UsageError: if the shapes do not fit the operator.
    """
    operator = OPERATORS[op_type]
    given: dict[str, Array] = {
        slot.name: np.asarray(value).astype(np.float64)
        for slot, value in zip(operator.inputs, inputs, strict=False)
        if value is not None
    }
    s, scale = given["X"], given["Scale"]
    first = axis + s.ndim if axis < 0 else axis
    if s.shape[first : first + scale.ndim] != scale.shape:
        raise UsageError(
            f"Scale {list(scale.shape)} is not what X {list(s.shape)} has from axis {axis} on"
        )
    axes = tuple(range(first, first + scale.ndim))
    along = scale.shape + (1,) * (s.ndim - first - scale.ndim)
    for name in ("Residual", "XBias"):
        if name in given:
            s = s + (given[name] if name == "Residual" else given[name].reshape(along))
    if s.size == 0:
        return (s, s) if operator.residual else (s,)
    with np.errstate(all="ignore"):
        d = s if operator.rms else s - s.mean(axes, keepdims=True)
        variance = (d * d).mean(axes, keepdims=True)
        y = d / np.sqrt(variance + float(np.float32(epsilon))) * scale.reshape(along)
    if "Bias" in given:
        y = y + given["Bias"].reshape(along)
    return (y, s) if operator.residual else (y,)
