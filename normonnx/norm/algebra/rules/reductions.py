"""The rules of reductions: means over axes, and sums, which are means times a length.

A pool whose window is a whole axis is a mean over it, and so is the last number of a running sum,
divided by how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from normonnx.norm.algebra.interpret import Form, Interpreter, Rule
from normonnx.norm.algebra.polynomial import IntractableError
from normonnx.norm.algebra.rules.clamps import never_negative
from normonnx.values.shapes import attribute_int, attribute_ints, axes_of, normalized


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
    return mean_over(
        it,
        Form(poly, form.groups),
        places,
        total=total,
        keep=bool(attribute_int(node, "keepdims", 1)),
    )


def mean_over(it: Interpreter, form: Form, places: set[int], *, total: bool, keep: bool) -> Form:
    """E over some axes of a form, times their length for a sum."""
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
    return mean_over(it, form, set(range(2, len(form.groups))), total=False, keep=True)


def reduce_l1(it: Interpreter, node: ir.Node) -> Form:
    """A sum, of what is never negative."""
    form = it.form(node.inputs[0])
    if not never_negative(it.algebra, form.poly):
        raise IntractableError
    return _reduced(it, node, form, total=True, square=False)


def average_pool(it: Interpreter, node: ir.Node) -> Form:
    """A mean over the axes that the window covers; it may not move along any other."""
    form = it.form(node.inputs[0])
    kernel = attribute_ints(node, "kernel_shape") or ()
    places = windowed(it, node, form, kernel)
    return mean_over(it, form, places, total=False, keep=True)


def windowed(it: Interpreter, node: ir.Node, form: Form, kernel: Sequence[int]) -> set[int]:
    """The axes that a window without padding covers whole, where it is 1 along all others.

    Raises:
        IntractableError: for any other window.
    """
    automatic = node.attributes.get("auto_pad")
    if automatic is not None and automatic.as_string() not in ("NOTSET", "VALID"):
        raise IntractableError
    if any(attribute_ints(node, "pads") or ()) or len(kernel) != len(form.groups) - 2:
        raise IntractableError
    steps = [attribute_ints(node, name) or () for name in ("strides", "dilations")]
    places = {place for place, size in enumerate(kernel, 2) if size != 1}
    if len(places) < len(kernel) and any(step != 1 for one in steps for step in one):
        raise IntractableError
    if any(it.labels.size(form.groups[place]) != kernel[place - 2] for place in places):
        raise IntractableError
    return places


def gather(it: Interpreter, node: ir.Node) -> Form:
    """The last number of a running sum: the sum."""
    data, index = node.inputs[0], it.context.constants.array(node.inputs[1])
    running = None if data is None else data.producer()
    if running is None or running.domain != "" or running.op_type != "CumSum":
        raise IntractableError
    form = it.form(running.inputs[0])
    place = normalized(attribute_int(node, "axis", 0), len(form.groups))
    if index is None or not _is_total(it, running, form, place, index):
        raise IntractableError
    summed = mean_over(it, form, {place}, total=True, keep=False)
    between = ((),) * index.ndim
    return Form(summed.poly, (*summed.groups[:place], *between, *summed.groups[place:]))


def _is_total(it: Interpreter, running: ir.Node, form: Form, place: int, index: np.ndarray) -> bool:
    """Whether the element of a running sum along an axis is the sum of all."""
    along = it.context.constants.array(running.inputs[1])
    if along is None or along.size != 1 or index.size != 1:
        return False
    if attribute_int(running, "exclusive", 0):
        return False
    if normalized(int(along.item()), len(form.groups)) != place:
        return False
    length = it.labels.length(form.groups[place])
    if attribute_int(running, "reverse", 0):
        return int(index.item()) in (0, None if length is None else -length)
    return int(index.item()) in (-1, None if length is None else length - 1)
