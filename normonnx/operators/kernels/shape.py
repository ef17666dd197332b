"""Dimensions as numbers, and rows of them."""

from __future__ import annotations

import numpy as np

from normonnx.operators.kernels.call import Call, Inputs, Outputs, optional, present


def shape(call: Call, inputs: Inputs) -> Outputs:
    """The dimensions, or those from a first to before a last one."""
    dims = present(inputs, 0).shape
    return (np.array(dims[slice(call.get("start"), call.get("end"))], dtype=np.int64),)


def size(call: Call, inputs: Inputs) -> Outputs:
    """How many elements there are."""
    return (np.array(present(inputs, 0).size, dtype=np.int64),)


def count(call: Call, inputs: Inputs) -> Outputs | None:
    """Numbers from a first to before a limit, in steps."""
    start, limit, step = (optional(inputs, index) for index in range(3))
    if start is None or limit is None or step is None:
        return None
    first, last, stride = (given.reshape(-1)[0] for given in (start, limit, step))
    turns = max(int(np.ceil((last - first) / stride)), 0)
    return ((first + np.arange(turns, dtype=start.dtype) * stride).astype(start.dtype),)
