"""The rules of clamps: the identity where they provably never act."""

from __future__ import annotations

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
)


def _bounded_below(it: Interpreter, node: ir.Node, form: Form, bound: float) -> Form:
    if _never_negative(it.algebra, plus(form.poly, number(-bound))):
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


def relu(it: Interpreter, node: ir.Node) -> Form:
    return _bounded_below(it, node, it.form(node.inputs[0]), 0.0)


def minimum(it: Interpreter, node: ir.Node) -> Form:
    for value in node.inputs:
        it.form(value)  # so that it is known whether the subject is bounded, or something else
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
