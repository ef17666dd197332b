"""The rules of views: the same numbers along other axes."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.norm.algebra.interpret import Form, Interpreter
from normonnx.norm.algebra.polynomial import IntractableError, number
from normonnx.values.shapes import attribute_ints, axes_of, normalized


def transpose(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    perm = attribute_ints(node, "perm") or tuple(reversed(range(len(form.groups))))
    return Form(form.poly, tuple(form.groups[axis] for axis in perm))


def reshape(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    groups = it.labels.regroup(form.groups, it.dims(node.outputs[0]))
    if groups is None:
        raise IntractableError(f"{node.op_type} '{node.name}' takes the axes apart")
    return Form(form.poly, groups)


def squeeze(it: Interpreter, node: ir.Node) -> Form:
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


def unsqueeze(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    axes = axes_of(node, it.context.shapes)
    if axes is None:
        raise IntractableError
    rank = len(form.groups) + len(axes)
    places = {normalized(axis, rank) for axis in axes}
    if len(places) < len(axes):
        raise IntractableError
    rest = iter(form.groups)
    return Form(form.poly, tuple(() if i in places else next(rest) for i in range(rank)))


def expand(it: Interpreter, node: ir.Node) -> Form:
    form = it.form(node.inputs[0])
    groups = it.labels.expand(form.groups, it.dims(node.outputs[0]))
    if groups is None:
        raise IntractableError
    return Form(form.poly, groups)


def constant_of_shape(it: Interpreter, node: ir.Node) -> Form:
    """A number of which only the run knows how often it occurs."""
    value = node.attributes.get("value")
    k = 0.0 if value is None else float(value.as_tensor().numpy().reshape(-1)[0])
    return Form(number(k), it.labels.free(it.dims(node.outputs[0])))
