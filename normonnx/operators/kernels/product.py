"""Matrix products."""

from __future__ import annotations

import numpy as np

from normonnx.operators.kernels.call import Call, Inputs, Outputs, optional, present


def matmul(call: Call, inputs: Inputs) -> Outputs:
    """a·b of matrices, of stacks of them and of vectors, as in NumPy."""
    return (np.asarray(np.matmul(present(inputs, 0), present(inputs, 1))),)


def gemm(call: Call, inputs: Inputs) -> Outputs | None:
    """α·a·b + β·c; the first operator sets broadcast c by an attribute and are left out."""
    if call.since < 7:
        return None
    a, b, c = present(inputs, 0), present(inputs, 1), optional(inputs, 2)
    a = a.T if call.get("transA", 0) else a
    b = b.T if call.get("transB", 0) else b
    y = np.matmul(a, b) * np.asarray(call.get("alpha", 1.0), a.dtype)
    if c is not None:
        y = y + c * np.asarray(call.get("beta", 1.0), c.dtype)
    return (y,)
