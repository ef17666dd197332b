"""Whether the rows of a piece of a graph, along the first axis, have nothing to do with each other.

If so, inputs stacked along that axis give the outputs stacked along it, and a certificate reads its
weights once for all the inputs that it tries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx_ir as ir

from normonnx.shapes import attribute_int

_ELEMENTWISE = frozenset(
    """Abs Add Clip Div Elu Erf Exp HardSigmoid HardSwish Identity LeakyRelu Log Max Min Mul Neg
    Pow PRelu Reciprocal Relu Selu Sigmoid Softplus Softsign Sqrt Sub Sum Tanh""".split()
)
"""Operators on any number of values and constants that broadcast against each other."""

_LAYERS = frozenset(
    """AveragePool BatchNormalization Conv ConvTranspose Gemm GlobalAveragePool GlobalMaxPool
    MatMul MaxPool""".split()
)
"""Operators on one value, their first input, whose further inputs are constants."""


def are_independent(
    nodes: Iterable[ir.Node],
    constants: Mapping[ir.Value, np.ndarray],
    inputs: Mapping[ir.Value, np.ndarray],
) -> bool:
    """Whether every row of every output comes from the same row of the inputs alone.

    Args:
        nodes: in order.
        constants: what they read that is constant.
        inputs: what they read else.
    """
    shapes = [array.shape for array in inputs.values()]
    if not shapes or any(array.dtype != np.float64 for array in inputs.values()):
        return False
    rank = len(shapes[0])
    if rank < 2 or any(len(shape) != rank or shape[0] != shapes[0][0] for shape in shapes):
        return False
    # Each operator below makes a value of the rank, and of the rows, of the values that it reads.
    values = set(inputs)
    for node in nodes:
        read = [value for value in node.inputs if value is not None]
        if node.domain or len(node.outputs) > 1 or not read:
            return False
        moving = [value for value in read if value in values]
        fixed = [constants[value] for value in read if value in constants]
        if len(moving) + len(fixed) < len(read) or not moving:
            return False
        if node.op_type in _ELEMENTWISE:
            if not all(_is_the_same_for_all(array, rank) for array in fixed):
                return False
        elif node.op_type not in _LAYERS or len(moving) > 1 or moving[0] is not node.inputs[0]:
            return False
        elif node.op_type == "BatchNormalization":
            if attribute_int(node, "training_mode", 0) or len(fixed) != 4:
                return False
        elif node.op_type == "MatMul":
            if fixed[0].ndim != 2:
                return False
        elif node.op_type == "Gemm" and (
            attribute_int(node, "transA", 0)
            or not all(_is_the_same_for_all(array, rank) for array in fixed[1:])
        ):
            return False
        values.add(node.outputs[0])
    return True


def _is_the_same_for_all(array: np.ndarray, rank: int) -> bool:
    return array.ndim < rank or (array.ndim == rank and array.shape[0] == 1)
