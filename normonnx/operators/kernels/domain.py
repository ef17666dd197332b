"""The operators of the domain normonnx: norms over consecutive axes anywhere, and of sums.

s = x + residual + x_bias,   y = norm(s)      over as many axes as the scale has, from `axis` on
"""

from __future__ import annotations

import numpy as np

from normonnx.operators.kernels.call import Array, Call, Inputs, Outputs, optional, present


def _laid(parameter: Array, first: int, rank: int) -> Array:
    """A parameter with axes of size 1 behind, so that it lies along its axes of x."""
    return parameter.reshape(*parameter.shape, *(1,) * (rank - first - parameter.ndim))


def _norm(call: Call, x: Array, scale: Array, bias: Array | None, *, centred: bool) -> Array:
    first = int(call.get("axis", -1)) % x.ndim
    axes = tuple(range(first, first + scale.ndim))
    values = x - x.mean(axis=axes, keepdims=True) if centred else x
    square = np.square(values).mean(axis=axes, keepdims=True)
    deviation = np.sqrt(square + call.get("epsilon", 1e-5))
    y: Array = values / deviation * _laid(scale, first, x.ndim)
    return y if bias is None else y + _laid(bias, first, x.ndim)


def fused_layer_normalization(call: Call, inputs: Inputs) -> Outputs:
    """X, Scale, Bias? → Y."""
    x, scale = present(inputs, 0), present(inputs, 1)
    return (_norm(call, x, scale, optional(inputs, 2), centred=True),)


def fused_rms_normalization(call: Call, inputs: Inputs) -> Outputs:
    """X, Scale → Y."""
    return (_norm(call, present(inputs, 0), present(inputs, 1), None, centred=False),)


def fused_add_layer_normalization(call: Call, inputs: Inputs) -> Outputs:
    """X, Residual, Scale, Bias, XBias? → Y, Sum?."""
    scale, bias = present(inputs, 2), present(inputs, 3)
    total = _total(call, inputs, optional(inputs, 4), scale)
    return (_norm(call, total, scale, bias, centred=True), total)[: call.outputs]


def fused_add_rms_normalization(call: Call, inputs: Inputs) -> Outputs:
    """X, Residual, Scale, XBias? → Y, Sum?."""
    scale = present(inputs, 2)
    total = _total(call, inputs, optional(inputs, 3), scale)
    return (_norm(call, total, scale, None, centred=False), total)[: call.outputs]


def _total(call: Call, inputs: Inputs, x_bias: Array | None, scale: Array) -> Array:
    x, residual = present(inputs, 0), present(inputs, 1)
    if x_bias is None:
        return x + residual
    first = int(call.get("axis", -1)) % x.ndim
    return x + _laid(x_bias.reshape(scale.shape), first, x.ndim) + residual
