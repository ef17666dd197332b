"""The geometry that convolutions and poolings share: strides, dilations, pads, output sizes.

out = ⌊(in + pad_head + pad_tail − span) / stride⌋ + 1,      span = (kernel − 1)·dilation + 1
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from normonnx.operators.kernels.call import Array, Call


class Windows(Struct, frozen=True):
    """Where the windows of a sliding operator lie, one entry per spatial axis.

    Attributes:
        kernel: size of the window.
        strides: step between windows.
        dilations: step within a window.
        head: elements of padding before the first.
        tail: elements of padding after the last, as the operator declares it.
        out: number of windows.
        size: number of input elements.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    head: tuple[int, ...]
    tail: tuple[int, ...]
    out: tuple[int, ...]
    size: tuple[int, ...]

    @property
    def reach(self) -> tuple[int, ...]:
        """Elements that the windows reach over, from the first padded one."""
        return tuple(
            (o - 1) * s + (k - 1) * d + 1
            for o, s, k, d in zip(self.out, self.strides, self.kernel, self.dilations, strict=True)
        )

    def padded(self, x: Array, fill: float) -> Array:
        """The spatial axes of ``x`` (its last ones) with padding up to what the windows reach.

        A window of ceil mode may reach beyond the declared padding, and the last elements of the
        input may be reached by no window: both are evened out here.
        """
        if not any(self.head) and self.reach == self.size:
            return x
        lead = x.ndim - len(self.size)
        result = np.full(x.shape[:lead] + self.reach, fill, dtype=x.dtype)
        source: list[Any] = [...]
        target: list[Any] = [...]
        for head, size, reach in zip(self.head, self.size, self.reach, strict=True):
            count = max(0, min(size, reach - head))
            source.append(slice(0, count))
            target.append(slice(head, head + count))
        result[tuple(target)] = x[tuple(source)]
        return result

    def taps(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[Any, Any]]:
        """Each position of the kernel with the elements of the padded input that it meets.

        Args:
            start: first output along the first spatial axis.
            stop: end of the outputs along the first spatial axis.

        Yields:
            An index into the last axes of the weight, and one into those of the padded input.
        """
        ranges = [(start, self.out[0] if stop is None else stop), *((0, o) for o in self.out[1:])]
        for at in itertools.product(*(range(k) for k in self.kernel)):
            yield (
                (..., *at),
                (
                    ...,
                    *(
                        slice(p * d + first * s, p * d + (last - 1) * s + 1, s)
                        for p, d, s, (first, last) in zip(
                            at, self.dilations, self.strides, ranges, strict=True
                        )
                    ),
                ),
            )


def windows(call: Call, size: Sequence[int], kernel: Sequence[int]) -> Windows:
    """The windows of a Conv or of a pooling over an input of these spatial sizes.

    Args:
        call: node with the attributes auto_pad, strides, dilations, pads, ceil_mode.
        size: spatial sizes of the input.
        kernel: spatial sizes of the kernel.
    """
    rank = len(size)
    strides = tuple(call.get("strides") or (1,) * rank)
    dilations = tuple(call.get("dilations") or (1,) * rank)
    pads = tuple(call.get("pads") or (0,) * (2 * rank))
    auto_pad = call.get("auto_pad", "NOTSET")
    ceil_mode = bool(call.get("ceil_mode", 0))
    head, tail, out = [], [], []
    for axis in range(rank):
        span = (kernel[axis] - 1) * dilations[axis] + 1
        stride = strides[axis]
        if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            count = math.ceil(size[axis] / stride)
            first, last = _same(size[axis], count, stride, span, upper=auto_pad == "SAME_UPPER")
        else:
            first, last = (0, 0) if auto_pad == "VALID" else (pads[axis], pads[axis + rank])
            count = _fitting(size[axis] + first, last - span, stride, ceil_mode=ceil_mode)
        head.append(first)
        tail.append(last)
        out.append(max(0, count))
    return Windows(
        tuple(kernel), strides, dilations, tuple(head), tuple(tail), tuple(out), tuple(size)
    )


def _same(size: int, count: int, stride: int, span: int, *, upper: bool) -> tuple[int, int]:
    """The padding before and behind that `count` windows need, the odd element at one end."""
    total = max(0, (count - 1) * stride + span - size)
    first = total // 2 if upper else total - total // 2
    return first, total - first


def _fitting(begun: int, rest: int, stride: int, *, ceil_mode: bool) -> int:
    """How many windows there are.

    Args:
        begun: elements in which a window may begin: the input and the padding before it.
        rest: the padding behind, less the span of a window.
        stride: step between windows.
        ceil_mode: whether the last window may reach beyond the padding.
    """
    room = begun + rest
    if not ceil_mode:
        return room // stride + 1
    count = math.ceil(room / stride) + 1
    # A window that would start in the padding behind the input does not count.
    return count - 1 if (count - 1) * stride >= begun else count
