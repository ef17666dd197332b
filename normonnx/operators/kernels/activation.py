"""Activations that onnx.reference computes in float32, or slowly, or in one form only."""

from __future__ import annotations

import math

import numpy as np

from normonnx.operators.kernels.call import Array, Call, Inputs, Outputs, optional, present


def erf_of(x: Array) -> Array:
    """The error function of the C library, element by element."""
    flat = np.fromiter(map(math.erf, x.ravel().tolist()), dtype=np.float64, count=x.size)
    y: Array = flat.reshape(x.shape).astype(x.dtype, copy=False)
    return y


def erf(call: Call, inputs: Inputs) -> Outputs:
    """The error function."""
    return (erf_of(present(inputs, 0)),)


def _gelu_erf(x: Array) -> Array:
    y: Array = 0.5 * x * (1 + erf_of(x * math.sqrt(0.5)))
    return y


def _gelu_tanh(x: Array) -> Array:
    y: Array = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return y


def gelu(call: Call, inputs: Inputs) -> Outputs:
    """x·Φ(x), or its tanh approximation where the node asks for that."""
    form = _gelu_tanh if call.get("approximate", "none") == "tanh" else _gelu_erf
    return (form(present(inputs, 0)),)


def bias_gelu(call: Call, inputs: Inputs) -> Outputs:
    """ONNX Runtime's Gelu of a sum."""
    return (_gelu_erf(present(inputs, 0) + present(inputs, 1)),)


def fast_gelu(call: Call, inputs: Inputs) -> Outputs:
    """ONNX Runtime's tanh approximation of Gelu, of a sum where a bias is given."""
    x, bias = present(inputs, 0), optional(inputs, 1)
    return (_gelu_tanh(x if bias is None else x + bias),)


def sigmoid_of(x: Array) -> Array:
    """1 / (1 + e⁻ˣ) without overflow on either side."""
    small = np.exp(-np.abs(x))
    y: Array = np.where(x >= 0, 1, small) / (1 + small)
    return y


def sigmoid(call: Call, inputs: Inputs) -> Outputs:
    """1 / (1 + e⁻ˣ)."""
    return (sigmoid_of(present(inputs, 0)),)


def quick_gelu(call: Call, inputs: Inputs) -> Outputs:
    """ONNX Runtime's x·σ(αx)."""
    x = present(inputs, 0)
    return (x * sigmoid_of(call.get("alpha", 1.702) * x),)


def _rows(call: Call, x: Array) -> tuple[Array, int]:
    """The input as Softmax and its relatives see it, and the axis they normalise.

    Before operator set 13 the input was taken as a matrix, rows being all axes before ``axis``.
    """
    if call.since >= 13:
        return x, int(call.get("axis", -1))
    axis = int(call.get("axis", 1))
    axis += x.ndim if axis < 0 else 0
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:])), 1


def softmax(call: Call, inputs: Inputs) -> Outputs:
    """eˣ / Σeˣ."""
    x = present(inputs, 0)
    rows, axis = _rows(call, x)
    if not rows.size:
        return (x,)
    power = np.exp(rows - rows.max(axis=axis, keepdims=True))
    return ((power / power.sum(axis=axis, keepdims=True)).reshape(x.shape),)


def log_softmax(call: Call, inputs: Inputs) -> Outputs:
    """Shifted x − log Σeˣ."""
    x = present(inputs, 0)
    rows, axis = _rows(call, x)
    if not rows.size:
        return (x,)
    shifted = rows - rows.max(axis=axis, keepdims=True)
    total = np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return ((shifted - total).reshape(x.shape),)


def hardmax(call: Call, inputs: Inputs) -> Outputs:
    """1 at the first largest element, 0 elsewhere."""
    x = present(inputs, 0)
    rows, axis = _rows(call, x)
    if not rows.size:
        return (x,)
    first = np.expand_dims(rows.argmax(axis=axis), axis)
    y = np.zeros_like(rows)
    np.put_along_axis(y, first, 1, axis=axis)
    return (y.reshape(x.shape),)
