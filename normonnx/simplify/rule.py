"""What a simplification is: a function from a node to a proposal, under a rule's code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import onnx_ir as ir
from msgspec import Struct

from normonnx.journal import Rewrite
from normonnx.rewrite import Context, Proposal

CODES = tuple(f"NX20{i}" for i in range(1, 10))
"""The codes of the rules; their pages stand in `normonnx.rules`."""

CONSTANTS, SHAPES, NOTHING, TWICE, CHAINS, UNREAD, BRANCHES, PRODUCTS, TRANSPOSES = CODES


class Found(Struct, frozen=True):
    """A simplification that was found.

    Attributes:
        proposal: the new nodes and what they stand for.
        summary: one line, such as ``Reshape·Reshape → Reshape``.
    """

    proposal: Proposal
    summary: str


Finder: TypeAlias = "Callable[[Context, ir.Node], Found | None]"
"""Looks at one node; None where there is nothing to simplify."""


def begin(context: Context, rule: str, node: ir.Node) -> Proposal:
    """A proposal about a node, which may also leave the graph as long as it was."""
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    proposal = Proposal(
        context,
        graph,
        key=f"{rule}:{node.outputs[0].name}",
        rule=rule,
        site=node,
        kind=node.op_type,
    )
    proposal.least_gain = 0
    return proposal


def in_place_of(context: Context, rule: str, node: ir.Node, value: ir.Value) -> Found | None:
    """An existing value in the place of a node's first output, if it may stand there.

    An output of a graph keeps its own node where the value is no result of a node of that graph, or
    is an output itself.
    """
    out = node.outputs[0]
    if out.is_graph_output():
        maker = value.producer()
        if maker is None or maker.graph is not node.graph or value.is_graph_output():
            return None
    proposal = begin(context, rule, node)
    proposal.replace(out, value)
    return Found(proposal, f"{node.op_type} → nothing")


def node_before(node: ir.Node) -> ir.Node | None:
    """The node that makes the first input, in the same graph."""
    source = node.inputs[0] if node.inputs else None
    producer = None if source is None else source.producer()
    if producer is None or producer.graph is not node.graph or source is not producer.outputs[0]:
        return None
    return producer if producer.inputs and producer.inputs[0] is not None else None


def chained(nodes: Sequence[ir.Node], new: str) -> str:
    """The summary of a chain of nodes that becomes one."""
    return f"{'·'.join(node.op_type for node in nodes)} → {new}"


def may_change(context: Context, rule: str, what: str) -> bool:
    """Whether a rule may be used on a whole kind of things of the model at once."""
    return rule not in context.rules_off and context.journal.allows(f"{rule}:{what}")


def note(
    context: Context,
    rule: str,
    what: str,
    gone: Sequence[tuple[str, str]],
    *,
    summary: str,
    certificate: str,
) -> None:
    """Record what a rule took out of the whole model, if it took anything.

    Args:
        context: of the run.
        rule: code of the rule.
        what: the kind of things that it looked at, as in `may_change`.
        gone: what went: its kind, such as an operator, and its name.
        summary: one line, as of `Found`.
        certificate: why that changes no output.
    """
    if gone:
        context.journal.record(
            Rewrite(
                key=f"{rule}:{what}",
                rule=rule,
                site=str(context.model.graph.name),
                summary=summary,
                removed=tuple(gone),
                added=(),
                certificate=certificate,
            )
        )
