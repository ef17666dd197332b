"""DequantizeLinear without the rounding of its result: y = (x − zero_point)·scale."""

from __future__ import annotations

import numpy as np

from normonnx.operators.kernels.call import Array, Call, Inputs, Outputs, optional, present


def dequantize_linear(call: Call, inputs: Inputs) -> Outputs:
    """Per tensor, per axis or per block, for every integer and small float type."""
    x, scale, zero = present(inputs, 0), present(inputs, 1), optional(inputs, 2)
    axis = int(call.get("axis", 1))
    block = int(call.get("block_size", 0))
    scale = _spread(scale.astype(np.float64), x, axis, block)
    y = x.astype(np.float64)
    if zero is not None:
        y = y - _spread(zero.astype(np.float64), x, axis, block)
    return (y * scale,)


def _spread(values: Array, x: Array, axis: int, block: int) -> Array:
    """The parameters in a shape that broadcasts against ``x``."""
    if values.size == 1:
        return values.reshape(())
    if block:
        return np.repeat(values, block, axis=axis)[tuple(slice(0, s) for s in x.shape)]
    return values.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])
