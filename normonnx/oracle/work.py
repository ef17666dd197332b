"""How much work an evaluation is, counted in multiplications: the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from normonnx.operators.names import MICROSOFT, ONNX, onnx_name

_PRODUCTS = {
    *((ONNX, name) for name in ("MatMul", "MatMulInteger", "Gemm")),
    *((ONNX, name) for name in ("Conv", "ConvInteger", "ConvTranspose")),
    *((MICROSOFT, name) for name in ("FusedConv", "FusedMatMul")),
}
_RECURRENT = frozenset(("LSTM", "GRU", "RNN"))


def multiplications(node: ir.Node, inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """An estimate of the multiplications of one node, one per output element by default."""
    size = sum(getattr(a, "size", 0) for a in outputs)
    if terms := terms_of(node, inputs):
        return size * terms
    if onnx_name(node) == "Einsum":
        return max(size, _letters(node, inputs))
    if onnx_name(node) in _RECURRENT and len(inputs) > 2:
        steps = math.prod(inputs[0].shape[:2])
        return int(steps * (inputs[1].size + inputs[2].size))
    return size


def terms_of(node: ir.Node, inputs: Sequence[Any]) -> int:
    """How many products each element of a node's output is the sum of; 0 where it is no such."""
    if (node.domain, node.op_type) not in _PRODUCTS or len(inputs) < 2 or inputs[0] is None:
        return 0
    return _inner(node.op_type, inputs[0].shape, inputs[1].shape)


def _inner(op_type: str, x: Sequence[int], weight: Sequence[int]) -> int:
    """Multiplications per output element."""
    if op_type in ("Conv", "ConvInteger", "FusedConv"):
        return math.prod(weight[1:])
    if op_type == "ConvTranspose":
        return math.prod(weight) // max(1, weight[1])
    return x[-1] if x else 1


def _letters(node: ir.Node, inputs: Sequence[Any]) -> int:
    """The product of all dimensions that an equation names."""
    equation = node.attributes["equation"].as_string().replace(" ", "").partition("->")[0]
    extents: dict[str, int] = {}
    for labels, array in zip(equation.split(","), inputs, strict=False):
        if "." not in labels and array is not None:
            extents.update(zip(labels, array.shape, strict=False))
    return math.prod(extents.values())
