"""What a node gives that is run alone, on random numbers where its inputs are not known."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.operators.names import ONNX
from normonnx.ops.operators import DOMAIN
from normonnx.oracle.calls import resolved
from normonnx.oracle.planner import compute
from normonnx.sizes.foreign import outputs_alone, tensor_of
from normonnx.sizes.node import Call
from normonnx.sizes.tensor import ContradictionError, Tensor, Tensors

Array = np.ndarray[Any, Any]

_MOST_ELEMENTS = 1 << 22
"""Elements that a node may read and still be run."""


def run_on_stand_ins(
    node: ir.Node,
    inputs: Tensors,
    contents: Callable[[ir.Value | None], Array | None],
    opsets: Mapping[str, int],
    bound: Mapping[str, ir.Attr],
) -> Sequence[Tensor | None]:
    """What each output of a node is, None for one that is not known.

    Args:
        node: without subgraphs.
        inputs: what it reads, None for an input that is absent or not known.
        contents: the elements of a small value that follow from constants and shapes.
        opsets: operator set version by domain.
        bound: what a function that it is in is called with.

    Raises:
        ContradictionError: if it reads too much to be run, constants aside.
    """
    unknown: list[Tensor | None] = [None] * len(node.outputs)
    read = {v: t for v, t in zip(node.inputs, inputs, strict=True) if v is not None}
    if None in read.values():
        return unknown
    sizes = {value: tensor.size for value, tensor in read.items() if tensor is not None}
    if sum(sizes.values()) > _MOST_ELEMENTS:
        if sum(size for v, size in sizes.items() if v.const_value is None) > _MOST_ELEMENTS:
            raise ContradictionError(f"{node.op_type} '{node.name}' reads too much to be run")
        return unknown
    arrays = {
        index: _stand_in(node, value, tensor, contents)
        for index, (value, tensor) in enumerate(zip(node.inputs, inputs, strict=True))
        if value is not None and tensor is not None
    }
    if node.domain not in (ONNX, DOMAIN):
        version = opsets.get(node.domain, 1)
        attributes = resolved(node, bound)
        return outputs_alone(
            Call.of(node, inputs, arrays, version, attributes, elements_count=False)
        )
    try:
        with np.errstate(all="ignore"):
            given = [arrays.get(index) for index in range(len(node.inputs))]
            return [tensor_of(array) for array in compute(node, given, opsets, bound=bound)]
    except Exception:  # of whatever kind: it cannot be walked
        return unknown


def _stand_in(
    node: ir.Node,
    value: ir.Value,
    tensor: Tensor,
    contents: Callable[[ir.Value | None], Array | None],
) -> Array:
    array = contents(value)
    if array is not None:
        return array
    if value.const_value is not None:
        return np.asarray(value.const_value.numpy())
    rng = np.random.default_rng(zlib.crc32(f"{node.name}:{value.name}".encode()))
    if tensor.dtype.is_floating_point():
        return rng.standard_normal(tensor.shape).astype(tensor.dtype.numpy())
    return rng.integers(0, 2, tensor.shape).astype(tensor.dtype.numpy())
