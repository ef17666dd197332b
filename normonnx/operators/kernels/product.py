"""Matrix products."""

from __future__ import annotations

import numpy as np

from normonnx.operators.kernels.call import Array, Call, Inputs, Outputs, optional, present

# So few rows are multiplied one by one: a product of matrices first copies the second one.
_FEW = 8
# Elements of a second matrix that are taken at a time: what stays in the cache, or pays.
_PART_FOR_FEW = 1 << 17
_PART = 1 << 21


def matmul(call: Call, inputs: Inputs) -> Outputs:
    """a·b of matrices, of stacks of them and of vectors, as in NumPy."""
    return (_product(present(inputs, 0), present(inputs, 1)),)


def _product(a: Array, b: Array) -> Array:
    """a·b in the type of a; a narrower matrix b is widened a part at a time."""
    if b.ndim != 2 or a.ndim < 2 or b.size <= _PART_FOR_FEW or a.dtype != np.float64:
        return np.asarray(np.matmul(a, b))
    rows = a.reshape(-1, a.shape[-1])
    if rows.shape[1] != b.shape[0]:
        raise ValueError(f"{a.shape} and {b.shape} cannot be multiplied")
    few = len(rows) <= _FEW
    if not few and b.dtype == a.dtype:
        return np.asarray(np.matmul(rows, b)).reshape(*a.shape[:-1], b.shape[1])
    found = np.zeros((len(rows), b.shape[1]))
    step = max(1, (_PART_FOR_FEW if few else _PART) // b.shape[1])
    for start in range(0, b.shape[0], step):
        part = b[start : start + step].astype(np.float64, copy=False)
        terms = rows[:, start : start + step]
        if few:
            for row, factors in zip(found, terms, strict=True):
                row += factors @ part
        else:
            found += terms @ part
    return found.reshape(*a.shape[:-1], b.shape[1])


def gemm(call: Call, inputs: Inputs) -> Outputs | None:
    """α·a·b + β·c; the first operator sets broadcast c by an attribute and are left out."""
    if call.since < 7:
        return None
    a, b, c = present(inputs, 0), present(inputs, 1), optional(inputs, 2)
    a = a.T if call.get("transA", 0) else a
    b = b.T if call.get("transB", 0) else b
    y = _product(a, b) * np.asarray(call.get("alpha", 1.0), a.dtype)
    if c is not None:
        y = y + c * np.asarray(call.get("beta", 1.0), c.dtype)
    return (y,)
