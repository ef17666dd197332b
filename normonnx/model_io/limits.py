"""How large a model may be or become. What says more is refused before anybody works on it.

A function that calls another one twice, forty times over, is a small file and 2⁴⁰ nodes to whoever
inlines it; a function that calls itself has no end. ONNX forbids the second and bounds the first
nowhere, so both are counted here, without recursion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
import onnx_ir as ir
from onnx import FunctionProto, GraphProto, NodeProto

from normonnx.errors import InvalidModelError
from normonnx.graph.nesting import subgraphs

MOST_NODES = 5_000_000
"""Nodes of a model, those of functions counted at every call."""

MOST_DEEP = 64
"""Functions that call one another in a row, and graphs inside one another.

A file cannot hold half as many graphs inside one another: protobuf reads a hundred levels."""

FunctionKey = tuple[str, str, str]


def refuse_many(nodes: int, where: str) -> None:
    """Refuse more nodes than a model may have.

    Raises:
        InvalidModelError: there are more.
    """
    if nodes > MOST_NODES:
        raise InvalidModelError(
            f"the model has more than {MOST_NODES:,} nodes, those of functions at every call",
            where=where,
            hint="no model needs so many: it is damaged, or made to do harm",
        )


def refuse_endless(
    nodes: Sequence[tuple[GraphProto | FunctionProto, Sequence[NodeProto]]], where: str
) -> None:
    """Refuse functions that call themselves, in too long a row, or for too many nodes.

    Args:
        nodes: of the main graph and of each function, those of the graphs inside them included.
        where: what the error should name.

    Raises:
        InvalidModelError: they do.
    """
    bodies = {
        (top.domain, top.name, top.overload): own
        for top, own in nodes
        if isinstance(top, onnx.FunctionProto)
    }
    if not bodies:
        return
    calls = {key: _called(nodes, bodies) for key, nodes in bodies.items()}
    sizes: dict[FunctionKey, int] = {}
    depths: dict[FunctionKey, int] = {}
    for start in bodies:
        open_calls: dict[FunctionKey, None] = {}
        pending = [start]
        while pending:
            key = pending[-1]
            if key in sizes:
                pending.pop()
                continue
            open_calls[key] = None
            missing = [callee for callee in calls[key] if callee not in sizes]
            if not missing:
                sizes[key] = len(bodies[key]) + sum(sizes[callee] for callee in calls[key])
                depths[key] = 1 + max((depths[callee] for callee in calls[key]), default=0)
                del open_calls[key]
                pending.pop()
            elif (callee := missing[0]) in open_calls:
                raise InvalidModelError(f"the function {callee[1]!r} calls itself", where=where)
            else:
                pending.append(callee)
    if max(depths.values()) > MOST_DEEP:
        raise InvalidModelError(
            f"more than {MOST_DEEP} functions call one another in a row", where=where
        )
    _, main = nodes[0]
    refuse_many(len(main) + sum(sizes[key] for key in _called(main, bodies)), where)


def refuse_deep(model: ir.Model, where: str) -> None:
    """Refuse graphs inside one another, deeper than whoever walks them by recursion can go.

    Raises:
        InvalidModelError: there are.
    """
    pending: list[tuple[ir.Graph | ir.Function, int]] = [(model.graph, 0)]
    pending.extend((function, 0) for function in model.functions.values())
    while pending:
        body, depth = pending.pop()
        if depth > MOST_DEEP:
            raise InvalidModelError(f"more than {MOST_DEEP} graphs inside one another", where=where)
        pending.extend((graph, depth + 1) for node in body for graph in subgraphs(node))


def _called(
    nodes: Sequence[NodeProto], functions: Mapping[FunctionKey, object]
) -> list[FunctionKey]:
    """The functions that nodes call, once per call."""
    keys = ((node.domain, node.op_type, node.overload) for node in nodes)
    return [key for key in keys if key in functions]
