"""GridSample: values between the elements of a tensor, at places that a grid tells.

p = ((g + 1)·n − 1)/2    or, with align_corners,    p = (g + 1)·(n − 1)/2
y = Σ_k Π_axis w(p − ⌊p⌋)[k]·x[⌊p⌋ + k]
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np

from normonnx.operators.kernels.call import Array, Call, Inputs, Outputs, present

_SHARPNESS = -0.75
_OLD_NAMES: Mapping[str, str] = {"bilinear": "linear", "bicubic": "cubic"}
"""What opset 16 calls the modes."""


def grid_sample(call: Call, inputs: Inputs) -> Outputs:
    """``X [N, C, *S]``, ``grid [N, *T, r]`` from −1 to 1, last axis of x first → ``[N, C, *T]``."""
    x, grid = present(inputs, 0), present(inputs, 1)
    mode = str(call.get("mode", "linear"))
    weigh = _WEIGHTS[_OLD_NAMES.get(mode, mode)]
    aligned, padding = bool(call.get("align_corners", 0)), call.get("padding_mode", "zeros")
    places = [
        _place(grid[..., -1 - axis], size, aligned=aligned) for axis, size in enumerate(x.shape[2:])
    ]
    if weigh is _nearest:
        places = [np.rint(place) for place in places]
    if weigh is not _cubic:  # which folds what it reads, and not where it stands
        places = [
            _folded(place, size, padding, aligned=aligned)
            for place, size in zip(places, x.shape[2:], strict=True)
        ]
    taps = [weigh(place) for place in places]
    samples = np.arange(len(x)).reshape(-1, *(1,) * (grid.ndim - 2))
    y = np.zeros((*grid.shape[:-1], x.shape[1]), dtype=x.dtype)
    for chosen in itertools.product(*taps):
        weight = np.ones(grid.shape[:-1], dtype=x.dtype)
        index = []
        for (at, share), size in zip(chosen, x.shape[2:], strict=True):
            at = _folded(at, size, padding, aligned=aligned)
            if padding != "zeros":
                at = np.clip(at, 0, size - 1)
            weight = weight * np.where((at >= 0) & (at < size), share, 0)
            index.append(np.clip(np.nan_to_num(at), 0, size - 1).astype(np.int64))
        y += x[(samples, slice(None), *index)] * weight[..., None]
    return (np.moveaxis(y, -1, 1),)


def _place(grid: Array, size: int, *, aligned: bool) -> Array:
    """Where a coordinate of the grid lies among the elements of an axis."""
    place: Array = (grid + 1) * ((size - 1) / 2) if aligned else ((grid + 1) * size - 1) / 2
    return place


def _folded(place: Array, size: int, padding: str, *, aligned: bool) -> Array:
    """The place, brought back where it is beyond the first or last element."""
    low, high = (0.0, size - 1.0) if aligned else (-0.5, size - 0.5)
    beyond = (place < low) | (place > high)
    if padding == "border":
        return np.where(beyond, np.clip(place, 0, size - 1), place)
    if padding != "reflection":
        return place
    span = high - low
    if not span:
        return np.where(beyond, low, place)
    turned = np.mod(place - low, 2 * span)
    return np.where(beyond, low + np.where(turned > span, 2 * span - turned, turned), place)


def _nearest(place: Array) -> list[tuple[Array, Array]]:
    return [(np.rint(place), np.ones_like(place))]


def _linear(place: Array) -> list[tuple[Array, Array]]:
    below = np.floor(place)
    return [(below, 1 - (place - below)), (below + 1, place - below)]


def _cubic(place: Array) -> list[tuple[Array, Array]]:
    below = np.floor(place)
    t = place - below
    return [(below + k, _kernel(np.abs(t - k))) for k in (-1, 0, 1, 2)]


def _kernel(distance: Array) -> Array:
    """Keys' cubic."""
    a, d = _SHARPNESS, distance
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    weight: Array = np.where(d <= 1, near, far)
    return weight


_WEIGHTS: Mapping[str, Callable[[Array], list[tuple[Array, Array]]]] = {
    "nearest": _nearest,
    "linear": _linear,
    "cubic": _cubic,
}
