"""Operators that scale and shift each element: the source stays, its numbers change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import onnx_ir as ir
from msgspec.structs import replace

from normonnx.proof.linear.form import Array, Form, OtherOperatorError, of_rank
from normonnx.proof.linear.operand import Operator

Rule: TypeAlias = "Callable[[Operator], Form | None]"
"""What an operator makes of its operands; None where it is none of this kind."""

_MINUS = np.array(-1.0)


def _scaled(form: Form, factor: Array, shape: tuple[int, ...]) -> Form:
    factor = of_rank(factor, len(shape))
    shift = of_rank(form.shift, len(shape))
    if form.is_short and any(n > 1 for n in factor.shape[2:]):
        raise OtherOperatorError("a factor that differs from place to place, behind a border")
    return replace(
        form,
        scale=of_rank(form.scale, len(shape)) * factor,
        shift=shift * factor,
        terms=of_rank(form.terms, len(shape)) * np.abs(factor),
        shape=shape,
    )


def _shifted(form: Form, shift: Array, shape: tuple[int, ...]) -> Form:
    shift = of_rank(shift, len(shape))
    if form.is_short and any(n > 1 for n in shift.shape[2:]):
        raise OtherOperatorError("a shift that differs from place to place, behind a border")
    return replace(
        form,
        scale=of_rank(form.scale, len(shape)),
        shift=of_rank(form.shift, len(shape)) + shift,
        terms=of_rank(form.terms, len(shape)) + np.abs(shift),
        shape=shape,
    )


def _one_moving(operator: Operator) -> tuple[Form, Array, bool] | None:
    """The form and the constant of a binary operator, and whether the form comes first."""
    left, right = operator.operands
    if isinstance(left, Form) and isinstance(right, np.ndarray) and right.dtype.kind == "f":
        return left, right, True
    if isinstance(right, Form) and isinstance(left, np.ndarray) and left.dtype.kind == "f":
        return right, left, False
    return None


def _add(operator: Operator) -> Form | None:
    pair = _one_moving(operator)
    if pair is None:
        return _sum(operator, 1.0)
    return _shifted(pair[0], pair[1], operator.shape)


def _sub(operator: Operator) -> Form | None:
    pair = _one_moving(operator)
    if pair is None:
        return _sum(operator, -1.0)
    form, constant, first = pair
    if first:
        return _shifted(form, -constant, operator.shape)
    return _shifted(_scaled(form, _MINUS, operator.shape), constant, operator.shape)


def _sum(operator: Operator, sign: float) -> Form | None:
    """Two moving operands, the second as a multiple of the scale of the first."""
    left, right = operator.operands
    if not isinstance(left, Form) or not isinstance(right, Form):
        return None
    if left.is_short != right.is_short or (left.is_short and left.shape != right.shape):
        raise OtherOperatorError("two values with borders of their own")
    rank = len(operator.shape)
    one, two = of_rank(left.scale, rank), of_rank(right.scale, rank)
    if not one.all():
        return None
    ratio = sign * two / one
    key = ("Sum", left.source, right.source, left.shape, right.shape)
    return Form(
        operator.table.source(key, [ratio]),
        one,
        of_rank(left.shift, rank) + sign * of_rank(right.shift, rank),
        of_rank(left.terms, rank) + of_rank(right.terms, rank),
        operator.shape,
        left.is_short,
    )


def _mul(operator: Operator) -> Form | None:
    pair = _one_moving(operator)
    return None if pair is None else _scaled(pair[0], pair[1], operator.shape)


def _div(operator: Operator) -> Form | None:
    pair = _one_moving(operator)
    if pair is None or not pair[2] or not pair[1].all():
        return None
    return _scaled(pair[0], 1.0 / pair[1], operator.shape)


def _neg(operator: Operator) -> Form | None:
    form = operator.operands[0]
    return _scaled(form, _MINUS, form.shape) if isinstance(form, Form) else None


def _same(operator: Operator) -> Form | None:
    form = operator.operands[0]
    return form if isinstance(form, Form) else None


def _cast(operator: Operator) -> Form | None:
    """A cast between floating types, which real arithmetic does not see."""
    target = ir.DataType(operator.node.attributes["to"].as_int())
    wide = target in (
        ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16
    )  # fmt: skip
    return _same(operator) if wide and operator.reads_floats else None


def _batch_normalization(operator: Operator) -> Form | None:
    form, *parts = operator.operands
    numbers = [part for part in parts if isinstance(part, np.ndarray)]
    plain = not operator.trains and len(operator.node.outputs) == 1
    if not isinstance(form, Form) or len(numbers) != 4 or not plain:
        return None
    scale, bias, mean, var = numbers
    if any(part.shape != (form.shape[1],) for part in numbers):
        return None
    per_channel = (-1, *(1,) * (len(form.shape) - 2))
    factor = scale / np.sqrt(var + operator.number("epsilon", 1e-5))
    moved = _shifted(form, -mean.reshape(per_channel), form.shape)
    scaled = _scaled(moved, factor.reshape(per_channel), form.shape)
    return _shifted(scaled, bias.reshape(per_channel), form.shape)


def _one_sided(operator: Operator) -> Form | None:
    """f(a·x + b) = a·f(x + b/a) for a > 0, as for Relu."""
    form, *others = operator.operands
    if not isinstance(form, Form) or form.is_short or not (form.scale > 0).all():
        return None
    numbers = [part for part in others if isinstance(part, np.ndarray)]
    if len(numbers) < len(others):
        return None
    key = (*operator.key, form.source, form.shape, *(part.shape for part in numbers))
    source = operator.table.source(key, [form.shift / form.scale, *numbers])
    zeros = np.zeros((1,) * len(form.shape))
    return replace(form, source=source, shift=zeros, terms=zeros)


RULES: Mapping[str, Rule] = {
    "Abs": _one_sided,
    "Add": _add,
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Div": _div,
    "Identity": _same,
    "LeakyRelu": _one_sided,
    "Mul": _mul,
    "Neg": _neg,
    "PRelu": _one_sided,
    "Relu": _one_sided,
    "Sub": _sub,
}
