"""MaxRoiPool: the largest element of each cell of a grid over regions of a picture."""

from __future__ import annotations

import math

import numpy as np

from normonnx.operators.kernels.call import Call, Inputs, Outputs, present


def max_roi_pool(call: Call, inputs: Inputs) -> Outputs:
    """``X [N, C, H, W]``, ``rois [R, 5]`` (picture, x1, y1, x2, y2) → ``[R, C, *pooled_shape]``.

    Corners are scaled and rounded to pixels, both ends included. Cells without a pixel give 0.
    """
    x, regions = present(inputs, 0), present(inputs, 1)
    pooled, scale = call.get("pooled_shape"), float(call.get("spatial_scale", 1.0))
    y = np.zeros((len(regions), x.shape[1], *pooled), dtype=x.dtype)
    for number, (picture, *corners) in enumerate(regions):
        left, top, right, bottom = (_rounded(float(c) * scale) for c in corners)
        rows = _cells(top, bottom, pooled[0], x.shape[2])
        columns = _cells(left, right, pooled[1], x.shape[3])
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                cell = x[int(picture), :, row, column]
                if cell.size:
                    y[number, :, i, j] = cell.max(axis=(1, 2))
    return (y,)


def _rounded(position: float) -> int:
    """To the nearest pixel, halves away from zero."""
    return int(math.copysign(math.floor(abs(position) + 0.5), position))


def _cells(first: int, last: int, count: int, size: int) -> list[slice]:
    """The pixels of each of so many cells from the first to the last, within the picture."""
    step = max(last - first + 1, 1) / count
    ends = ((math.floor(i * step), math.ceil((i + 1) * step)) for i in range(count))
    return [slice(*(min(max(e + first, 0), size) for e in pair)) for pair in ends]
