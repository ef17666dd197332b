"""Putting the nodes of a small model in the place of a node."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import onnx_ir as ir

from normonnx.opset.sample import Sample


def replace(
    node: ir.Node,
    one: Sample,
    new: onnx.ModelProto,
    fresh: Callable[[str], str],
    renewed: dict[ir.Value, ir.Value],
) -> None:
    """Put another form of a node into its place.

    Args:
        node: what goes; its outputs' names, types and readers stay.
        one: the node as a model.
        new: the form as a model with the same inputs and outputs.
        fresh: gives a name that is not in use, from a hint.
        renewed: what stands for the outputs of nodes that went before, which the model of this one
            may still read; its own are added.
    """
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    form = ir.from_proto(new).graph
    base = node.name or str(node.outputs[0].name)
    values: dict[ir.Value | None, ir.Value] = {}
    for value in (*form.inputs, *form.initializers.values()):
        known = one.inputs.get(str(value.name))
        if known is None:
            known = _initializer(value, fresh(f"{base}_{value.name}"), graph)
        values[value] = renewed.get(known, known)
    kept = {**one.outputs, **one.unread}
    redirected = {value: one.outputs[str(value.name)] for value in form.outputs}
    nodes = _taken_out(form, values)
    main = next((made for made in nodes if made.op_type == node.op_type), nodes[-1])
    for made in nodes:
        made.name = base if made is main else fresh(f"{base}_{made.op_type}")
        for value in made.outputs:
            _take_over(value, kept.get(str(value.name)), lambda name: fresh(f"{base}_{name}"))
    graph.insert_before(node, nodes)
    for result, old in redirected.items():
        old.replace_all_uses_with(result, replace_graph_outputs=True)
        renewed[old] = result
    graph.remove(node, safe=True)


def _taken_out(form: ir.Graph, values: dict[ir.Value | None, ir.Value]) -> list[ir.Node]:
    """The nodes of the form, detached, and reading what its inputs stand for."""
    nodes = list(form)
    form.outputs.clear()
    for made in nodes:
        form.remove(made)
        for index, read in enumerate(made.inputs):
            made.replace_input_with(index, values.get(read, read))
    return nodes


def _take_over(made: ir.Value, kept: ir.Value | None, fresh: Callable[[str], str]) -> None:
    """Give a value what the value that it stands for is called, and is known to be."""
    if kept is None:
        made.name = made.name and fresh(made.name)
        return
    made.name, made.type, made.shape = kept.name, kept.type, kept.shape
    made.doc_string = kept.doc_string
    made.metadata_props.update(kept.metadata_props)


def _initializer(value: ir.Value, name: str, graph: ir.Graph) -> ir.Value:
    """A constant of the form, as one of the graph."""
    tensor = value.const_value
    assert tensor is not None
    tensor.name = name
    made = ir.Value(name=name, shape=value.shape, type=value.type, const_value=tensor)
    graph.register_initializer(made)
    return made
