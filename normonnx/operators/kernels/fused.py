"""ONNX Runtime's fused products, which offline-optimised models carry (domain com.microsoft)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from normonnx.operators.kernels.activation import sigmoid_of
from normonnx.operators.kernels.call import Array, Call, Inputs, Outputs, optional, present
from normonnx.operators.kernels.convolution import conv

_LAST_TWO = (-2, -1)


def fused_matmul(call: Call, inputs: Inputs) -> Outputs | None:
    """alpha·op(A)·op(B), op transposing the last two axes."""
    if call.get("transBatchA", 0) or call.get("transBatchB", 0):
        return None
    a, b = present(inputs, 0), present(inputs, 1)
    a = np.swapaxes(a, *_LAST_TWO) if call.get("transA", 0) and a.ndim > 1 else a
    b = np.swapaxes(b, *_LAST_TWO) if call.get("transB", 0) and b.ndim > 1 else b
    return (call.get("alpha", 1.0) * (a @ b),)


def fused_gemm(call: Call, inputs: Inputs) -> Outputs | None:
    """Gemm followed by an activation."""
    a, b, c = present(inputs, 0), present(inputs, 1), optional(inputs, 2)
    a, b = (a.T if call.get("transA", 0) else a), (b.T if call.get("transB", 0) else b)
    y = call.get("alpha", 1.0) * (a @ b)
    if c is not None:
        y = y + call.get("beta", 1.0) * c
    return _activated(call, y)


def fused_conv(call: Call, inputs: Inputs) -> Outputs | None:
    """Conv, then the sum with a fourth input, then an activation."""
    (y,) = conv(call, inputs[:3])
    extra = optional(inputs, 3)
    return _activated(call, y if extra is None else y + extra)


def _activated(call: Call, y: Array) -> Outputs | None:
    name = call.get("activation")
    if not name:
        return (y,)
    # FusedConv has its parameters in a list, FusedGemm under their names.
    p = list(call.get("activation_params") or ())
    named = (call.get(f"activation_{which}") for which in ("alpha", "beta"))
    p += [value for value in named if value is not None]
    forms: dict[str, Callable[[], Array]] = {
        "Relu": lambda: np.maximum(y, 0),
        "Sigmoid": lambda: sigmoid_of(y),
        "Tanh": lambda: np.tanh(y),
        "LeakyRelu": lambda: np.where(y < 0, (p[0] if p else 0.01) * y, y),
        "Clip": lambda: np.clip(y, p[0], p[1]),
        "HardSigmoid": lambda: np.clip(p[0] * y + p[1], 0, 1),
    }
    return (forms[name](),) if name in forms else None
