"""Operators that mean the same in a later opset, but for axes that become an input."""

from __future__ import annotations

from itertools import count

import numpy as np
import onnx_ir as ir

from normonnx.graph.nesting import walk
from normonnx.operators import meaning
from normonnx.operators.names import onnx_name
from normonnx.opset.known import Known


def extends(model: ir.Model, wanted: int, *, known: Known | None = None) -> bool:
    """Whether all operators of a model mean in a later opset what they mean in its own.

    Args:
        model: only read; its subgraphs count.
        wanted: the later opset of the default domain.
        known: of the model's values.
    """
    current = model.opset_imports.get("", 0)
    nodes = [node for node in walk(model.graph) if node.domain == ""]
    return all(means_the_same(node, current, wanted, known or Known()) for node in nodes)


def means_the_same(node: ir.Node, current: int, wanted: int, known: Known) -> bool:
    """Whether a node of ONNX's domain means the same in a later opset, its axes moved or not."""
    operator = node.op_type
    if operator == "BatchNormalization" and len(node.outputs) > 1:
        return False  # before opset 14 further outputs meant training
    if operator in meaning.FLATTENING and current <= meaning.FLATTENING_UNTIL < wanted:
        return _is_over_the_last_axis(node, known)
    if meaning.axes_moved(operator, current, wanted) and _has_empty_axes(node):
        return False
    return meaning.means_the_same(operator, current, wanted)


def _is_over_the_last_axis(node: ir.Node, known: Known) -> bool:
    """Which has none behind it, and is the default from opset 13 on."""
    given = node.attributes.get("axis")
    axis = 1 if given is None else given.as_int()
    value = node.inputs[0]
    dimensions = None if value is None else known.rank(value)
    return axis == -1 or (dimensions is not None and axis == dimensions - 1)


def _has_empty_axes(node: ir.Node) -> bool:
    """Whether it names no axes at all, which runtimes read differently."""
    axes = node.attributes.get("axes")
    return axes is not None and not axes.as_ints()


def make_axes_inputs(graph: ir.Graph, current: int, wanted: int) -> None:
    """Make initializers of axes, in a graph and those in it, that a later opset has as inputs."""
    names = {str(value.name) for node in walk(graph) for value in node.outputs}
    for inner in (graph, *graph.subgraphs()):
        names.update(inner.initializers, (str(value.name) for value in inner.inputs))
    made: dict[tuple[int, ...], ir.Value] = {}
    for node in walk(graph):
        if "axes" not in node.attributes or not meaning.axes_moved(
            onnx_name(node), current, wanted
        ):
            continue
        axes = tuple(node.attributes.pop("axes").as_ints())
        if axes not in made:
            name = next(n for i in count() if (n := f"axes_{i}") not in names)
            names.add(name)
            made[axes] = axes_value(axes, name)
            graph.register_initializer(made[axes])
        node.resize_inputs(2)
        node.replace_input_with(1, made[axes])


def axes_value(axes: tuple[int, ...], name: str) -> ir.Value:
    """Axes as an initializer."""
    tensor = ir.tensor(np.array(axes, dtype=np.int64), name=name)
    return ir.Value(
        name=name,
        shape=ir.Shape([len(axes)]),
        type=ir.TensorType(tensor.dtype),
        const_value=tensor,
    )
