"""NX206: what nobody reads: nodes, initializers, functions, and operator sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

from normonnx.graph.annotations import named_by_annotations
from normonnx.graph.nesting import graphs_of, let_go, subgraphs
from normonnx.journal import Rewrite
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context
from normonnx.simplify.rule import CONSTANTS, UNREAD


def drop_unread(context: Context) -> None:
    """Take out of the model what no output depends on."""
    key = f"{UNREAD}:model"
    if not context.journal.allows(key) or UNREAD in context.rules_off:
        return
    gone = [(node.op_type, str(node.name or "")) for node in _drop_nodes(context.model.graph)]
    gone += [("initializer", name) for name in _drop_initializers(context)]
    gone += [("function", name) for name in _drop_functions(context.model)]
    if gone:
        context.journal.record(
            Rewrite(
                key=key,
                rule=UNREAD,
                site=str(context.model.graph.name),
                summary="what no output depends on → nothing",
                removed=tuple(gone),
                added=(),
                certificate="no output depends on it",
            )
        )


def _drop_nodes(graph: ir.Graph) -> Iterator[ir.Node]:
    """The nodes that were taken out, those of subgraphs among them."""
    for node in reversed(list(graph)):
        if not node.outputs or any(out.uses() or out.is_graph_output() for out in node.outputs):
            for inner in subgraphs(node):
                yield from _drop_nodes(inner)
            continue
        let_go(node)
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


def store_constants(context: Context) -> None:
    """Put the tensors of Constant nodes among the initializers of their graphs."""
    key = f"{CONSTANTS}:nodes"
    if not context.journal.allows(key) or CONSTANTS in context.rules_off:
        return
    moved: list[str] = []
    pending = [context.model.graph]
    while pending:
        graph = pending.pop()
        for node in list(graph):
            pending.extend(subgraphs(node))
            if _store(context, graph, node):
                moved.append(str(node.name or ""))
    if moved:
        context.journal.record(
            Rewrite(
                key=key,
                rule=CONSTANTS,
                site=str(context.model.graph.name),
                summary="Constant nodes → initializers",
                removed=tuple(("Constant", name) for name in moved),
                added=(),
                certificate="the same type, shape and bits",
            )
        )


def _store(context: Context, graph: ir.Graph, node: ir.Node) -> bool:
    out = node.outputs[0] if node.outputs else None
    if onnx_name(node) != "Constant" or out is None or out.is_graph_output():
        return False
    tensor = _tensor(context, node)
    if tensor is None:
        return False
    new = ir.Value(
        name=out.name,
        shape=ir.Shape(tensor.shape.numpy()),
        type=ir.TensorType(tensor.dtype),
        const_value=tensor,
        doc_string=out.doc_string,
    )
    new.metadata_props.update(out.metadata_props)
    context.shapes.set(new, tuple(tensor.shape.numpy()), tensor.dtype)
    out.replace_all_uses_with(new)
    out.name = None
    graph.remove(node, safe=True)
    graph.register_initializer(new)
    return True


def _tensor(context: Context, node: ir.Node) -> ir.TensorProtocol | None:
    """What a Constant node holds, None for a sparse one or a reference to an attribute."""
    attribute = node.attributes.get("value")
    if attribute is not None:
        return None if attribute.is_ref() else attribute.as_tensor()
    array = context.constants.array(node.outputs[0])
    if array is None or array.dtype.kind not in "if" or "sparse_value" in node.attributes:
        return None
    return ir.Tensor(array)
