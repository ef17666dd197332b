"""NX206: what nobody reads: nodes, initializers, functions, optional outputs and opset imports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx
import onnx_ir as ir

from normonnx.graph.annotations import named_by_annotations
from normonnx.graph.nesting import detach_within, graphs_of, subgraphs, walk
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context
from normonnx.simplify.rule import UNREAD, may_change, note


def drop_unread(context: Context) -> None:
    """Take out of the model what no output depends on."""
    if not may_change(context, UNREAD, "model"):
        return
    gone = [(node.op_type, str(node.name or "")) for node in _drop_nodes(context.model.graph)]
    gone += [("initializer", name) for name in _drop_initializers(context)]
    gone += [("function", name) for name in _drop_functions(context.model)]
    gone += [("opset import", name) for name in _drop_imports(context.model)]
    note(
        context,
        UNREAD,
        "model",
        gone,
        summary="what no output depends on → nothing",
        certificate="no output depends on it",
    )


def _drop_nodes(graph: ir.Graph) -> Iterator[ir.Node]:
    """The nodes that were taken out, those of subgraphs among them."""
    for node in reversed(list(graph)):
        if not node.outputs or any(out.uses() or out.is_graph_output() for out in node.outputs):
            for inner in subgraphs(node):
                yield from _drop_nodes(inner)
            continue
        detach_within(node)
        graph.remove(node, safe=True)
        if onnx_name(node) != "Constant":
            yield node


def _drop_initializers(context: Context) -> Iterator[str]:
    named = named_by_annotations(context.model)
    functions = [function.graph for function in context.model.functions.values()]
    for graph in graphs_of(context.model):
        if any(graph is own for own in functions):
            continue
        for name, value in list(graph.initializers.items()):
            listed = value.is_graph_input() or value.is_graph_output() or name in named
            if not value.uses() and not listed:
                graph.initializers.pop(name)
                yield name


def _drop_functions(model: ir.Model) -> Iterator[str]:
    """The functions that no node calls, in the end."""
    called: set[ir.OperatorIdentifier] = set()
    pending: list[Iterable[ir.Node]] = [model.graph]
    while pending:
        for node in pending.pop():
            pending.extend(subgraphs(node))
            identifier = node.op_identifier()
            if identifier in model.functions and identifier not in called:
                called.add(identifier)
                pending.append(model.functions[identifier])
    for identifier in [one for one in model.functions if one not in called]:
        del model.functions[identifier]
        yield "::".join(identifier[:2])


def _drop_imports(model: ir.Model) -> Iterator[str]:
    """The operator sets that neither a node nor a function of the model is of."""
    if set(model.opset_imports) <= {""}:
        return
    graphs = (model.graph, *(function.graph for function in model.functions.values()))
    used = {node.domain for graph in graphs for node in walk(graph)}
    used |= {"", *(function.domain for function in model.functions.values())}
    for domain in [one for one in model.opset_imports if one not in used]:
        del model.opset_imports[domain]
        yield domain


def drop_outputs(context: Context) -> None:
    """Take the optional outputs that nobody reads from the nodes of ONNX's that give them."""
    if not may_change(context, UNREAD, "outputs"):
        return
    gone = [
        (f"output of {node.op_type}", name)
        for node in walk(context.model.graph)
        if onnx_name(node) and onnx_name(node) not in _COUNTS_OUTPUTS and len(node.outputs) > 1
        for name in _drop_outputs(context, node)
    ]
    note(
        context,
        UNREAD,
        "outputs",
        gone,
        summary="optional outputs that nobody reads → nothing",
        certificate="no output depends on it",
    )


_COUNTS_OUTPUTS = frozenset({"BatchNormalization"})
"""Operators that were told by the number of their outputs what to compute."""


def _drop_outputs(context: Context, node: ir.Node) -> Iterator[str]:
    assert isinstance(node.graph, ir.Graph)
    version = context.opset_of(node.graph)
    try:
        formal = onnx.defs.get_schema(node.op_type, version, node.domain).outputs
    except onnx.defs.SchemaError:
        return
    optional = [one.option == onnx.defs.OpSchema.FormalParameterOption.Optional for one in formal]
    unread = [
        may and bool(out.name) and not out.uses() and not out.is_graph_output()
        for out, may in zip(node.outputs, optional, strict=False)
    ]
    for out, goes in zip(node.outputs, unread, strict=False):
        if goes:
            yield str(out.name)
            out.name = ""
    kept = [place for place, out in enumerate(node.outputs) if out.name != "" or out.uses()]
    if any(unread) and kept:
        node.resize_outputs(kept[-1] + 1)
