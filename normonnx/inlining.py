"""The functions of a model in the place of their calls, so that no engine meets a function's body.

The attributes of each call are bound. The operators of the domain normonnx stay calls: their
functions are what runs where the library is not. A function for another opset than the model's
stays too, and so does one that takes a graph as an attribute.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable

import onnx_ir as ir

from normonnx.ops.operators import DOMAIN

_log = logging.getLogger(__name__)

_MOST_NODES = 1_000_000
"""A few functions that call each other twice would be more nodes than fit into any memory."""

_GRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


def inline_functions(model: ir.Model) -> list[str]:
    """Put the functions of a model in the place of their calls.

    Args:
        model: the caller's own copy; a node of a body is named ``function/node`` afterwards.

    Returns:
        A sentence that says how many were inlined, if any were.
    """
    wanted = {key for key, function in model.functions.items() if _may_go(model, function)}
    # What a kept function calls from its own body would be gone with the called function.
    wanted -= {
        node.op_identifier()
        for key, function in model.functions.items()
        if key not in wanted
        for node in function.all_nodes()
    }
    if not wanted or _expanded(model) > _MOST_NODES:
        return []
    from onnx_ir.passes.common import InlinePass, NameFixPass  # slow to import, seldom needed

    for key in wanted:
        _name_by_scope(model.functions[key])
    before = len(model.functions)
    try:
        InlinePass(criteria=lambda function: function.identifier() in wanted)(model)
    except (ValueError, ir.passes.PreconditionError) as error:
        _log.info("functions stay: %s", error)
        return []
    NameFixPass()(model)
    count = before - len(model.functions)
    return [f"{count} function{'' if count == 1 else 's'} inlined"] if count else []


def _expanded(model: ir.Model) -> float:
    """How many nodes the main graph would have; infinite where functions call each other."""
    sizes: dict[ir.OperatorIdentifier, float] = {}
    open_calls: set[ir.OperatorIdentifier] = set()

    def size_of(key: ir.OperatorIdentifier) -> float:
        if key in open_calls:
            return math.inf
        if key not in sizes:
            open_calls.add(key)
            sizes[key] = count(model.functions[key].all_nodes())
            open_calls.discard(key)
        return sizes[key]

    def count(nodes: Iterable[ir.Node]) -> float:
        keys = (node.op_identifier() for node in nodes)
        return sum(size_of(key) if key in model.functions else 1.0 for key in keys)

    return count(model.graph.all_nodes())


def _may_go(model: ir.Model, function: ir.Function) -> bool:
    """Whether the nodes of a function mean in the graph what they mean in its body."""
    same_opset = all(
        model.opset_imports.get(domain, version) == version
        for domain, version in function.opset_imports.items()
    )
    graphs = any(attribute.type in _GRAPHS for attribute in function.attributes.values())
    # Inlined, an output that is an input as well would take the input's name away.
    passes_on = set(function.inputs) & set(function.outputs)
    return function.domain != DOMAIN and same_opset and not graphs and not passes_on


def _name_by_scope(function: ir.Function) -> None:
    """Name the nodes of a body so that they can be told where they came from."""
    for node in function.all_nodes():
        node.name = f"{function.name}/{node.name or node.op_type}"
