"""One rule per operator: its output as a polynomial, from those of its inputs.

A rule returns the form of the node's first output; it raises `IntractableError` where the operator
leaves the algebra, with a sentence if that is worth telling.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from normonnx.norm.algebra import (
    Algebra,
    IntractableError,
    Moment,
    Poly,
    Root,
    Subject,
    number,
    plus,
    scaled,
)
from normonnx.norm.interpret import Form, Interpreter, Rule
from normonnx.shapes import attribute_int, attribute_ints, axes_of, normalized

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


# -- arithmetic --------------------------------------------------------------------------------


def _same(it: Interpreter, node: ir.Node) -> Form:
    return it.form(node.inputs[0])


def _cast(it: Interpreter, node: ir.Node) -> Form:
    """A cast is real arithmetic's identity as long as it keeps what the subject's type holds."""
    target = it.context.shapes.dtype(node.outputs[0])
    if node.op_type == "Cast":
        target = ir.DataType(attribute_int(node, "to", 0))
    if target not in HOLDS[it.dtype]:
        raise IntractableError(
            f"Cast '{node.name}' rounds to a narrower type than '{it.subject.name}' has"
        )
    return it.form(node.inputs[0])


def _dropout(it: Interpreter, node: ir.Node) -> Form:
    """Dropout drops nothing unless it is told that this is training, as it was before opset 7."""
    told = len(node.inputs) > 2 and it.scalar(node.inputs[2]) != 0.0
    if told or it.context.opset < _INFERENCE_IS_DEFAULT:
        raise IntractableError(f"Dropout '{node.name}' is in training mode")
    return it.form(node.inputs[0])


def _neg(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    return Form(scaled(form.poly, -1.0), form.groups)


def _elementwise(
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


def _reciprocal(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    return Form(it.algebra.inverse(form.poly), form.groups)


def _sqrt(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    return Form(it.algebra.root(form.poly), form.groups)


def _pow(it: Interpreter, node: ir.Node) -> Form:
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


# -- clamps: the identity where they provably never act ----------------------------------------


def _bounded_below(it: Interpreter, node: ir.Node, form: Form, bound: float) -> Form:
    if _never_negative(it.algebra, plus(form.poly, number(-bound))):
        return form
    raise IntractableError(f"{node.op_type} '{node.name}' bounds the value from below by {bound:g}")


def _max(it: Interpreter, node: ir.Node) -> Form:
    bounds = [it.scalar(value) for value in node.inputs]
    values = [v for v, bound in zip(node.inputs, bounds, strict=True) if bound is None]
    if len(values) != 1 or len(bounds) != 2:
        raise IntractableError
    form = it.form(values[0])
    for value, bound in zip(node.inputs, bounds, strict=True):
        if bound is not None:
            _, _, groups = it.align(form, it.form(value), node)
            form = _bounded_below(it, node, Form(form.poly, groups), bound)
    return form


def _relu(it: Interpreter, node: ir.Node) -> Form:
    return _bounded_below(it, node, it.form(node.inputs[0]), 0.0)


def _min(it: Interpreter, node: ir.Node) -> Form:
    for value in node.inputs:
        it.form(value)  # so that it is known whether the subject is bounded, or something else
    raise IntractableError(f"Min '{node.name}' bounds the value from above")


def _clip(it: Interpreter, node: ir.Node) -> Form:
    bounds = []
    for place, name in ((1, "min"), (2, "max")):
        bound: float | None = None
        if name in node.attributes and not node.attributes[name].is_ref():
            bound = node.attributes[name].as_float()
        elif len(node.inputs) > place and node.inputs[place] is not None:
            array = it.context.constants.array(node.inputs[place])
            if array is None:
                raise IntractableError(f"Clip '{node.name}' has a bound that is not constant")
            bound = float(array.reshape(-1)[0])
        bounds.append(bound)
    low, high = bounds
    form = it.form(node.inputs[0])
    if high is not None and high < np.finfo(np.float32).max:
        raise IntractableError(f"Clip '{node.name}' bounds the value from above by {high:g}")
    if low is None or low <= np.finfo(np.float32).min:
        return form
    return _bounded_below(it, node, form, low)


def _never_negative(algebra: Algebra, poly: Poly) -> bool:
    """Whether P ≥ 0 for every x, knowing that E[x²] − E[x]² ≥ 0."""
    rest = dict(poly)
    for monomial, c in poly.items():
        atom = algebra.atoms[monomial[0][0]] if len(monomial) == 1 else None
        if not isinstance(atom, Moment) or monomial[0][1] != 2 or atom.power != 1:
            continue
        second = algebra.second_moment(atom.over)
        if c < 0 and rest.get(second, 0.0) >= -c * (1 - 1e-6):
            rest[second] = max(rest[second] + c, 0.0)
            del rest[monomial]
    return all(
        c >= 0 and all(_even(algebra, index, power) for index, power in monomial)
        for monomial, c in rest.items()
    )


def _even(algebra: Algebra, index: int, power: int) -> bool:
    atom = algebra.atoms[index]
    second = isinstance(atom, Moment) and atom.power == 2
    return (
        second or isinstance(atom, Root) or (power % 2 == 0 and isinstance(atom, Subject | Moment))
    )


# -- reductions --------------------------------------------------------------------------------


def _reduced(it: Interpreter, node: ir.Node, form: Form, *, total: bool, square: bool) -> Form:
    """E over the axes of a Reduce node, of the form or its square; times N for a sum."""
    rank = len(form.groups)
    axes = axes_of(node, it.context.shapes)
    if axes is None and len(node.inputs) > 1 and node.inputs[1] is not None:
        raise IntractableError(f"the axes of {node.op_type} '{node.name}' are not constant")
    poly = it.algebra.power(form.poly, 2) if square else form.poly
    if not axes:
        if attribute_int(node, "noop_with_empty_axes", 0):
            return Form(poly, form.groups)
        axes = tuple(range(rank))
    places = {normalized(axis, rank) for axis in axes}
    return _mean_over(
        it,
        Form(poly, form.groups),
        places,
        node,
        total=total,
        keep=bool(attribute_int(node, "keepdims", 1)),
    )


def _mean_over(
    it: Interpreter, form: Form, places: set[int], node: ir.Node, *, total: bool, keep: bool
) -> Form:
    over = frozenset(label for place in places for label in form.groups[place])
    poly = it.algebra.mean(form.poly, over)
    if total:
        length = it.labels.length(sorted(over))
        if length is None:
            raise IntractableError(
                f"{node.op_type} '{node.name}' sums over axes whose length is not static"
            )
        poly = scaled(poly, float(length))
    groups = tuple(
        () if place in places else group
        for place, group in enumerate(form.groups)
        if keep or place not in places
    )
    return Form(poly, groups)


def _reduce(*, total: bool, square: bool = False) -> Rule:
    def rule(it: Interpreter, node: ir.Node) -> Form:
        return _reduced(it, node, it.form(node.inputs[0]), total=total, square=square)

    return rule


def _reduce_l2(it: Interpreter, node: ir.Node) -> Form:
    summed = _reduced(it, node, it.form(node.inputs[0]), total=True, square=True)
    return Form(it.algebra.root(summed.poly), summed.groups)


def _global_average_pool(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    return _mean_over(it, form, set(range(2, len(form.groups))), node, total=False, keep=True)


def _matmul(it: Interpreter, node: ir.Node) -> Form:
    """A product with a constant matrix all of whose entries are k: k times the sum of each row."""
    weight = node.inputs[1]
    if weight is None:
        raise IntractableError
    dims = it.dims(weight)
    square = len(dims) == 2 and dims[0] == dims[1]
    if len(dims) not in (1, 2) or not (len(dims) == 1 or dims[1] == 1 or square):
        raise IntractableError
    k = it.scalar(weight)
    if k is None:
        plain = square or not it.context.constants.is_constant(weight)
        raise IntractableError(
            "" if plain else f"MatMul '{node.name}' weighs the elements of a row differently"
        )
    form = it.form(node.inputs[0])
    if not form.groups:
        raise IntractableError
    last = len(form.groups) - 1
    row = _mean_over(it, form, {last}, node, total=True, keep=False)
    columns = it.labels.free(dims[1:])
    return Form(scaled(row.poly, k), (*row.groups, *columns))


# -- axes --------------------------------------------------------------------------------------


def _transpose(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    perm = attribute_ints(node, "perm") or tuple(reversed(range(len(form.groups))))
    return Form(form.poly, tuple(form.groups[axis] for axis in perm))


def _reshape(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    groups = it.labels.regroup(form.groups, it.dims(node.outputs[0]))
    if groups is None:
        raise IntractableError(f"{node.op_type} '{node.name}' takes the axes apart")
    return Form(form.poly, groups)


def _squeeze(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    axes = axes_of(node, it.context.shapes)
    if axes is None:
        if len(node.inputs) > 1 or any(not isinstance(it.labels.size(g), int) for g in form.groups):
            raise IntractableError
        return Form(form.poly, tuple(group for group in form.groups if group))
    places = {normalized(axis, len(form.groups)) for axis in axes}
    if any(form.groups[place] for place in places):
        raise IntractableError
    return Form(form.poly, tuple(g for i, g in enumerate(form.groups) if i not in places))


def _unsqueeze(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    axes = axes_of(node, it.context.shapes)
    if axes is None:
        raise IntractableError
    rank = len(form.groups) + len(axes)
    places = {normalized(axis, rank) for axis in axes}
    rest = iter(form.groups)
    return Form(form.poly, tuple(() if i in places else next(rest) for i in range(rank)))


def _expand(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    groups = it.labels.expand(form.groups, it.dims(node.outputs[0]))
    if groups is None:
        raise IntractableError
    return Form(form.poly, groups)


def _divided(algebra: Algebra, left: Poly, right: Poly) -> Poly:
    return algebra.product(left, algebra.inverse(right))


_add: Rule = _elementwise(lambda _, left, right: plus(left, right))

RULES: dict[str, Rule] = {
    "Abs": _relu,  # |v| = max(v, 0) where v is never negative
    "Add": _add,
    "Cast": _cast,
    "CastLike": _cast,
    "Clip": _clip,
    "Div": _elementwise(_divided),
    "Dropout": _dropout,
    "Expand": _expand,
    "Flatten": _reshape,
    "GlobalAveragePool": _global_average_pool,
    "Identity": _same,
    "MatMul": _matmul,
    "Max": _max,
    "Min": _min,
    "Mul": _elementwise(lambda algebra, left, right: algebra.product(left, right)),
    "Neg": _neg,
    "Pow": _pow,
    "Reciprocal": _reciprocal,
    "ReduceL2": _reduce_l2,
    "ReduceMean": _reduce(total=False),
    "ReduceSum": _reduce(total=True),
    "ReduceSumSquare": _reduce(total=True, square=True),
    "Relu": _relu,
    "Reshape": _reshape,
    "Sqrt": _sqrt,
    "Squeeze": _squeeze,
    "Sub": _elementwise(lambda _, left, right: plus(left, scaled(right, -1.0))),
    "Sum": _add,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""The operators of the algebra."""
