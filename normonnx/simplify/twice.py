"""NX204: what is said twice is said once: nodes, and initializers."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import onnx_ir as ir

from normonnx.graph.annotations import named_by_annotations
from normonnx.graph.contents import Contents
from normonnx.graph.nesting import subgraphs, walk
from normonnx.operators.attributes import attribute_int
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context, commit
from normonnx.simplify.bodies import is_fixed, node_key
from normonnx.simplify.rule import TWICE, begin, may_change, note


def merge_nodes(context: Context, graph: ir.Graph) -> None:
    """Let one node stand for all that are the same operator on the same inputs."""
    first: dict[Hashable, ir.Node] = {}
    contents = Contents()
    for node in list(graph):
        key = _key(context, node, contents)
        if key is None:
            continue
        other = first.setdefault(key, node)
        if other is not node:
            _merge(context, other, node)


def _key(context: Context, node: ir.Node, contents: Contents) -> Hashable | None:
    """What is equal for nodes that compute the same; None where that cannot be told."""
    if not node.outputs or not is_fixed(node) or onnx_name(node) == "Constant":
        return None
    if all(map(context.constants.is_constant, node.outputs)) or _refers(node):
        return None
    return node_key(context, node, contents)


def _refers(node: ir.Node) -> bool:
    """Whether an attribute of a node, or of one within it, is told by the call of a function."""
    inner = [one for graph in subgraphs(node) for one in walk(graph)]
    return any(attr.is_ref() for one in (node, *inner) for attr in one.attributes.data.values())


def _merge(context: Context, stays: ir.Node, goes: ir.Node) -> None:
    """Propose that the outputs of one node stand for those of another."""
    pairs = list(zip(stays.outputs, goes.outputs, strict=True))
    if any(gone.is_graph_output() or (gone.uses() and not kept.name) for kept, gone in pairs):
        return
    proposal = begin(context, TWICE, goes)
    for kept, gone in pairs:
        if gone.uses():
            proposal.replace(gone, kept)
    if proposal.replacements:
        commit(proposal, summary=f"{goes.op_type} twice → once")


def merge_initializers(context: Context) -> None:
    """Let one initializer of a graph stand for all of its type, shape and bits."""
    graph = context.model.graph
    if not may_change(context, TWICE, "initializers"):
        return
    contents, first = Contents(), dict[int, ir.Value]()
    gone: list[tuple[str, str]] = []
    apart, named = _overwritten(context), named_by_annotations(context.model)
    for name, value in list(graph.initializers.items()):
        stored = value.const_value
        if (
            stored is None
            or value in apart
            or name in named
            or value.is_graph_input()
            or value.is_graph_output()
        ):
            continue
        kept = first.setdefault(contents.number(stored), value)
        if kept is not value and _exact(context, kept) == _exact(context, value):
            value.replace_all_uses_with(kept)
            graph.initializers.pop(name)
            gone.append(("initializer", name))
    note(
        context,
        TWICE,
        "initializers",
        gone,
        summary="initializers with the same content → one",
        certificate="the same type, shape and bits",
    )


def _exact(context: Context, value: ir.Value) -> bytes | None:
    """What was rounded to a new constant, which another one of the same bits need not share."""
    exact, stored = context.constants.exact.get(str(value.name)), value.const_value
    if exact is None or stored is None or np.array_equal(exact, stored.numpy()):
        return None
    return exact.tobytes()


def _overwritten(context: Context) -> set[ir.Value]:
    """The inputs of BatchNormalizations that train: ONNX Runtime writes into some of them."""
    return {
        value
        for node in walk(context.model.graph)
        if onnx_name(node) == "BatchNormalization" and attribute_int(node, "training_mode", 0)
        for value in node.inputs
        if value is not None
    }
