"""What a root is computed from, and which values every way to it passes.

Whatever the subject of a norm is, all that the root depends on but constants comes from it. So it
is one of the values that dominate the root, however its mean is spelled and subtracted.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from normonnx.norm.algebra.counts import PRODUCTS
from normonnx.norm.algebra.rules import PART_RULES, RULES
from normonnx.norm.algebra.rules.clamps import COMPARISONS
from normonnx.rewrite import Context
from normonnx.values.constants import is_float

_MAX_VALUES = 40

_FEW = 4

_FOLLOWED = frozenset({*RULES, *PART_RULES, "CumSum"})
"""The operators of the algebra; the rule of Gather looks through a CumSum."""


def passed_by_all(context: Context, root: ir.Node) -> list[ir.Value]:
    """The values that every way from the data to a root passes, the nearest first.

    Only ways through operators of the algebra count; where two of them begin apart, what is
    before them is not looked at.
    """
    operands: dict[ir.Value, list[ir.Value]] = {}
    order = _sources_first(context, root, operands)
    open_ways = {root.outputs[0]}
    passed: list[ir.Value] = []
    for value in reversed(order):
        open_ways.discard(value)
        if not open_ways and value is not root.outputs[0]:
            passed.append(value)
        if open_ways and not operands[value]:
            break
        open_ways.update(operands[value])
    return passed


def _sources_first(
    context: Context, root: ir.Node, operands: dict[ir.Value, list[ir.Value]]
) -> list[ir.Value]:
    """The values that a root is computed from, each behind its operands, which are noted."""
    order: list[ir.Value] = []
    pending: list[tuple[ir.Value, bool]] = [(root.outputs[0], False)]
    while pending:
        value, done = pending.pop()
        if done:
            order.append(value)
        elif value not in operands:
            known = len(operands) < _MAX_VALUES
            operands[value] = list(_operands(context, root, value)) if known else []
            pending.append((value, True))
            pending.extend((operand, False) for operand in operands[value])
    return order


def _operands(context: Context, root: ir.Node, value: ir.Value) -> Iterator[ir.Value]:
    """What of the data a value is computed from, if its operator is one of the algebra."""
    node = value.producer()
    if node is None or node.graph is not root.graph or node.domain != "":
        return
    if node.op_type not in _FOLLOWED or not _is_even(context, node):
        return
    for operand in node.inputs:
        if operand is None or _is_number(context, operand):
            continue
        dtype = context.shapes.dtype(operand)
        if dtype is None or is_float(dtype):
            yield operand
            continue
        test = operand.producer()
        if test is not None and test.domain == "" and test.op_type in COMPARISONS:
            yield from (v for v in test.inputs if v is not None and not _is_number(context, v))


def _is_even(context: Context, node: ir.Node) -> bool:
    """Whether a product with a constant weighs alike what it adds up, as a mean does.

    Told from a few of the numbers; the rule of the operator looks at all of them.
    """
    if node.op_type not in PRODUCTS:
        return True
    arrays = [context.constants.array(value) for value in node.inputs if value is not None]
    return all(array is None or array.size < _FEW or _looks_even(array) for array in arrays)


def _looks_even(weights: np.ndarray) -> bool:
    """Whether one number stands beside another that is the same, in its row or column."""
    flat = weights.reshape(-1, weights.shape[-1])
    rows, columns = flat[0, 1:_FEW], flat[1:_FEW, 0]
    return any(len(some) > 0 and bool((some == some[0]).all()) for some in (rows, columns))


def _is_number(context: Context, value: ir.Value) -> bool:
    """Whether a value is a constant, or follows from sizes alone."""
    if context.constants.is_constant(value) or context.shapes.vector(value) is not None:
        return True
    node = value.producer()
    return node is not None and node.domain == "" and node.op_type == "ConstantOfShape"
