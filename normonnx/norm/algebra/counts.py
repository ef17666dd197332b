"""Sums times a stored 1/N: the constants that make a mean of a sum.

    k·Σx over N elements,  k = float32(1/N)

Unless N is a power of two, k is not 1/N but off by its rounding, and so is everything that is
called a mean here: x − k·Σx is centred but for 6e-8 of the mean, and in real arithmetic no norm.
Such a constant is read as the 1/N that was rounded, where it can be nothing else: the stored number
is 1/N rounded once and the reciprocal of no other count, and all that it is ever multiplied with is
a sum over N elements, or becomes one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import onnx_ir as ir

from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context
from normonnx.values.shapes import attribute_int, axes_of, normalized

_SUMS = frozenset({"ReduceSum", "ReduceSumSquare"})
_SAME_NUMBERS = frozenset({"Cast", "CastLike", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
PRODUCTS = frozenset({"Conv", "Einsum", "MatMul"})
"""Operators that multiply and add up at once."""

_MAX_STEPS = 8


def count_behind(context: Context, value: ir.Value) -> int | None:
    """The N of a constant that is to be read as 1/N; None where it is what is stored.

    Args:
        context: of the run.
        value: a constant that holds one number everywhere.
    """
    if (
        value in context.widely_read
        or value.name in context.constants.exact
        or str(value.name) in context.ambiguous
    ):
        return None
    if not _is_stored(value) or value.is_graph_output():
        return None
    array = context.constants.array(value)
    if array is None or array.dtype != np.float32 or not array.size:
        return None
    count = rounded_reciprocal(array.reshape(-1)[0])
    if count is None:
        return None
    uses = value.uses()
    is_mean = all(_is_mean(context, use.node, use.idx, count) for use in uses)
    return count if uses and is_mean else None


def rounded_reciprocal(number: np.float32) -> int | None:
    """The only N of which this is 1/N after one rounding; None where there is none, or it is 1/N.

    Args:
        number: as it is stored.
    """
    if not 0 < number < 1:
        return None
    count = round(1 / float(number))
    if float(number) == 1 / count or np.float32(1 / count) != number:
        return None
    others = (count - 1, count + 1)
    return None if any(np.float32(1 / n) == number for n in others) else count


def read_along(
    context: Context, outputs: Iterable[ir.Value], inputs: frozenset[ir.Value]
) -> Iterator[tuple[ir.Value, int]]:
    """The constants between inputs and outputs that are read as 1/N, each with its N."""
    pending = list(outputs)
    seen = set(inputs)
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        if context.constants.is_constant(value):
            count = count_behind(context, value)
            if count is not None:
                yield value, count
            continue
        producer = value.producer()
        if producer is not None:
            pending.extend(v for v in producer.inputs if v is not None)


def _is_stored(value: ir.Value) -> bool:
    producer = value.producer()
    return producer is None or onnx_name(producer) == "Constant"


def _is_mean(context: Context, node: ir.Node, index: int, count: int) -> bool:
    """Whether the constant is there multiplied with a sum over so many elements."""
    if node.domain != "" or len(node.inputs) != 2:
        return False
    if node.op_type in PRODUCTS:
        return _added_up(context, node, index) == count
    if node.op_type != "Mul":
        return False
    other = node.inputs[1 - index]
    return _summed(context, other) == count or _is_summed_next(context, node.outputs[0], count)


def _added_up(context: Context, node: ir.Node, index: int) -> int | None:
    """How many products with the constant each element of the result adds up, if it is known."""
    dims = context.shapes.dims(node.inputs[index])
    if not dims:
        return None
    if node.op_type == "MatMul":
        summed = [dims[-2 if len(dims) > 1 else 0]] if index == 1 else []
    elif node.op_type == "Conv":
        summed = list(dims[1:]) if index == 1 else []
    else:
        before, _, result = node.attributes["equation"].as_string().replace(" ", "").partition("->")
        term = before.split(",")[index]
        summed = [dim for letter, dim in zip(term, dims, strict=False) if letter not in result]
    static = [dim for dim in summed if isinstance(dim, int)]
    return math.prod(static) if summed and len(static) == len(summed) else None


def _summed(context: Context, value: ir.Value | None) -> int | None:
    """Of how many elements each element of a value is the sum, or None if it is none."""
    for _ in range(_MAX_STEPS):
        node = None if value is None else value.producer()
        if node is None or node.domain != "":
            return None
        if node.op_type in _SUMS:
            return _elements(context, node)
        if node.op_type == "MatMul":
            return _ones(context, node)
        if node.op_type not in _SAME_NUMBERS:
            return None
        value = node.inputs[0]
    return None


def _ones(context: Context, node: ir.Node) -> int | None:
    """How many elements a product with a constant matrix of ones adds up, or None."""
    ones = context.constants.array(node.inputs[1])
    if ones is None or not ones.size or not (ones == 1).all():
        return None
    return int(ones.shape[-2 if ones.ndim > 1 else 0])


def _is_summed_next(context: Context, value: ir.Value, count: int) -> bool:
    """Whether all that is done with a value is to sum so many elements of it each."""
    pending = [value]
    for value in pending:
        nodes = value.consumers()
        if not nodes or value.is_graph_output() or len(pending) > _MAX_STEPS:
            return False
        for node in nodes:
            if node.domain != "" or node.inputs[0] is not value:
                return False
            if node.op_type in _SAME_NUMBERS:
                pending.append(node.outputs[0])
            elif node.op_type != "ReduceSum" or _elements(context, node) != count:
                return False
    return True


def _elements(context: Context, node: ir.Node) -> int | None:
    """How many elements a reduction puts together, if that is static."""
    dims = context.shapes.dims(node.inputs[0])
    axes = axes_of(node, context.shapes)
    if dims is None or (axes is None and len(node.inputs) > 1 and node.inputs[1] is not None):
        return None
    if not axes:
        if attribute_int(node, "noop_with_empty_axes", 0):
            return None
        axes = tuple(range(len(dims)))
    reduced = [dims[normalized(axis, len(dims))] for axis in axes]
    static = [dim for dim in reduced if isinstance(dim, int)]
    return math.prod(static) if len(static) == len(reduced) else None
