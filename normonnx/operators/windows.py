"""Extents of what a window slides over."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.graph.dims import Dim, Dims
from normonnx.operators.attributes import attribute_int, attribute_ints


def window_extents(node: ir.Node, source: Dims, kernel: Dims) -> Dims | None:
    """Extents of what a window of this kernel slides over, None where one is no number.

    ⌊(in + pads − dilation·(kernel − 1) − 1) / stride⌋ + 1, padded to be the same ⌈in / stride⌉.
    A window that may begin in the padding (ceil_mode) is left to onnx's inference.
    """
    spatial = len(kernel)
    auto_pad = node.attributes.get("auto_pad")
    mode = "NOTSET" if auto_pad is None else auto_pad.as_string()
    pads = attribute_ints(node, "pads") or (0,) * (2 * spatial)
    strides = attribute_ints(node, "strides") or (1,) * spatial
    dilations = attribute_ints(node, "dilations") or (1,) * spatial
    if attribute_int(node, "ceil_mode", 0) or len(source) != spatial + 2:
        return None
    result: list[Dim] = []
    for axis in range(spatial):
        extent, size = source[2 + axis], kernel[axis]
        if not isinstance(extent, int) or not isinstance(size, int):
            return None
        if mode.startswith("SAME"):
            result.append(-(-extent // strides[axis]))
            continue
        around = 0 if mode == "VALID" else pads[axis] + pads[axis + spatial]
        room = extent + around - dilations[axis] * (size - 1) - 1
        result.append(room // strides[axis] + 1)
    return tuple(result)
