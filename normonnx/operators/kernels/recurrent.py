"""RNN, GRU and LSTM with every attribute of the standard.

    RNN    h = f(x·Wᵀ + h·Rᵀ + b)
    GRU    z, r = f(…);   n = g(x·Wnᵀ + (r ⊙ h)·Rnᵀ + b);   h = (1 − z) ⊙ n + z ⊙ h
    LSTM   i, o, f, c = …;   c = f ⊙ c + i ⊙ g(…);   h = o ⊙ h(c)

onnx.reference leaves out activations, clip, sequence_lens, input_forget and a layout of the states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct

from normonnx.operators.kernels.activation import sigmoid_of
from normonnx.operators.kernels.call import Array, Call, Inputs, Outputs, optional, present

Function = Callable[[Array], Array]
# (state, x·Wᵀ + input bias at one instant) → state; the first of the state is the output.
Step = Callable[[tuple[Array, ...], Array], tuple[Array, ...]]

# name → (function of x, α, β; the default of α; the default of β)
_ACTIVATIONS: dict[str, tuple[Callable[[Array, float, float], Array], float, float]] = {
    "affine": (lambda x, a, b: a * x + b, 1.0, 0.0),
    "relu": (lambda x, a, b: np.maximum(x, 0), 0.0, 0.0),
    "leakyrelu": (lambda x, a, b: np.where(x < 0, a * x, x), 0.01, 0.0),
    "thresholdedrelu": (lambda x, a, b: np.where(x > a, x, 0), 1.0, 0.0),
    "tanh": (lambda x, a, b: np.tanh(x), 0.0, 0.0),
    "sigmoid": (lambda x, a, b: sigmoid_of(x), 0.0, 0.0),
    "scaledtanh": (lambda x, a, b: a * np.tanh(b * x), 1.0, 1.0),
    "hardsigmoid": (lambda x, a, b: np.clip(a * x + b, 0, 1), 0.2, 0.5),
    "elu": (lambda x, a, b: np.where(x < 0, a * np.expm1(x), x), 1.0, 0.0),
    "softsign": (lambda x, a, b: x / (1 + np.abs(x)), 0.0, 0.0),
    "softplus": (lambda x, a, b: np.logaddexp(x, 0), 0.0, 0.0),
}


class _Direction(Struct, frozen=True):
    """The parameters of one direction: W [G·H, I], R [G·H, H], two biases [G·H], peepholes."""

    W: Array
    R: Array
    Wb: Array
    Rb: Array
    P: Array
    functions: tuple[Function, ...]
    reverse: bool


def rnn(call: Call, inputs: Inputs) -> Outputs:
    """The plain recurrent layer."""

    def step(d: _Direction) -> Step:
        (f,) = d.functions
        return lambda state, wx: (f(wx + state[0] @ d.R.T + d.Rb),)

    return _layer(call, inputs, ("Tanh",), 1, 1, step)


def gru(call: Call, inputs: Inputs) -> Outputs:
    """The gated recurrent unit, resetting before or after the product with R."""
    after = bool(call.get("linear_before_reset", 0))

    def step(d: _Direction) -> Step:
        f, g = d.functions
        size = d.R.shape[1]
        Rg, Rn = d.R[: 2 * size].T, d.R[2 * size :].T
        bg, bn = d.Rb[: 2 * size], d.Rb[2 * size :]

        def advance(state: tuple[Array, ...], wx: Array) -> tuple[Array, ...]:
            (h,) = state
            z, r = np.split(f(wx[:, : 2 * size] + h @ Rg + bg), 2, axis=-1)
            fresh = r * (h @ Rn + bn) if after else (r * h) @ Rn + bn
            n = g(wx[:, 2 * size :] + fresh)
            return ((1 - z) * n + z * h,)

        return advance

    return _layer(call, inputs, ("Sigmoid", "Tanh"), 3, 1, step)


def lstm(call: Call, inputs: Inputs) -> Outputs:
    """Long short-term memory, with peepholes and coupled gates."""
    coupled = bool(call.get("input_forget", 0))

    def step(d: _Direction) -> Step:
        f, g, h_of = d.functions
        pi, po, pf = np.split(d.P, 3)
        R = d.R.T

        def advance(state: tuple[Array, ...], wx: Array) -> tuple[Array, ...]:
            h, c = state
            i, o, forget, fresh = np.split(wx + h @ R + d.Rb, 4, axis=-1)
            i = f(i + pi * c)
            forget = 1 - i if coupled else f(forget + pf * c)
            c = forget * c + i * g(fresh)
            return f(o + po * c) * h_of(c), c

        return advance

    return _layer(call, inputs, ("Sigmoid", "Tanh", "Tanh"), 4, 2, step)


def _layer(
    call: Call,
    inputs: Inputs,
    default: Sequence[str],
    gates: int,
    states: int,
    step: Callable[[_Direction], Step],
) -> Outputs:
    """Both directions over time; the outputs Y [T, D, B, H] and the last states [D, B, H]."""
    batch_first = bool(call.get("layout", 0))
    x = present(inputs, 0)
    x = x.swapaxes(0, 1) if batch_first else x
    lengths = optional(inputs, 4)
    time, batch = x.shape[:2]
    zeros = np.zeros((batch, present(inputs, 2).shape[-1]), dtype=x.dtype)
    starts = [_start(inputs, 5 + index, batch_first=batch_first) for index in range(states)]
    ys, lasts = [], []
    for number, direction in enumerate(_directions(call, inputs, default, gates)):
        state = tuple(zeros if start is None else start[number] for start in starts)
        limit = np.full(batch, time) if lengths is None else lengths.astype(np.int64)
        y, state = _over_time(x, direction, step(direction), state, limit)
        ys.append(y)
        lasts.append(state)
    Y = np.stack(ys, axis=1)
    ends = [np.stack(each) for each in zip(*lasts, strict=True)]
    if batch_first:
        Y, ends = Y.transpose(2, 0, 1, 3), [e.swapaxes(0, 1) for e in ends]
    return (Y, *ends)[: call.outputs]


def _start(inputs: Inputs, index: int, *, batch_first: bool) -> Array | None:
    """A state to begin with [D, B, H], None for zeros."""
    start = optional(inputs, index)
    return start.swapaxes(0, 1) if start is not None and batch_first else start


def _over_time(
    x: Array, direction: _Direction, step: Step, state: tuple[Array, ...], lengths: Array
) -> tuple[Array, tuple[Array, ...]]:
    """One direction; behind the end of a sequence the state stands still and the output is 0."""
    time, batch = x.shape[:2]
    order = np.broadcast_to(np.arange(time)[:, None], (time, batch))
    if direction.reverse:
        order = np.where(order < lengths, lengths - 1 - order, order)
    rows = np.arange(batch)
    projected = x @ direction.W.T + direction.Wb
    y = np.zeros((time, batch, direction.R.shape[1]), dtype=x.dtype)
    for t in range(time):
        running = (t < lengths)[:, None]
        fresh = step(state, projected[order[t], rows])
        state = tuple(np.where(running, new, old) for new, old in zip(fresh, state, strict=True))
        y[order[t], rows] = np.where(running, state[0], 0)
    return y, state


def _directions(call: Call, inputs: Inputs, default: Sequence[str], gates: int) -> list[_Direction]:
    """The parameters of each direction; W, R, biases and peepholes are inputs 1, 2, 3 and 7."""
    W, R, bias, P = present(inputs, 1), present(inputs, 2), optional(inputs, 3), optional(inputs, 7)
    count, size, each = W.shape[0], R.shape[-1], len(default)
    functions = _functions(call, default, count)
    way = call.get("direction", "forward")
    result = []
    for i in range(count):
        both = np.zeros(2 * gates * size, dtype=W.dtype) if bias is None else bias[i]
        result.append(
            _Direction(
                W[i],
                R[i],
                both[: gates * size],
                both[gates * size :],
                np.zeros(3 * size, dtype=W.dtype) if P is None else P[i],
                functions[i * each : (i + 1) * each],
                reverse=way == "reverse" or i == 1,
            )
        )
    return result


def _functions(call: Call, default: Sequence[str], count: int) -> tuple[Function, ...]:
    """The activations of all directions, with their parameters bound."""
    names = [str(n).lower() for n in call.get("activations") or list(default) * count]
    alphas = list(call.get("activation_alpha") or ())
    betas = list(call.get("activation_beta") or ())
    clip = call.get("clip")
    functions = []
    for number, name in enumerate(names):
        form, alpha, beta = _ACTIVATIONS[name]
        # The standard lists alphas and betas only for the functions that take them.
        alpha = alphas.pop(0) if alphas and alpha else alpha
        beta = betas.pop(0) if betas and beta else beta
        # What is clipped are the sums that enter the gates, not the cell of an LSTM.
        is_gate = number % len(default) < 2
        functions.append(_bound(form, alpha, beta, clip if is_gate else None))
    return tuple(functions)


def _bound(
    form: Callable[[Array, float, float], Array], alpha: float, beta: float, clip: float | None
) -> Function:
    if clip is None:
        return lambda x: form(x, alpha, beta)
    limit = float(clip)
    return lambda x: form(np.clip(x, -limit, limit), alpha, beta)
