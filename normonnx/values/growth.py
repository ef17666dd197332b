"""How large a constant can become that is worked out of small ones."""

from __future__ import annotations

import math

import onnx_ir as ir

from normonnx.operators.kernels import Array
from normonnx.operators.names import onnx_name


def largest_result(node: ir.Node, inputs: list[Array]) -> int:
    """An upper bound of the result's size where an operator can blow a small input up, in bytes."""
    name = onnx_name(node)
    if name == "ConstantOfShape":
        return 8 * math.prod(int(d) for d in inputs[0].reshape(-1))
    if name == "Expand":
        return inputs[0].itemsize * inputs[0].size * math.prod(int(d) for d in inputs[1].ravel())
    if name == "Tile":
        return inputs[0].nbytes * math.prod(int(d) for d in inputs[1].ravel())
    if name == "Range":
        start, limit, delta = (float(array.reshape(-1)[0]) for array in inputs)
        return 8 * int(max(0.0, (limit - start) / delta)) if delta else 0
    return 0
