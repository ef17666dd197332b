"""The functions of a model in the place of their calls, so that no engine meets a function's body.

The attributes of each call are bound. The operators of the domain normonnx stay calls: their
functions are what runs where the library is not. A function for another opset stays too where an
operator of it means, or may mean, something else in the model's, and so does one that takes a graph
as an attribute.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping

import onnx_ir as ir

from normonnx.graph.nesting import walk
from normonnx.operators import meaning
from normonnx.operators.names import ONNX
from normonnx.ops.operators import DOMAIN

_log = logging.getLogger(__name__)

_MOST_NODES = 1_000_000
"""A few functions that call each other twice would be more nodes than fit into any memory."""

_GRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


def inline_functions(model: ir.Model) -> list[str]:
    """Put the functions of a model in the place of their calls, or leave it as it is.

    Args:
        model: the caller's own copy; a node of a body is named ``function/node`` afterwards.

    Returns:
        A sentence that says how many were inlined, if any were.
    """
    wanted = _wanted(model)
    if not wanted or _expanded(model) > _MOST_NODES:
        return []
    from onnx_ir.passes.common import InlinePass, NameFixPass  # slow to import, seldom needed

    # What the pass fails on halfway is no model; the weights of a clone are those of the model.
    trial = model.clone()
    for key in wanted:
        imports = trial.functions[key].opset_imports
        imports |= {domain: v for domain, v in model.opset_imports.items() if domain in imports}
        _detach(trial.functions[key])
    try:
        InlinePass(criteria=lambda function: function.identifier() in wanted)(trial)
    except (ValueError, ir.passes.PreconditionError) as error:
        _log.info("functions stay: %s", error)
        return []
    NameFixPass()(trial)
    count = len(model.functions) - len(trial.functions)
    model.graph = trial.graph
    domains = {key[0] for key in model.functions}
    model.functions.clear()
    model.functions.update(trial.functions)
    used = {node.domain for node in model.graph.all_nodes()}
    used |= {function.domain for function in model.functions.values()}
    for domain in domains - used - {""}:
        model.opset_imports.pop(domain, None)
    return [f"{count} function{'' if count == 1 else 's'} inlined"] if count else []


def _wanted(model: ir.Model) -> set[ir.OperatorIdentifier]:
    """The functions that are called and may be inlined, all of them under one set of imports."""
    imports = dict(model.opset_imports)
    wanted: set[ir.OperatorIdentifier] = set()
    called = _called(model)
    for key, function in model.functions.items():
        if key in called and _may_go(function, imports):
            imports = {**function.opset_imports, **imports}
            wanted.add(key)
    # What a kept function calls from its own body would be gone with the called function.
    kept = (function for key, function in model.functions.items() if key not in wanted)
    return wanted - {node.op_identifier() for one in kept for node in one.all_nodes()}


def _called(model: ir.Model) -> set[ir.OperatorIdentifier]:
    """The functions that the main graph calls, directly or through others."""
    found: set[ir.OperatorIdentifier] = set()
    pending = [node.op_identifier() for node in model.graph.all_nodes()]
    while pending:
        key = pending.pop()
        if key in model.functions and key not in found:
            found.add(key)
            pending.extend(node.op_identifier() for node in model.functions[key].all_nodes())
    return found


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


def _may_go(function: ir.Function, imports: Mapping[str, int]) -> bool:
    """Whether the nodes of a function mean in a graph of these imports what they mean in it."""
    means_the_same = all(
        imports.get(domain, version) == version
        or (domain == ONNX and _means_the_same(function, version, imports[domain]))
        for domain, version in function.opset_imports.items()
    )
    graphs = any(attribute.type in _GRAPHS for attribute in function.attributes.values())
    # Inlined, an output that is an input as well would take the input's name away.
    passes_on = set(function.inputs) & set(function.outputs)
    return function.domain != DOMAIN and means_the_same and not graphs and not passes_on


def _means_the_same(function: ir.Function, written_for: int, opset: int) -> bool:
    """Whether every operator of a function means the same in another opset."""
    return all(
        meaning.can_be_read(node.op_type, written_for, opset)
        # Before opset 14 further outputs of it meant training.
        and (node.op_type != "BatchNormalization" or len(node.outputs) == 1)
        for node in walk(function)
        if node.domain == ONNX
    )


def _detach(function: ir.Function) -> None:
    """Make a body one that can stand anywhere.

    Its nodes get names that tell where they came from, and dimensions lose names that mean
    something in the function alone: two calls may have other sizes.
    """
    for node in function.all_nodes():
        node.name = f"{function.name}/{node.name or node.op_type}"
        for value in node.outputs:
            if value.shape is not None:
                value.shape = ir.Shape([d if isinstance(d, int) else None for d in value.shape])
