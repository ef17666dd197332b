"""The rules of elementwise arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from normonnx.norm.algebra.interpret import Form, Interpreter, Rule
from normonnx.norm.algebra.operations import Algebra
from normonnx.norm.algebra.polynomial import IntractableError, Poly, plus, scaled
from normonnx.values.shapes import attribute_int

_MAX_POWER = 4
_INFERENCE_IS_DEFAULT = 7
"""From which opset on Dropout without further words is the identity."""

HOLDS = {
    ir.DataType.FLOAT16: {ir.DataType.FLOAT16, ir.DataType.FLOAT, ir.DataType.DOUBLE},
    ir.DataType.BFLOAT16: {ir.DataType.BFLOAT16, ir.DataType.FLOAT, ir.DataType.DOUBLE},
    ir.DataType.FLOAT: {ir.DataType.FLOAT, ir.DataType.DOUBLE},
    ir.DataType.DOUBLE: {ir.DataType.DOUBLE},
}
"""The types that hold every number of a type."""


def identity(it: Interpreter, node: ir.Node) -> Form:
    return it.form(node.inputs[0])


def cast(it: Interpreter, node: ir.Node) -> Form:
    """A cast is real arithmetic's identity as long as it keeps what the subject's type holds."""
    target = it.context.shapes.dtype(node.outputs[0])
    if node.op_type == "Cast":
        target = ir.DataType(attribute_int(node, "to", 0))
    if target not in HOLDS[it.dtype]:
        raise IntractableError(
            f"Cast '{node.name}' rounds to a narrower type than '{it.subject.name}' has"
        )
    return it.form(node.inputs[0])


def dropout(it: Interpreter, node: ir.Node) -> Form:
    """Dropout drops nothing unless it is told that this is training, as it was before opset 7."""
    told = len(node.inputs) > 2 and it.scalar(node.inputs[2]) != 0.0
    if told or it.context.opset < _INFERENCE_IS_DEFAULT:
        raise IntractableError(f"Dropout '{node.name}' is in training mode")
    return it.form(node.inputs[0])


def negative(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    return Form(scaled(form.poly, -1.0), form.groups)


def elementwise(
    combine: Callable[[Algebra, Poly, Poly], Poly],
) -> Rule:
    def rule(it: Interpreter, node: ir.Node) -> Form:
        if "broadcast" in node.attributes:
            raise IntractableError
        result = it.form(node.inputs[0])
        for value in node.inputs[1:]:
            left, right, groups = it.align(result, it.form(value), node)
            result = Form(combine(it.algebra, left, right), groups)
        return result

    return rule


def reciprocal(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    return Form(it.algebra.inverse(form.poly), form.groups)


def sqrt(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    return Form(it.algebra.root(form.poly), form.groups)


def power(it: Interpreter, node: ir.Node) -> Form:
    exponent = it.scalar(node.inputs[1])
    if exponent is None:
        raise IntractableError(f"the exponent of Pow '{node.name}' is no constant number")
    halves = round(2 * exponent)
    if halves != 2 * exponent or abs(halves) > 2 * _MAX_POWER:
        raise IntractableError(f"Pow '{node.name}' has the exponent {exponent:g}")
    base, _, groups = it.align(it.form(node.inputs[0]), it.form(node.inputs[1]), node)
    if halves % 2 == 0:
        return Form(it.algebra.power(base, halves // 2), groups)
    return Form(it.algebra.power(it.algebra.root(base), halves), groups)


def logarithm(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    return Form(it.algebra.logarithm(form.poly), form.groups)


def exponential(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    return Form(it.algebra.exponential(form.poly), form.groups)


def mean_of(it: Interpreter, node: ir.Node) -> Form:
    """The mean of several values of one shape."""
    form = elementwise(sum_of)(it, node)
    return Form(scaled(form.poly, 1.0 / len(node.inputs)), form.groups)


def sum_of(_: Algebra, left: Poly, right: Poly) -> Poly:
    """P + Q."""
    return plus(left, right)


def difference(_: Algebra, left: Poly, right: Poly) -> Poly:
    """P − Q."""
    return plus(left, scaled(right, -1.0))


def product(algebra: Algebra, left: Poly, right: Poly) -> Poly:
    """P·Q."""
    return algebra.product(left, right)


def quotient(algebra: Algebra, left: Poly, right: Poly) -> Poly:
    """P·Q^(−1)."""
    return algebra.product(left, algebra.inverse(right))
