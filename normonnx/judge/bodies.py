"""Bodies of If, Loop and Scan in which something is selected or drawn, as models of their own.

What a body is handed is noted while the original is evaluated, and both bodies are judged on it,
cut where their selections are. The models around them are compared in what the node reads, which
is cut like a selection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import onnx_ir as ir
from msgspec import Struct

from normonnx.graph.nesting import subgraphs, walk
from normonnx.judge.alignment import Alignment, Numbering, constant_tensor
from normonnx.judge.coverage.selecting import BRANCHES
from normonnx.judge.cutting import Container
from normonnx.judge.graph_facts import choosing, is_random
from normonnx.judge.pairing import is_alike, partners, title_of
from normonnx.operators.names import onnx_name


class Body(Struct, frozen=True, eq=False):
    """A graph of a node in both models, not the same in both.

    Attributes:
        title: how it is told of.
        old: the original's.
        new: the optimised model's.
        handed: what the original hands it, by the name that both models have for it here.
        given: the same by the values of the optimised model.
    """

    title: str
    old: ir.Graph
    new: ir.Graph
    handed: Mapping[ir.Value, str]
    given: Mapping[ir.Value, str]


def draws_inside(model: ir.Model) -> bool:
    """Whether numbers are drawn in the graphs of any node."""
    return any(_draws(node) for node in model.graph)


class Bodies(Struct, frozen=True):
    """What is judged apart.

    Attributes:
        containers: the nodes at which both models can be cut.
        bodies: their graphs that differ.
        unlike: a sentence for each node that has no like.
    """

    containers: tuple[Container, ...] = ()
    bodies: tuple[Body, ...] = ()
    unlike: tuple[str, ...] = ()


def bodies_of(aligned: Alignment) -> Bodies:
    """The nodes of both main graphs that select inside, and are not equal by structure.

    Those that draw numbers inside give others each time, equal or not.
    """
    before, after = aligned.before, aligned.after
    made = {after.made[node] for node in aligned.optimized.graph}
    selecting = _selecting(aligned.original)
    old = [node for node in selecting if before.made[node] not in made or _draws(node)]
    if not old:
        return Bodies()
    containers: list[Container] = []
    bodies: list[Body] = []
    unlike: list[str] = []
    for node, other in partners(old, list(_selecting(aligned.optimized))).items():
        title = title_of(node)
        read = None
        if other is not None and is_alike(node, other) and _sizes(node) == _sizes(other):
            read = _read(node, other, aligned)
        if other is None or read is None:
            unlike.append(
                f"what is selected inside {title} is not compared: the optimised model has "
                "nothing like it"
            )
            continue
        differ = {v: u for v, u in read.items() if after.number(v) != before.number(u)}
        containers.append(Container(node, other, differ))
        bodies += _bodies(node, other, read, before, after)
    return Bodies(tuple(containers), tuple(bodies), tuple(unlike))


def _selecting(model: ir.Model) -> Iterator[ir.Node]:
    chosen = choosing(model)
    for node in model.graph:
        inner = (one for graph in subgraphs(node) for one in walk(graph))
        if onnx_name(node) in BRANCHES and not chosen.isdisjoint(inner):
            yield node


def _draws(node: ir.Node) -> bool:
    return any(is_random(one) for graph in subgraphs(node) for one in walk(graph))


def _sizes(node: ir.Node) -> list[tuple[int, int]]:
    """How many inputs and outputs the graphs of a node have."""
    return [(len(graph.inputs), len(graph.outputs)) for graph in subgraphs(node)]


def _read(node: ir.Node, other: ir.Node, aligned: Alignment) -> dict[ir.Value, ir.Value] | None:
    """What the graphs of the second read from outside, and what that is in the original.

    None where the original has no such value.
    """
    values = [v for one in aligned.original.graph for v in one.outputs]
    values += (*aligned.original.graph.inputs, *aligned.original.graph.initializers.values())
    numbered = {aligned.before.number(v): v for v in reversed(values)}
    named = {str(v.name): v for v in values}
    found: dict[ir.Value, ir.Value] = {v: v for v in _outer(node) if constant_of(v) is None}
    pairs: dict[ir.Value, ir.Value] = {}
    for value in _outer(other):
        if constant_of(value) is not None:
            continue
        known = numbered.get(aligned.after.number(value)) or named.get(str(value.name))
        if known is None:
            return None
        pairs[value] = known
    return found | pairs


def _bodies(
    node: ir.Node,
    other: ir.Node,
    read: Mapping[ir.Value, ir.Value],
    before: Numbering,
    after: Numbering,
) -> Iterator[Body]:
    for name in BRANCHES[onnx_name(node) or ""]:
        old, new = (one.attributes[name].as_graph() for one in (node, other))
        if before.graphs[old] == after.graphs[new]:
            continue
        own = [(v, w, f"{v.name} (handed in)") for v, w in zip(old.inputs, new.inputs, strict=True)]
        outer = [(u, v, f"{u.name} (handed in)") for v, u in read.items()]
        yield Body(
            f"the {name.replace('_', ' ')} of {title_of(node)}",
            old,
            new,
            {u: title for u, _, title in (*own, *outer)},
            {v: title for _, v, title in (*own, *outer)},
        )


def constant_of(value: ir.Value) -> ir.TensorProtocol | None:
    """What an initializer or the output of a Constant holds; None for any other value."""
    producer = value.producer()
    return value.const_value if producer is None else constant_tensor(producer)


def _outer(node: ir.Node) -> list[ir.Value]:
    """What the graphs of a node read from outside."""
    return list(dict.fromkeys(v for graph in subgraphs(node) for v in outer_values(graph)))


def outer_values(graph: ir.Graph) -> list[ir.Value]:
    """What a graph, those in it included, reads from outside."""
    nodes = list(walk(graph))
    inner = [graph, *(g for node in nodes for g in subgraphs(node))]
    own = {v for node in nodes for v in node.outputs}
    own |= {v for one in inner for v in (*one.inputs, *one.initializers.values())}
    read = [v for node in nodes for v in node.inputs if v is not None]
    read += [v for one in inner for v in one.outputs]
    return [v for v in dict.fromkeys(read) if v not in own]


def standalone(
    body: ir.Graph,
    handed: Mapping[ir.Value, str],
    results: Sequence[str],
    types: Mapping[str, ir.DataType],
    model: ir.Model,
) -> ir.Model:
    """A graph of a model as a model.

    Args:
        body: the graph.
        handed: names of inputs, by the graph's own and by what it reads from outside.
        results: the names of its outputs.
        types: the types of all inputs by name, in order.
        model: the model that it is part of.
    """
    graph = body.clone(allow_outer_scope_values=True)
    own = dict(zip(body.inputs, graph.inputs, strict=True))
    inputs = {name: _input(name, dtype) for name, dtype in types.items()}
    instead = {own.get(v, v): inputs[name] for v, name in handed.items()}
    for value in outer_values(graph):
        tensor = constant_of(value)
        if value not in instead and tensor is not None:
            kind, shape = ir.TensorType(tensor.dtype), ir.Shape(tensor.shape.numpy())
            stored = ir.Value(name=value.name, type=kind, shape=shape, const_value=tensor)
            graph.register_initializer(stored)
            instead[value] = stored
    _replace(graph, instead)
    made = list(graph.outputs)
    graph.outputs.clear()
    for name, output in zip(results, made, strict=True):
        value = instead.get(output, output)
        node = ir.Node("", "Identity", [value])
        node.outputs[0].name, node.outputs[0].type = name, value.type
        graph.append(node)
        graph.outputs.append(node.outputs[0])
    graph.inputs.clear()
    graph.inputs.extend(inputs.values())
    graph.name = graph.name or "body"
    graph.opset_imports.update(model.graph.opset_imports)
    return ir.Model(graph, ir_version=model.ir_version, functions=tuple(model.functions.values()))


def _replace(graph: ir.Graph, instead: Mapping[ir.Value, ir.Value]) -> None:
    """Let the nodes of a graph, and those inside of them, read other values."""
    for node in list(walk(graph)):
        for index, value in enumerate(node.inputs):
            if value is not None and value in instead:
                node.replace_input_with(index, instead[value])
        for inner in subgraphs(node):
            for index, made in enumerate(inner.outputs):
                inner.outputs[index] = instead.get(made, made)


def _input(name: str, dtype: ir.DataType) -> ir.Value:
    return ir.Value(name=name, type=ir.TensorType(dtype))
