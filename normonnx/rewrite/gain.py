"""What a proposal saves: the nodes that die with the old values, less those that come."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping

import onnx_ir as ir

from normonnx.graph.nesting import subgraphs, walk
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of
from normonnx.rewrite.copies import Copy
from normonnx.rewrite.proposal import Proposal

_COST = {"Constant": 0, "BatchNormalization": 2}
"""What a node counts when gain is judged; BatchNormalization multiplies and adds."""


def gain(proposal: Proposal) -> int:
    """Nodes that a proposal saves, weighted; negative if it adds more than it removes."""
    dead, _ = dying(proposal)
    return saved(proposal, dead)


def saved(proposal: Proposal, dead: Iterable[ir.Node]) -> int:
    """Arithmetic on constants costs nothing: every runtime does it once, when it loads a model."""
    constants = proposal.context.constants
    paid = [node for node in dead if not all(map(constants.is_constant, node.outputs))]
    added = [node for node in proposal.nodes if not _is_stored_weight(proposal, node)]
    return _cost(paid) - _cost(added)


def _is_stored_weight(proposal: Proposal, node: ir.Node) -> bool:
    """Whether a new node is how a quantised weight is stored."""
    constants = proposal.context.constants
    return onnx_name(node) == "DequantizeLinear" and all(
        value is None or value in proposal.constants or constants.is_constant(value)
        for value in node.inputs
    )


def _cost(nodes: Iterable[ir.Node]) -> int:
    return sum(_COST.get(onnx_name(node), 1) for node in nodes)


def dying(proposal: Proposal) -> tuple[list[ir.Node], list[ir.Value]]:
    """The nodes and constants that nothing reads any more once the new values are in place."""
    replaced = dict.fromkeys(old for old, _ in proposal.replacements)
    made, redirects = frozenset(proposal.nodes), proposal.redirects
    kept = {new for _, new in proposal.replacements if new.producer() not in made}
    dead: dict[ir.Node, None] = {}
    dead_constants: dict[ir.Value, None] = {}
    pending = [old.producer() for old in replaced]
    while pending:
        node = pending.pop()
        if node is None or node in dead or node.graph is None:
            continue
        if any(
            out in kept or not _unread(out, dead, replaced, redirects, made) for out in node.outputs
        ):
            continue
        dead[node] = None
        for value in (value for n in _with_inner(node) for value in n.inputs if value is not None):
            pending.append(value.producer())
            if _is_dying_constant(proposal, value, dead):
                dead_constants[value] = None
    return list(dead), list(dead_constants)


def copied(
    proposal: Proposal,
    dead: Collection[ir.Node],
    dead_constants: Collection[ir.Value],
    twins: Collection[ir.Value],
) -> list[Copy]:
    """The new constants that are made of one which others keep reading.

    Args:
        proposal: the rewrite.
        dead: the nodes that go.
        dead_constants: the constants that go.
        twins: new constants that are there already.
    """
    kept: dict[str, ir.Value] = {}
    readers: dict[ir.Value, list[ir.Node]] = {}
    for node in dead:
        for value in node.inputs:
            if value is None or value in dead_constants or value.producer() in dead:
                continue
            if proposal.context.constants.is_constant(value):
                kept[str(value.name)] = value
                readers.setdefault(value, []).append(node)
    return [
        Copy(new, exact, old := kept[str(new.name)], readers[old])
        for new, exact in proposal.constants.items()
        if new not in twins and str(new.name) in kept
    ]


def _is_dying_constant(proposal: Proposal, value: ir.Value, dead: Container[ir.Node]) -> bool:
    """Whether an initializer is read by dead nodes alone; of a widely read one nobody asks."""
    return (
        value.is_initializer()
        and value not in proposal.context.widely_read
        and not value.is_graph_input()
        and not value.is_graph_output()
        and all(use.node in dead for use in value.uses())
    )


def _with_inner(node: ir.Node) -> Iterable[ir.Node]:
    yield node
    for graph in subgraphs(node):
        yield from walk(graph)


def _unread(
    value: ir.Value,
    dead: Mapping[ir.Node, None],
    replaced: Mapping[ir.Value, None],
    redirects: Mapping[ir.Value, ir.Value],
    made: frozenset[ir.Node],
) -> bool:
    if value in replaced:
        return True
    if value.is_graph_output():
        return False
    return all(
        use.node in dead
        or (value in redirects and facts_of(use.node).reads_shape_only)
        or (use.node.graph is None and use.node not in made)
        for use in value.uses()
    )
