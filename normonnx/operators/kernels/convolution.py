"""Conv and ConvTranspose in the precision of their input, by matrix products.

    Conv            y[m, o] = b[m] + Σ_{c,k} W[m, c, k]·x[c, o·stride + k·dilation − pad]
    ConvTranspose   y[m, i·stride + k·dilation − pad] += W[c, m, k]·x[c, i]

Group g of the channels only meets group g of the filters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from normonnx.operators.kernels.call import Array, Call, Inputs, Outputs, optional, present
from normonnx.operators.kernels.windows import Windows, windows

# Columns are laid out for as many output rows at a time as fit into this many elements.
_COLUMN_ELEMENTS = 1 << 22
_NEAR_ELEMENTS = 1 << 16
# Images with fewer elements than this in their columns are multiplied together.
_FEW_ELEMENTS = 1 << 18
# Up to so many elements of a channel the channels make the longer runs in memory.
_SMALL_PLANE = 1 << 12


def conv(call: Call, inputs: Inputs) -> Outputs:
    """Convolution of ``x [N, C, *S]`` with ``W [M, C/group, *K]``."""
    x, weight, bias = present(inputs, 0), present(inputs, 1), optional(inputs, 2)
    group = int(call.get("group", 1))
    place = windows(call, x.shape[2:], weight.shape[2:])
    padded = place.padded(x, 0)
    if group == padded.shape[1] == weight.shape[0] and math.prod(place.out) <= _SMALL_PLANE:
        y = _small_depthwise(padded, weight, place)
    elif padded.shape[1] * math.prod((*place.kernel, *place.out)) <= _FEW_ELEMENTS:
        y = np.empty((x.shape[0], weight.shape[0], *place.out), dtype=x.dtype)
        _all_by_columns(padded, weight, group, place, y)
    elif weight.shape[1] == 1:
        y = _depthwise(padded, weight, group, place)
    else:
        y = np.empty((x.shape[0], weight.shape[0], *place.out), dtype=x.dtype)
        for image, target in zip(padded, y, strict=True):
            _by_columns(image, weight, group, place, target)
    if bias is not None:
        y += bias.reshape(-1, *(1,) * (x.ndim - 2))
    return (y,)


def _depthwise(padded: Array, weight: Array, group: int, place: Windows) -> Array:
    """Each filter meets one channel: one multiply and add over the image per kernel element.

    Channels are taken so many at a time that what is being summed stays near the processor.
    """
    batch, filters = padded.shape[0], weight.shape[0] // group
    spread = (1,) * (1 + len(place.out))
    factors = weight.reshape(group, filters, *place.kernel)
    y = np.zeros((group, filters, batch, *place.out), dtype=padded.dtype)
    each = max(1, _NEAR_ELEMENTS // max(1, filters * batch * math.prod(place.out)))
    for start in range(0, group, each):
        part = padded.swapaxes(0, 1)[start : start + each, None]
        total = y[start : start + each]
        product = np.empty_like(total)
        for at, cut in place.taps():
            factor = factors[start : start + each][at].reshape(-1, filters, *spread)
            np.multiply(factor, part[cut], out=product)
            total += product
    return np.moveaxis(y, 2, 0).reshape(batch, group * filters, *place.out)


def _small_depthwise(padded: Array, weight: Array, place: Windows) -> Array:
    """One filter for each channel of small images: with channels last, they are the long runs."""
    images = np.ascontiguousarray(np.moveaxis(padded, 1, -1))
    filters = np.ascontiguousarray(np.moveaxis(weight[:, 0], 0, -1))
    batch, *spatial, channel = images.strides
    steps = (st * s for st, s in zip(spatial, place.strides, strict=True))
    within = (st * d for st, d in zip(spatial, place.dilations, strict=True))
    taps = np.lib.stride_tricks.as_strided(
        images,
        (padded.shape[0], *place.out, *place.kernel, padded.shape[1]),
        (batch, *steps, *within, channel),
        writeable=False,
    )
    rank = len(spatial)
    outer, inner, last = range(1 + rank), range(1 + rank, 1 + 2 * rank), 1 + 2 * rank
    y = np.einsum(taps, [*outer, *inner, last], filters, [*inner, last], [*outer, last])
    return np.ascontiguousarray(np.moveaxis(y, -1, 1))


def _all_by_columns(images: Array, weight: Array, group: int, place: Windows, y: Array) -> None:
    """Small images ``[N, C, *S]`` into ``y [N, M, *O]``: the weights are read once for them all."""
    count, channels = images.shape[:2]
    matrix = weight.reshape(group, weight.shape[0] // group, -1)
    columns = np.empty((channels, math.prod(place.kernel), count, *place.out), dtype=images.dtype)
    for tap, (_, cut) in enumerate(place.taps()):
        columns[:, tap] = images[cut].swapaxes(0, 1)
    product = matrix @ columns.reshape(group, -1, count * math.prod(place.out))
    y[:] = product.reshape(weight.shape[0], count, *place.out).swapaxes(0, 1)


def _by_columns(image: Array, weight: Array, group: int, place: Windows, y: Array) -> None:
    """One image ``[C, *S]`` into ``y [M, *O]``: lay out the windows as columns and multiply."""
    channels = image.shape[0]
    taps = math.prod(place.kernel)
    matrix = weight.reshape(group, weight.shape[0] // group, -1)
    plane = math.prod(place.out[1:])
    rows = max(1, _COLUMN_ELEMENTS // max(1, channels * taps * plane))
    for start in range(0, place.out[0], rows):
        stop = min(start + rows, place.out[0])
        out = (stop - start, *place.out[1:])
        columns = np.empty((channels, taps, *out), dtype=image.dtype)
        for tap, (_, cut) in enumerate(place.taps(start, stop)):
            columns[:, tap] = image[cut]
        product = matrix @ columns.reshape(group, -1, math.prod(out))
        y[:, start:stop] = product.reshape(weight.shape[0], *out)


def conv_transpose(call: Call, inputs: Inputs) -> Outputs:
    """Transposed convolution of ``x [N, C, *S]`` with ``W [C, M/group, *K]``."""
    x, weight, bias = present(inputs, 0), present(inputs, 1), optional(inputs, 2)
    group = int(call.get("group", 1))
    rank = x.ndim - 2
    batch, channels, size = x.shape[0], x.shape[1], x.shape[2:]
    kernel, filters = weight.shape[2:], weight.shape[1]
    whole = transposed_windows(call, size, kernel)
    head, out = whole.head, whole.out
    full = tuple(
        (n - 1) * stride + (k - 1) * d + 1
        for n, stride, k, d in zip(size, whole.strides, kernel, whole.dilations, strict=True)
    )
    room = tuple(max(f, h + o) for f, h, o in zip(full, head, out, strict=True))
    y = np.zeros((batch, group, filters, *room), dtype=x.dtype)
    flat = x.reshape(batch, group, channels // group, -1)
    place = Windows(kernel, whole.strides, whole.dilations, head, head, size, size)
    split = weight.reshape(group, channels // group, filters, *kernel)
    for at, cut in place.taps():
        tap = split[at].transpose(0, 2, 1)
        y[cut] += (tap @ flat).reshape(batch, group, filters, *size)
    y = y.reshape(batch, group * filters, *room)
    kept: Any = (..., *(slice(h, h + o) for h, o in zip(head, out, strict=True)))
    y = y[kept]
    if bias is not None:
        y = y + bias.reshape(-1, *(1,) * rank)
    return (np.ascontiguousarray(y),)


def transposed_windows(call: Call, size: Sequence[int], kernel: Sequence[int]) -> Windows:
    """The windows of a ConvTranspose: what each element of its input is spread over.

    Args:
        call: node with the attributes of a ConvTranspose.
        size: spatial sizes of the input.
        kernel: spatial sizes of the kernel.

    Returns:
        Windows of which ``out`` are the spatial sizes of the output, and ``head`` what is cut off
        in front of it.
    """
    rank = len(size)
    strides = tuple(call.get("strides") or (1,) * rank)
    dilations = tuple(call.get("dilations") or (1,) * rank)
    full = tuple(
        (s - 1) * stride + (k - 1) * d + 1
        for s, stride, k, d in zip(size, strides, kernel, dilations, strict=True)
    )
    extra = tuple(call.get("output_padding") or (0,) * rank)
    head, out = _transposed_crop(call, tuple(size), strides, full, extra)
    return Windows(tuple(kernel), strides, dilations, head, head, out, tuple(size))


def _transposed_crop(
    call: Call,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    full: tuple[int, ...],
    extra: tuple[int, ...],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What is cut off the front of each axis, and how much of it is kept."""
    rank = len(size)
    auto_pad = call.get("auto_pad", "NOTSET")
    wanted = call.get("output_shape")
    if wanted is not None:
        wanted = tuple(wanted)[-rank:]
    elif auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        wanted = tuple(min(size[i] * strides[i], full[i] + extra[i]) for i in range(rank))
    if wanted is None:
        pads = (0,) * (2 * rank) if auto_pad == "VALID" else call.get("pads") or (0,) * (2 * rank)
        out = tuple(full[i] + extra[i] - pads[i] - pads[i + rank] for i in range(rank))
        return tuple(pads[:rank]), out
    total = [max(0, full[i] + extra[i] - wanted[i]) for i in range(rank)]
    head = tuple(t // 2 if auto_pad == "SAME_UPPER" else t - t // 2 for t in total)
    return head, wanted
