"""The rules of clamps: the identity where they provably never act."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from normonnx.norm.algebra.interpret import Form, Interpreter
from normonnx.norm.algebra.operations import Algebra
from normonnx.norm.algebra.polynomial import (
    IntractableError,
    Moment,
    Poly,
    Root,
    Subject,
    number,
    plus,
    scaled,
)

COMPARISONS = {
    "Greater": (False, True),
    "GreaterOrEqual": (False, False),
    "Less": (True, True),
    "LessOrEqual": (True, False),
}
"""Whether a is on the right in a > b or a ≥ b, and whether a = b is no."""

_LARGEST = float(np.finfo(np.float32).max)
"""A bound from above of half of it and more acts on nothing that is not about to overflow."""


def _bounded_below(it: Interpreter, node: ir.Node, form: Form, bound: float) -> Form:
    if never_negative(it.algebra, plus(form.poly, number(-bound))):
        return form
    raise IntractableError(f"{node.op_type} '{node.name}' bounds the value from below by {bound:g}")


def maximum(it: Interpreter, node: ir.Node) -> Form:
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


def absolute(it: Interpreter, node: ir.Node) -> Form:
    """The value itself where it is never negative, else the root of its square."""
    form = it.form(node.inputs[0])
    if never_negative(it.algebra, form.poly):
        return form
    return Form(it.algebra.root(it.algebra.power(form.poly, 2)), form.groups)


def where(it: Interpreter, node: ir.Node) -> Form:
    """One of two values, where a comparison with a number provably always comes out the same."""
    condition = node.inputs[0]
    test = None if condition is None else condition.producer()
    if test is None or test.domain != "" or test.op_type not in COMPARISONS:
        raise IntractableError
    tested, holds = _outcome(it, test)
    if holds is None:
        raise IntractableError(f"Where '{node.name}' takes one value here and another there")
    chosen, other = (it.form(node.inputs[place]) for place in ((1, 2) if holds else (2, 1)))
    groups = it.align(tested, chosen, node)[2]
    _, poly, groups = it.align(Form(other.poly, groups), chosen, node)
    return Form(poly, groups)


def _outcome(it: Interpreter, test: ir.Node) -> tuple[Form, bool | None]:
    """A comparison's operands laid together, and how it comes out for every x, if that is known."""
    swapped, strict = COMPARISONS[test.op_type]
    left, right = (it.form(value) for value in (test.inputs[::-1] if swapped else test.inputs))
    a, b, groups = it.align(left, right, test)
    excess = plus(a, scaled(b, -1.0))  # whether it is above zero is what is asked
    least = excess.get((), 0.0)
    holds = None
    if never_negative(it.algebra, excess) and (not strict or least > 0):
        holds = True
    elif never_negative(it.algebra, scaled(excess, -1.0)) and (strict or least < 0):
        holds = False
    return Form(a, groups), holds


def relu(it: Interpreter, node: ir.Node) -> Form:
    return _bounded_below(it, node, it.form(node.inputs[0]), 0.0)


def minimum(it: Interpreter, node: ir.Node) -> Form:
    forms = [it.form(value) for value in node.inputs]  # what is bounded may be something else
    bounds = [it.scalar(value) for value in node.inputs]
    if len(forms) == 2:
        for form, other, bound in zip(forms, forms[::-1], bounds[::-1], strict=True):
            if bound is not None and bound >= _LARGEST / 2:
                return Form(form.poly, it.align(form, other, node)[2])
    raise IntractableError(f"Min '{node.name}' bounds the value from above")


def clip(it: Interpreter, node: ir.Node) -> Form:
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
    if high is not None and high < _LARGEST / 2:
        raise IntractableError(f"Clip '{node.name}' bounds the value from above by {high:g}")
    if low is None or low <= np.finfo(np.float32).min:
        return form
    return _bounded_below(it, node, form, low)


def never_negative(algebra: Algebra, poly: Poly) -> bool:
    """Whether P ≥ 0 for every x, knowing that E[x²] − E[x]² ≥ 0."""
    if _is_square(algebra, poly):
        return True
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


def _is_square(algebra: Algebra, poly: Poly) -> bool:
    """Whether P = (a·u − b·v)² for two monomials u and v."""
    squares = [
        (tuple((index, power // 2) for index, power in monomial), math.sqrt(c))
        for monomial, c in poly.items()
        if c > 0 and all(power % 2 == 0 for _, power in monomial)
    ]
    if len(squares) != 2 or len(poly) != 3:
        return False
    [(u, a), (v, b)] = squares
    square = algebra.power({u: a, v: -b}, 2)
    return square.keys() == poly.keys() and all(
        math.isclose(c, poly[monomial], rel_tol=1e-6) for monomial, c in square.items()
    )


def _even(algebra: Algebra, index: int, power: int) -> bool:
    atom = algebra.atoms[index]
    second = isinstance(atom, Moment) and atom.power == 2
    return (
        second or isinstance(atom, Root) or (power % 2 == 0 and isinstance(atom, Subject | Moment))
    )
