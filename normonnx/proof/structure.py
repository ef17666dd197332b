"""What the operators of a piece of a graph tell of it, and what a certificate may spare for that.

If its rows, along the first axis, have nothing to do with each other, inputs stacked along that
axis give the outputs stacked along it, and its weights are read once for all the inputs that are
tried. If it is affine in what it reads, inputs of every size tell the same. If none of its
operators looks further than its kernel does, its inputs need not be larger than that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from normonnx.operators.kernels.call import Call
from normonnx.operators.kernels.convolution import transposed_windows
from normonnx.operators.kernels.windows import windows
from normonnx.values.shapes import attribute_int, attribute_ints

FILTERS = frozenset({"Conv", "ConvTranspose"})
"""Operators whose second input has channels along two axes and is a kernel along the others."""

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

_LOCAL = _ELEMENTWISE | _LAYERS

_AFFINE = frozenset(
    """Add AveragePool BatchNormalization Conv ConvTranspose Div Gemm GlobalAveragePool Identity
    MatMul Mul Neg Sub Sum""".split()
)
"""Operators that are affine in each input, and if they multiply, in no two at a time."""

_SUMS = frozenset({"Add", "Sub", "Sum"})


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


def is_affine(nodes: Iterable[ir.Node], constants: Mapping[ir.Value, np.ndarray]) -> bool:
    """Whether every output is a constant linear map of the inputs plus a constant.

    Args:
        nodes: all of them.
        constants: what they read that is constant.
    """
    for node in nodes:
        moving = [i for i, v in enumerate(node.inputs) if v is not None and v not in constants]
        if node.domain or len(node.outputs) > 1 or node.op_type not in _AFFINE:
            return False
        if node.op_type in _SUMS:
            continue
        if len(moving) > 1 or (node.op_type == "Div" and moving == [1]):
            return False
        if node.op_type == "BatchNormalization" and (
            moving != [0] or attribute_int(node, "training_mode", 0)
        ):
            return False
    return True


def is_local(nodes: Iterable[ir.Node]) -> bool:
    """Whether each element of an output comes from what a kernel spans, or from an average."""
    return all(not n.domain and n.op_type in _LOCAL for n in nodes)


def reach(node: ir.Node) -> int:
    """How many elements along each axis a node has to read for all of its kernel to count.

    For a convolution they hold a window that lies inside, with no padding:
    (k − 1)·dilation + 1, and what the stride leaves over in front of it.
    """
    sizes = _kernel_of(node)
    steps = attribute_ints(node, "dilations") or (1,) * len(sizes)
    spans = [(k - 1) * step + 1 for k, step in zip(sizes, steps, strict=False)]
    if not node.domain and node.op_type in FILTERS:
        strides = [max(1, s) for s in attribute_ints(node, "strides") or (1,) * len(sizes)]
        pads = attribute_ints(node, "pads") or (0,) * (2 * len(sizes))
        ends = list(zip(spans, strides, pads, pads[len(sizes) :], strict=False))
        if node.op_type == "Conv":
            spans = [span + -head % stride for span, stride, head, _ in ends]
        else:
            spans = [
                1 + max(-(-head // stride), -(-tail // stride)) for _, stride, head, tail in ends
            ]
    return max(spans, default=1)


def counts_wholly(node: ir.Node, size: Sequence[int], kernel: Sequence[int]) -> bool:
    """Whether each element of the kernel of a convolution meets an element of its input.

    Args:
        node: Conv or ConvTranspose.
        size: spatial sizes of the input.
        kernel: spatial sizes of the kernel.
    """
    attributes = {name: a.value for name, a in node.attributes.items() if not a.is_ref()}
    call = Call(node.op_type, 1, attributes)
    slid = node.op_type == "Conv"
    place = (windows if slid else transposed_windows)(call, size, kernel)
    axes = zip(size, kernel, place.out, place.strides, place.dilations, place.head, strict=True)
    for inside, taps, outside, stride, step, head in axes:
        count, limit = (outside, inside) if slid else (inside, outside)
        for tap in range(taps):
            if not any(0 <= i * stride + tap * step - head < limit for i in range(count)):
                return False
    return True


def _kernel_of(node: ir.Node) -> tuple[int, ...]:
    sizes = attribute_ints(node, "kernel_shape")
    if not sizes and node.op_type in FILTERS and node.inputs[1] is not None:
        shape = node.inputs[1].shape
        return tuple(dim for dim in (shape or ())[2:] if isinstance(dim, int))
    return tuple(sizes or ())
