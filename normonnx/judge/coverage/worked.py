"""Small constants that a model computes: another tool may have stored them instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx_ir as ir

from normonnx.judge.alignment import constant_tensor
from normonnx.operators.kernels import Array
from normonnx.operators.table import facts_of, is_deterministic
from normonnx.oracle.planner import compute

_MOST = 1 << 16
"""Elements that an operand may have, and that the numbers in one may ask for."""
_SIZES = 8
"""Whole numbers up to so many may be the sizes of a result."""


def worked_out(model: ir.Model) -> Iterator[tuple[ir.Value, Array]]:
    """What the main graph computes from small constants and fixed sizes of its inputs."""
    opsets = dict(model.opset_imports)
    found: dict[ir.Value, Array] = {}
    for node in model.graph:
        if constant_tensor(node) is not None:
            continue
        inputs = _operands(node, found)
        for value, array in zip(node.outputs, _computed(node, inputs, opsets), strict=False):
            found[value] = array
            yield value, array


def _operands(node: ir.Node, found: dict[ir.Value, Array]) -> list[Array | None] | None:
    """The inputs of a node, None where one of them is no small constant."""
    if facts_of(node).reads_shape_only:
        return _sized(node.inputs[0])
    inputs = [None if v is None else _constant(v, found) for v in node.inputs]
    absent = [v is None for v in node.inputs]
    known = all(a is not None or out for a, out in zip(inputs, absent, strict=True))
    return inputs if known and any(a is not None for a in inputs) else None


def _sized(value: ir.Value | None) -> list[Array | None] | None:
    """Something of the sizes of an input of the model, if they are fixed."""
    if value is None or not value.is_graph_input() or value.shape is None:
        return None
    sizes = [dim if isinstance(dim, int) else -1 for dim in value.shape]
    return None if min(sizes, default=0) < 0 else [np.broadcast_to(np.float32(0), sizes)]


def _constant(value: ir.Value, found: dict[ir.Value, Array]) -> Array | None:
    if value in found:
        return found[value]
    producer = value.producer()
    tensor = value.const_value if producer is None else constant_tensor(producer)
    if tensor is None or tensor.dtype == ir.DataType.STRING or tensor.size > _MOST:
        return None
    return np.asarray(tensor.numpy())


def _computed(
    node: ir.Node, inputs: Sequence[Array | None] | None, opsets: dict[str, int]
) -> list[Array]:
    if inputs is None or not is_deterministic(node) or any(map(_asks_for_much, inputs)):
        return []
    try:
        made = compute(node, list(inputs), opsets)
    except Exception:  # whatever keeps a kernel from it, it is no constant then
        return []
    return [np.asarray(a) for a in made if isinstance(a, np.ndarray | np.generic)]


def _asks_for_much(array: Array | None) -> bool:
    if array is None or array.dtype.kind not in "iu" or array.size > _SIZES:
        return False
    return bool(np.prod(np.maximum(np.abs(array.astype(np.float64)), 1)) > _MOST)
