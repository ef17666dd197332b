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

from normonnx.operators.attributes import attribute_int, attribute_ints
from normonnx.operators.kernels.call import Array, Call
from normonnx.operators.kernels.convolution import transposed_windows
from normonnx.operators.kernels.windows import windows
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of

FILTERS = frozenset({"Conv", "ConvTranspose"})
"""Operators whose second input has channels along two axes and is a kernel along the others."""


def are_independent(
    nodes: Iterable[ir.Node],
    constants: Mapping[ir.Value, Array],
    inputs: Mapping[ir.Value, Array],
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
        if not _keeps_rows_apart(node, constants, values, rank):
            return False
        values.add(node.outputs[0])
    return True


def _keeps_rows_apart(
    node: ir.Node, constants: Mapping[ir.Value, Array], values: set[ir.Value], rank: int
) -> bool:
    """Whether a row of the output depends on the same row of those of `values` that it reads."""
    read = [value for value in node.inputs if value is not None]
    moving = [value for value in read if value in values]
    fixed = [constants[value] for value in read if value in constants]
    if not moving or len(moving) + len(fixed) < len(read) or len(node.outputs) > 1:
        return False
    facts = facts_of(node)
    if facts.elementwise:
        return all(_is_the_same_for_all(array, rank) for array in fixed)
    if not facts.batched or len(moving) > 1 or moving[0] is not node.inputs[0]:
        return False
    return _has_plain_weights(node, fixed, rank)


def _has_plain_weights(node: ir.Node, weights: Sequence[Array], rank: int) -> bool:
    """Whether the weights of a batched operator belong to no row, and none is taken as another."""
    name = onnx_name(node)
    if name == "BatchNormalization":
        return not attribute_int(node, "training_mode", 0) and len(weights) == 4
    if name == "MatMul":
        return weights[0].ndim == 2
    if name == "Gemm":
        same = all(_is_the_same_for_all(array, rank) for array in weights[1:])
        return same and not attribute_int(node, "transA", 0)
    return True


def _is_the_same_for_all(array: Array, rank: int) -> bool:
    return array.ndim < rank or (array.ndim == rank and array.shape[0] == 1)


def is_affine(nodes: Iterable[ir.Node], constants: Mapping[ir.Value, Array]) -> bool:
    """Whether every output is a constant linear map of the inputs plus a constant.

    Args:
        nodes: all of them.
        constants: what they read that is constant.
    """
    return all(_is_affine(node, constants) for node in nodes)


def _is_affine(node: ir.Node, constants: Mapping[ir.Value, Array]) -> bool:
    moving = [i for i, v in enumerate(node.inputs) if v is not None and v not in constants]
    facts = facts_of(node)
    if len(node.outputs) > 1 or not facts.linear_in:
        return False
    if not all(index in facts.linear_in for index in moving):
        return False
    if onnx_name(node) == "BatchNormalization" and attribute_int(node, "training_mode", 0):
        return False
    return facts.linear_jointly or len(moving) <= 1


def is_local(nodes: Iterable[ir.Node]) -> bool:
    """Whether each element of an output comes from what a kernel spans, or from an average."""
    return all(facts.elementwise or facts.batched for facts in map(facts_of, nodes))


def reach(node: ir.Node) -> int:
    """How many elements along each axis a node has to read for all of its kernel to count.

    For a convolution they hold a window that lies inside, with no padding:
    (k − 1)·dilation + 1, and what the stride leaves over in front of it.
    """
    sizes = _kernel_of(node)
    steps = attribute_ints(node, "dilations") or (1,) * len(sizes)
    spans = [(k - 1) * step + 1 for k, step in zip(sizes, steps, strict=False)]
    if onnx_name(node) in FILTERS:
        spans = _spans_inside(node, spans)
    return max(spans, default=1)


def _spans_inside(node: ir.Node, spans: Sequence[int]) -> list[int]:
    """The input along each axis of a convolution that holds a window without padding."""
    axes = len(spans)
    strides = [max(1, s) for s in attribute_ints(node, "strides") or (1,) * axes]
    pads = attribute_ints(node, "pads") or (0,) * (2 * axes)
    ends = list(zip(spans, strides, pads, pads[axes:], strict=False))
    if onnx_name(node) == "Conv":
        return [span + -head % stride for span, stride, head, _ in ends]
    return [1 + max(-(-head // stride), -(-tail // stride)) for _, stride, head, tail in ends]


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
    if not sizes and onnx_name(node) in FILTERS and node.inputs[1] is not None:
        shape = node.inputs[1].shape
        return tuple(dim for dim in (shape or ())[2:] if isinstance(dim, int))
    return tuple(sizes or ())
