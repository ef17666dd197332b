"""The normalisations, centred first and squared then, in the precision of their input.

    LayerNorm   y = g·(x − E[x]) / √(E[(x − E[x])²] + e) + b
    RMSNorm     y = g·x / √(E[x²] + e)
    BatchNorm   y = g·(x − m) / √(v + e) + b,    m and v per channel, given or of this batch

The operators may compute in another type than their input's (stash_type); the truth does not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from normonnx.operators.kernels.call import Array, Call, Inputs, Outputs, optional, present


def _centred(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """The values without their mean, and the mean, corrected once for its own rounding."""
    mean = x.mean(axis=axes, keepdims=True)
    centred = x - mean
    slip = centred.mean(axis=axes, keepdims=True)
    return centred - slip, mean + slip


def _trailing(x: Array, axis: int) -> tuple[int, ...]:
    return tuple(range(axis % x.ndim, x.ndim))


def layer_normalization(call: Call, inputs: Inputs) -> Outputs:
    """Y, and with it the mean and the inverse standard deviation where they are asked for."""
    x, scale, bias = present(inputs, 0), present(inputs, 1), optional(inputs, 2)
    axes = _trailing(x, int(call.get("axis", -1)))
    centred, mean = _centred(x, axes)
    variance = np.square(centred).mean(axis=axes, keepdims=True)
    inverse = 1 / np.sqrt(variance + call.get("epsilon", 1e-5))
    y = centred * inverse * scale
    return (y if bias is None else y + bias, mean, inverse)[: call.outputs]


def rms_normalization(call: Call, inputs: Inputs) -> Outputs:
    """RMSNormalization, and ONNX Runtime's SimplifiedLayerNormalization."""
    x, scale = present(inputs, 0), present(inputs, 1)
    axes = _trailing(x, int(call.get("axis", -1)))
    square = np.square(x).mean(axis=axes, keepdims=True)
    inverse = 1 / np.sqrt(square + call.get("epsilon", 1e-5))
    return (x * inverse * scale, inverse)[: call.outputs]


def lp_normalization(call: Call, inputs: Inputs) -> Outputs:
    """X / Σ|x| or x / √Σx² along an axis; a vector of zeros stays."""
    x, axis = present(inputs, 0), int(call.get("axis", -1))
    length = np.linalg.norm(x, ord=int(call.get("p", 2)), axis=axis, keepdims=True)
    return ((x / np.where(length == 0, 1, length)).astype(x.dtype, copy=False),)


def _per_channel(values: Array, rank: int) -> Array:
    return values.reshape(-1, *(1,) * (rank - 2))


def batch_normalization(call: Call, inputs: Inputs) -> Outputs | None:
    """Inference form, and from operator set 14 on the training form on this batch's statistics.

    Before operator set 9 there may be statistics for each element, ``[C, *S]``.
    """
    if call.since < 7 and not call.get("is_test", 0):
        return None
    x = present(inputs, 0)
    scale, bias, mean, variance = (present(inputs, i) for i in range(1, 5))
    epsilon = call.get("epsilon", 1e-5)
    training = bool(call.get("training_mode", 0)) if call.since >= 14 else call.outputs > 1
    if not training:
        if call.get("spatial", 1):
            scale, bias, mean, variance = (
                _per_channel(v, x.ndim) for v in (scale, bias, mean, variance)
            )
        return (scale * (x - mean) / np.sqrt(variance + epsilon) + bias,)
    if call.since < 14:
        return None
    axes = (0, *range(2, x.ndim))
    centred, found = _centred(x, axes)
    spread = np.square(centred).mean(axis=axes, keepdims=True)
    y = _per_channel(scale, x.ndim) * centred / np.sqrt(spread + epsilon)
    y += _per_channel(bias, x.ndim)
    momentum = call.get("momentum", 0.9)
    running_mean = mean * momentum + found.reshape(mean.shape) * (1 - momentum)
    running_variance = variance * momentum + spread.reshape(variance.shape) * (1 - momentum)
    return (y, running_mean, running_variance)[: call.outputs]


def instance_normalization(call: Call, inputs: Inputs) -> Outputs:
    """Each channel of each image over its own spatial axes."""
    x, scale, bias = (present(inputs, i) for i in range(3))
    axes = tuple(range(2, x.ndim))
    centred, _ = _centred(x, axes)
    variance = np.square(centred).mean(axis=axes, keepdims=True)
    y = centred / np.sqrt(variance + call.get("epsilon", 1e-5))
    return (y * _per_channel(scale, x.ndim) + _per_channel(bias, x.ndim),)


def group_normalization(call: Call, inputs: Inputs) -> Outputs:
    """Groups of channels over their channels and all spatial axes.

    Scale and bias are per group in operator set 18, and per channel from 21 on.
    """
    x, scale, bias = (present(inputs, i) for i in range(3))
    groups = int(call.get("num_groups"))
    split = x.reshape(x.shape[0], groups, -1)
    centred, _ = _centred(split, (2,))
    variance = np.square(centred).mean(axis=2, keepdims=True)
    y = (centred / np.sqrt(variance + call.get("epsilon", 1e-5))).reshape(x.shape)
    each = x.shape[1] // scale.shape[0]
    scale, bias = (_per_channel(np.repeat(v, each), x.ndim) for v in (scale, bias))
    return (y * scale + bias,)


def skip_layer_normalization(call: Call, inputs: Inputs) -> Outputs:
    """ONNX Runtime's sum of input, skip and bias, then LayerNorm; the sum is the fourth output."""
    x, skip, gamma, beta = (*(present(inputs, i) for i in range(3)), optional(inputs, 3))
    return _skip(call, x, skip, optional(inputs, 4), (gamma, beta), layer_normalization)


def skip_simplified_layer_normalization(call: Call, inputs: Inputs) -> Outputs:
    """ONNX Runtime's sum of input, skip and bias, then RMSNorm; the sum is the fourth output."""
    x, skip, gamma = (present(inputs, i) for i in range(3))
    return _skip(call, x, skip, optional(inputs, 3), (gamma,), rms_normalization)


def _skip(
    call: Call,
    x: Array,
    skip: Array,
    bias: Array | None,
    affine: tuple[Array | None, ...],
    norm: Callable[[Call, Inputs], Outputs],
) -> Outputs:
    total = x + skip if bias is None else x + skip + bias
    inner = Call(call.op_type, 1, {"epsilon": call.get("epsilon", 1e-12), "axis": -1}, 3)
    y, *statistics = norm(inner, (total, *affine))
    blanks = [np.empty(0)] * (2 - len(statistics))
    return (y, *statistics, *blanks, total)[: call.outputs]
