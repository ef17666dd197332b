"""The rules of products with matrices: sums along an axis, and centring written as a matrix.

A matrix W = a·I + b·11ᵀ takes x along an axis of length N to a·x + b·Σx: with a = 0 it is a sum,
with a = 1 and b = −1/N it centres. Two values that both depend on the data may be summed over a
common axis as well, which is how a square and its sum become one operator.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.graph.dims import times
from normonnx.norm.algebra.interpret import Form, Interpreter
from normonnx.norm.algebra.polynomial import IntractableError, number, plus, scaled
from normonnx.norm.algebra.rules.reductions import mean_over, windowed
from normonnx.targets.placement import Groups
from normonnx.values.shapes import attribute_int

_LARGEST = 1 << 24
"""Elements of a matrix that is looked at."""


class _Mixing(Struct, frozen=True):
    """What a matrix does along an axis: y = a·x + b·Σx, or b·Σx where it has one column."""

    a: float
    b: float
    keeps: bool


def matmul(it: Interpreter, node: ir.Node) -> Form:
    """A product of rows with a constant matrix, or of two values that depend on the data."""
    left, right = node.inputs
    if left is None or right is None:
        raise IntractableError
    if not it.context.constants.is_constant(right):
        return _contracted(it, node, left, right)
    dims = it.dims(right)
    k = it.scalar(right)
    form = it.form(left)
    if len(dims) not in (1, 2) or not form.groups:
        raise IntractableError
    last = len(form.groups) - 1
    if k is not None:  # a sum, repeated for each column
        row = mean_over(it, form, {last}, total=True, keep=False)
        return Form(scaled(row.poly, k), (*row.groups, *it.labels.free(dims[1:])))
    mixing = _mixing(it, right, transposed=False)
    if mixing is not None:
        return _mixed(it, form, last, mixing)
    raise IntractableError(
        f"MatMul '{node.name}' weighs the elements of a row differently"
        if dims[1:] in ((), (1,)) and dims[0] != 1
        else ""
    )


def _contracted(it: Interpreter, node: ir.Node, left: ir.Value, right: ir.Value) -> Form:
    """[…, 1, N]·[…, N, 1], both of the data: a sum of products."""
    one, other = it.form(left), it.form(right)
    rank = len(one.groups)
    if rank < 2 or len(other.groups) != rank or one.groups[-2] or other.groups[-1]:
        raise IntractableError
    turned = Form(other.poly, (*other.groups[:-2], other.groups[-1], other.groups[-2]))
    a, b, groups = it.align(one, turned, node)
    both = Form(it.algebra.product(a, b), groups)
    return mean_over(it, both, {rank - 1}, total=True, keep=True)


def einsum(it: Interpreter, node: ir.Node) -> Form:
    """Products summed over the letters that the result lacks; one of the factors may mix an axis.

    An ellipsis, and a letter that one operand has twice, are left alone.
    """
    operands = [value for value in node.inputs if value is not None]
    terms, result = _terms(node)
    for place in (1, 0) if len(terms) == 2 else ():
        mixed = _einsum_mixing(it, terms, result, operands, place)
        if mixed is not None:
            return mixed
    letters = "".join(dict.fromkeys("".join(terms)))
    whole = Form(number(1.0), ((),) * len(letters))
    for term, value in zip(terms, operands, strict=True):
        a, b, groups = it.align(whole, _laid(it.form(value), term, letters), node)
        whole = Form(it.algebra.product(a, b), groups)
    summed = {place for place, letter in enumerate(letters) if letter not in result}
    total = mean_over(it, whole, summed, total=True, keep=True)
    return Form(total.poly, tuple(total.groups[letters.index(letter)] for letter in result))


def _terms(node: ir.Node) -> tuple[list[str], str]:
    """The letters of each operand, and of the result."""
    equation = node.attributes["equation"].as_string().replace(" ", "")
    before, arrow, result = equation.partition("->")
    terms = before.split(",")
    if not arrow or "." in equation or any(len(set(t)) != len(t) for t in (*terms, result)):
        raise IntractableError
    return terms, result


def _einsum_mixing(
    it: Interpreter, terms: Sequence[str], result: str, operands: Sequence[ir.Value], place: int
) -> Form | None:
    """The result where one operand is a constant square matrix that mixes an axis of the other."""
    matrix, other = terms[place], terms[1 - place]
    if len(matrix) != 2 or it.scalar(operands[place]) is not None:
        return None
    inner = [letter for letter in matrix if letter in other and letter not in result]
    outer = [letter for letter in matrix if letter in result and letter not in other]
    if len(inner) != 1 or len(outer) != 1:
        return None
    mixing = _mixing(it, operands[place], transposed=matrix[0] != inner[0])
    if mixing is None:
        return None
    axis = other.index(inner[0])
    form = _mixed(it, it.form(operands[1 - place]), axis, mixing)
    letters = other.replace(inner[0], outer[0])
    if sorted(letters) != sorted(result):
        return None
    return Form(form.poly, tuple(form.groups[letters.index(letter)] for letter in result))


def _laid(form: Form, term: str, letters: str) -> Form:
    """A form with an axis for each of the letters, of size 1 where it has none."""
    if len(term) != len(form.groups):
        raise IntractableError
    groups: Groups = tuple(
        form.groups[term.index(letter)] if letter in term else () for letter in letters
    )
    return Form(form.poly, groups)


def convolution(it: Interpreter, node: ir.Node) -> Form:
    """A constant window that is the same at each of its places, and mixes channels or none."""
    weight = node.inputs[1]
    if weight is None or (len(node.inputs) > 2 and node.inputs[2] is not None):
        raise IntractableError
    form = it.form(node.inputs[0])
    taps = _numbers(it, weight)
    if taps is None or taps.ndim < 3:
        raise IntractableError
    window = taps.reshape(*taps.shape[:2], -1)
    if (window[0, 0] != window[0, 0, 0]).any() or (window != window[:, :, :1]).any():
        raise IntractableError
    mixing = _channels(it, node, window[:, :, 0], it.labels.length(form.groups[1]))
    if mixing is None:
        raise IntractableError
    places = windowed(it, node, form, taps.shape[2:])
    return _mixed(it, mean_over(it, form, places, total=True, keep=True), 1, mixing)


def _channels(
    it: Interpreter, node: ir.Node, matrix: np.ndarray, count: int | None
) -> _Mixing | None:
    """What a convolution does across the channels, whose matrix is [output, input of a group]."""
    k = it.scalar(node.inputs[1])
    group = attribute_int(node, "group", 1)
    if group == 1 and matrix.shape[0] > 1:
        return _of_array(matrix.T)
    if k is not None and group == 1:
        return _Mixing(0.0, k, keeps=False)
    if k is not None and matrix.shape == (count, 1) and group == count:
        return _Mixing(k, 0.0, keeps=True)
    return None


def _mixed(it: Interpreter, form: Form, place: int, mixing: _Mixing) -> Form:
    """a·x + b·Σx along one axis; with one column the axis is of size 1 behind it."""
    total = mean_over(it, form, {place}, total=True, keep=True)
    if not mixing.keeps:
        return Form(scaled(total.poly, mixing.b), total.groups)
    own, summed = scaled(form.poly, mixing.a), scaled(total.poly, mixing.b)
    return Form(plus(own, summed), form.groups)


def _mixing(it: Interpreter, value: ir.Value, *, transposed: bool) -> _Mixing | None:
    """What a constant square matrix does along an axis, or None where it does anything else."""
    dims = it.dims(value)
    matrix = _numbers(it, value) if len(dims) == 2 and dims[0] == dims[1] else None
    if matrix is None:
        return None
    return _of_array(matrix.T if transposed else matrix)


def _of_array(matrix: np.ndarray) -> _Mixing | None:
    """The same of its numbers; most are told from the first row alone."""
    count = matrix.shape[0]
    if matrix.shape != (count, count) or count < 2 or (matrix[0, 1:] != matrix[0, 1]).any():
        return None
    diagonal, beside = float(matrix[0, 0]), float(matrix[0, 1])
    expected = np.full_like(matrix, matrix[0, 1])
    np.fill_diagonal(expected, matrix[0, 0])
    if not np.array_equal(matrix, expected) or not np.isfinite((diagonal, beside)).all():
        return None
    return _Mixing(diagonal - beside, beside, keeps=True)


def _numbers(it: Interpreter, value: ir.Value) -> np.ndarray | None:
    """The numbers of a constant that is no larger than is looked at."""
    size = times(it.dims(value))
    known = isinstance(size, int) and 0 < size <= _LARGEST
    if not known or not it.context.constants.is_constant(value):
        return None
    return it.context.constants.array(value)
