"""Putting new nodes into a graph and taking dead ones out."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from normonnx.graph.nesting import detach_within
from normonnx.rewrite.context import Context
from normonnx.rewrite.proposal import UNNAMED, Proposal


def place(proposal: Proposal, prelude: list[ir.Node]) -> None:
    """Put each new node before the first old node whose value needs it."""
    made = set(proposal.nodes)
    placed: set[ir.Node] = set()
    terminals = [(old.producer(), new) for old, new in proposal.replacements]
    if len(terminals) > 1:
        order: dict[ir.Node | None, int] = {node: i for i, node in enumerate(proposal.graph)}
        terminals.sort(key=lambda pair: order[pair[0]])
    for anchor, new in terminals:
        assert anchor is not None
        needed: list[ir.Node] = []
        stack: list[tuple[ir.Node | None, bool]] = [(new.producer(), False)]
        while stack:
            node, ready = stack.pop()
            if node is None or node not in made or node in placed:
                continue
            if ready:
                placed.add(node)
                needed.append(node)
                continue
            stack.append((node, True))
            stack.extend((v.producer(), False) for v in node.inputs if v is not None)
        proposal.graph.insert_before(anchor, [*prelude, *needed])
        prelude = []


def take_place(
    context: Context, old: ir.Value, new: ir.Value, named: Collection[ir.Node] = ()
) -> None:
    """Let `new` carry the name, type, documentation and readers of `old`.

    Args:
        context: of the run.
        old: the value that goes.
        new: the value that stands for it.
        named: new nodes that have a name already.
    """
    node, successor = old.producer(), new.producer()
    assert node is not None
    name = old.name
    if successor is not None and new.name is not None and new.name.startswith(UNNAMED):
        if successor not in named:
            single = len(node.outputs) == 1 and all(one.name != node.name for one in named)
            successor.name = node.name if single else context.fresh(f"{node.name}")
        for key, told in node.metadata_props.items():
            successor.metadata_props.setdefault(key, told)
        successor.doc_string = successor.doc_string or node.doc_string
        new.type, new.shape = old.type, old.shape
        new.doc_string = old.doc_string
        new.metadata_props.update(old.metadata_props)
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        old.name = None
        new.name = name
        return
    # The new value exists already, under its own name, or is a constant that took the old one's.
    if not old.is_graph_output():
        old.replace_all_uses_with(new)
        return
    if old.name is None:
        new.type, new.shape = old.type, old.shape
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        return
    # An output of the graph keeps its name: the value takes it, or is copied to it.
    if successor is not None and successor.graph is node.graph and not new.is_graph_output():
        new.type, new.shape = old.type, old.shape
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        old.name = None
        new.name = name
        return
    identity = ir.node("Identity", [new])
    identity.name = context.fresh(f"{node.name}_Identity")
    assert node.graph is not None
    node.graph.insert_before(node, identity)
    out = identity.outputs[0]
    out.type, out.shape = old.type, old.shape
    context.shapes.adopt(out, new)
    context.recorded.replaced([(old, out)], [identity], context.opsets_of(node.graph))
    old.replace_all_uses_with(out, replace_graph_outputs=True)
    old.name = None
    out.name = name


def remove(dead: list[ir.Node], dead_constants: list[ir.Value]) -> None:
    by_graph: dict[ir.Graph, list[ir.Node]] = {}
    for node in dead:
        if node.graph is not None:
            detach_within(node)
            by_graph.setdefault(node.graph, []).append(node)
    for graph, nodes in by_graph.items():
        graph.remove(nodes, safe=True)
    for value in dead_constants:
        if not value.uses() and value.graph is not None and not value.is_graph_output():
            value.graph.initializers.pop(str(value.name))
