"""The rules of reductions: means over axes, and sums, which are means times a length."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.norm.algebra.interpret import Form, Interpreter, Rule
from normonnx.norm.algebra.polynomial import IntractableError, scaled
from normonnx.values.shapes import attribute_int, axes_of, normalized


def _reduced(it: Interpreter, node: ir.Node, form: Form, *, total: bool, square: bool) -> Form:
    """E over the axes of a Reduce node, of the form or its square; times N for a sum."""
    rank = len(form.groups)
    axes = axes_of(node, it.context.shapes)
    if axes is None and len(node.inputs) > 1 and node.inputs[1] is not None:
        raise IntractableError(f"the axes of {node.op_type} '{node.name}' are not constant")
    poly = it.algebra.power(form.poly, 2) if square else form.poly
    if not axes:
        if attribute_int(node, "noop_with_empty_axes", 0):
            if square:  # whether it still squares then has changed with the versions
                raise IntractableError
            return form
        axes = tuple(range(rank))
    places = {normalized(axis, rank) for axis in axes}
    return _mean_over(
        it,
        Form(poly, form.groups),
        places,
        total=total,
        keep=bool(attribute_int(node, "keepdims", 1)),
    )


def _mean_over(it: Interpreter, form: Form, places: set[int], *, total: bool, keep: bool) -> Form:
    over = frozenset(label for place in places for label in form.groups[place])
    poly = it.algebra.mean(form.poly, over)
    if total:
        poly = it.algebra.product(poly, it.algebra.length(it.labels.size(tuple(sorted(over)))))
    groups = tuple(
        () if place in places else group
        for place, group in enumerate(form.groups)
        if keep or place not in places
    )
    return Form(poly, groups)


def reduce(*, total: bool, square: bool = False) -> Rule:
    def rule(it: Interpreter, node: ir.Node) -> Form:
        return _reduced(it, node, it.form(node.inputs[0]), total=total, square=square)

    return rule


def reduce_l2(it: Interpreter, node: ir.Node) -> Form:
    summed = _reduced(it, node, it.form(node.inputs[0]), total=True, square=True)
    return Form(it.algebra.root(summed.poly), summed.groups)


def global_average_pool(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    return _mean_over(it, form, set(range(2, len(form.groups))), total=False, keep=True)


def matmul(it: Interpreter, node: ir.Node) -> Form:
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
    row = _mean_over(it, form, {last}, total=True, keep=False)
    columns = it.labels.free(dims[1:])
    return Form(scaled(row.poly, k), (*row.groups, *columns))
