"""Weights of a few bits, several in a byte."""

from __future__ import annotations

import numpy as np

from normonnx.operators.kernels.call import Array, Call, Inputs, Outputs, optional, present

_BITS = (2, 4, 8)


def matmul_nbits(call: Call, inputs: Inputs) -> Outputs | None:
    """X·Wᵀ + bias with W[n, k] = (q[n, k] − z[n, b])·s[n, b], b the block that k is in.

    q is packed along k, the lowest bits first; where a zero point is left out it is half the range.
    """
    bits = int(call.get("bits", 4))
    size, columns, outputs = (int(call.get(name)) for name in ("block_size", "K", "N"))
    if bits not in _BITS or optional(inputs, 4) is not None:
        return None  # rows in another order
    x, packed = present(inputs, 0), present(inputs, 1)
    blocks = -(-columns // size)
    q = _unpacked(packed, bits).reshape(outputs, -1, size)[:, :blocks].astype(np.float64)
    scales = present(inputs, 2).reshape(outputs, blocks, 1)
    zeros = optional(inputs, 3)
    if zeros is None:
        points: Array = np.full((outputs, blocks), 1 << (bits - 1))
    elif zeros.dtype == np.uint8:
        points = _unpacked(zeros.reshape(outputs, -1), bits)[:, :blocks]
    else:
        points = zeros.reshape(outputs, blocks)
    weight = ((q - points[..., None]) * scales).reshape(outputs, -1)[:, :columns]
    y = np.matmul(x, weight.T)
    bias = optional(inputs, 5)
    return ((y if bias is None else y + bias).astype(x.dtype, copy=False),)


def _unpacked(packed: Array, bits: int) -> Array:
    """The numbers of each byte, along the last axis, the lowest bits first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    parts = (packed[..., None] >> shifts) & np.uint8((1 << bits) - 1)
    unpacked: Array = parts.reshape(*packed.shape[:-1], -1)
    return unpacked
