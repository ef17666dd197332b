"""Certify a proposal and make it, or leave the graph as it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx_ir as ir

from normonnx.graph.exact import Maker
from normonnx.journal import Refusal, Rewrite
from normonnx.operators.table import facts_of
from normonnx.ops.operators import DOMAIN
from normonnx.proof.certificate import Window, certify
from normonnx.rewrite.context import Context
from normonnx.rewrite.gain import copied, dying, saved
from normonnx.rewrite.pitfalls import pitfall
from normonnx.rewrite.placing import place, remove, take_place
from normonnx.rewrite.proposal import UNNAMED, Proposal


def commit(proposal: Proposal, *, summary: str) -> Rewrite | Refusal:
    """Certify a proposal and make it, or say why not and leave the graph as it was."""
    context = proposal.context
    if objection := context.journal.objection(proposal.key):
        return _decline(proposal, Refusal(objection))
    if proposal.rule in context.rules_off:
        return _decline(proposal, Refusal(f"rule {proposal.rule} is switched off"))
    dead, dead_constants = dying(proposal)
    if saved(proposal, dead) < proposal.least_gain:
        return _decline(proposal, Refusal("it would not make the graph smaller"))
    twins = context.copies.twins(proposal.constants, proposal.graph)
    copies = copied(proposal, dead, dead_constants, twins)
    growth = _size(value for value in proposal.constants if value not in twins)
    growth -= _size(dead_constants)
    refusal = context.copies.objection(growth, copies, allowed=context.allow_duplicate)
    if refusal is not None:
        return _decline(proposal, refusal)
    if (reason := _moved(proposal)) or (reason := pitfall(proposal)):
        return _decline(proposal, Refusal(reason))
    certificate = certify(
        Window(
            old=tuple(old for old, _ in proposal.replacements),
            new=tuple(new for _, new in proposal.replacements),
            made=frozenset(proposal.nodes),
            constants=context.constants,
            recorded=context.recorded,
            exact=proposal.constants,
            exact_attributes={**context.exact_attributes, **proposal.exact_attributes},
            readings=proposal.readings,
            functions=_of_others(context.model.functions),
            opsets=context.opsets_of(proposal.graph),
        )
    )
    if isinstance(certificate, str):
        context.copies.note(copies)
        for value, twin in twins.items():
            value.replace_all_uses_with(twin)
        return _make(proposal, dead, dead_constants, summary=summary, certificate=certificate)
    return _decline(proposal, Refusal(f"no certificate: {certificate.reason}"))


def _of_others(
    functions: Mapping[ir.OperatorIdentifier, ir.Function],
) -> dict[ir.OperatorIdentifier, ir.Function]:
    """The functions that tell what an operator means; ours say less, of one model's nodes."""
    return {key: function for key, function in functions.items() if function.domain != DOMAIN}


def _moved(proposal: Proposal) -> str:
    """Why a value would leave its graph, "" where none does."""
    for old, _ in proposal.replacements:
        node = old.producer()
        if node is not None and node.graph is not proposal.graph:
            return f"'{old.name}' is computed in another graph than what is to stand for it"
    return ""


def _size(constants: Iterable[ir.Value]) -> int:
    """In bytes."""
    return sum(value.const_value.nbytes for value in constants if value.const_value is not None)


def _decline(proposal: Proposal, refusal: Refusal) -> Refusal:
    proposal.withdraw()
    return refusal


def _make(
    proposal: Proposal,
    dead: list[ir.Node],
    dead_constants: list[ir.Value],
    *,
    summary: str,
    certificate: str,
) -> Rewrite:
    context = proposal.context
    if context.journal.observer is not None:
        context.journal.observer.before(proposal, summary, dead)
    removed = tuple((node.op_type, str(node.name or "")) for node in reversed(dead))
    named = _take_names_over(proposal, dead)
    prelude = _stored_constants(proposal, dead_constants)
    for value, exact in proposal.readings.items():
        context.constants.exact[str(value.name)] = exact
    context.exact_attributes.update(proposal.exact_attributes)
    opsets = context.opsets_of(proposal.graph)
    context.recorded.replaced(proposal.replacements, proposal.nodes, opsets)
    _name_nodes(proposal)
    place(proposal, prelude)
    for node in proposal.nodes:
        context.constants.visit(node)
    _redirect(proposal)
    for old, new in proposal.replacements:
        take_place(context, old, new, named)
    _name_values(proposal)
    remove(dead, dead_constants)
    if context.journal.observer is not None:
        context.journal.observer.after(proposal.nodes)
    rewrite = Rewrite(
        key=proposal.key,
        rule=proposal.rule,
        site=proposal.site,
        summary=summary,
        removed=removed,
        added=tuple((node.op_type, str(node.name)) for node in proposal.nodes),
        certificate=certificate,
        readings=tuple(
            (str(value.name), float(exact.flat[0])) for value, exact in proposal.readings.items()
        ),
    )
    context.journal.record(rewrite)
    return rewrite


def _take_names_over(proposal: Proposal, dead: Iterable[ir.Node]) -> frozenset[ir.Node]:
    """Let a node that goes leave its name to the one that does its work; those that got one."""
    free = {node for node in dead if node.name}
    named = set()
    for new, old in proposal.successors.items():
        if old in free:
            new.name = old.name
            free.discard(old)
            named.add(new)
    return frozenset(named)


def _stored_constants(proposal: Proposal, dying: Iterable[ir.Value]) -> list[ir.Node]:
    """Give the new constants names and a place; in a function they are nodes, handed back."""
    context, graph = proposal.context, proposal.graph
    in_function = any(graph is f.graph for f in context.model.functions.values())
    prelude: list[ir.Node] = []
    standing = {new: old for old, new in proposal.replacements}
    left = {str(value.name): value for value in dying if value.graph is graph}
    for value, exact in proposal.constants.items():
        if not value.uses() and value not in standing:
            continue
        if in_function:
            name = context.fresh(str(value.name))
            prelude.append(_constant_node(value, name))
            context.constants.visit(prelude[-1])
        else:
            name = _name_for(context, value, standing.get(value), left)
            value.name = name
            graph.register_initializer(value)
        if exact.dtype == np.float64:
            _keep_exact(context, name, exact, proposal.makers.get(value))
    return prelude


def _keep_exact(context: Context, name: str, exact: np.ndarray, maker: Maker | None) -> None:
    """Remember what was rounded to a new constant, or how to make it again."""
    if maker is None:
        context.constants.exact[name] = exact
    else:
        context.constants.exact.remake(name, exact, maker)


def _name_for(
    context: Context, value: ir.Value, old: ir.Value | None, left: dict[str, ir.Value]
) -> str:
    """A name for a new initializer: that of what it stands for, or of the weight it is made of.

    Args:
        context: of the run.
        value: the new initializer.
        old: the value that it stands for, if there is one.
        left: the initializers that go, by name.
    """
    if old is not None and _may_be_stored(context, old):
        name, old.name = str(old.name), None
        return name
    gone = left.pop(str(value.name), None)
    if gone is None or gone.graph is None:
        return context.fresh(str(value.name))
    gone.graph.initializers.pop(str(gone.name))
    value.doc_string = gone.doc_string
    value.metadata_props.update(gone.metadata_props)
    return str(gone.name)


def _may_be_stored(context: Context, value: ir.Value) -> bool:
    """Whether an initializer may carry the name of a value; runtimes want branches to compute."""
    producer = value.producer()
    return producer is not None and (
        not value.is_graph_output() or producer.graph is context.model.graph
    )


def _redirect(proposal: Proposal) -> None:
    """Let what reads nothing but a shape read it from the value that has the same."""
    for old, new in proposal.redirects.items():
        for use in list(old.uses()):
            if facts_of(use.node).reads_shape_only:
                use.node.replace_input_with(use.idx, new)


def _name_nodes(proposal: Proposal) -> None:
    """Names for the new nodes that took none over, before a graph gives them names of its own."""
    for node in proposal.nodes:
        if node.name is None:
            node.name = proposal.context.fresh(f"{proposal.site}_{node.op_type}")


def _name_values(proposal: Proposal) -> None:
    """Names for what the new nodes make, where nothing took an old name over."""
    for node in proposal.nodes:
        for out in node.outputs:
            if out.name is None or out.name.startswith(UNNAMED):
                out.name = proposal.context.fresh(f"{proposal.site}_{node.op_type}")


def _constant_node(value: ir.Value, name: str) -> ir.Node:
    """A function has no initializers: its constants are nodes."""
    node = ir.node("Constant", [], {"value": value.const_value})
    node.name = name
    node.outputs[0].name = name
    value.replace_all_uses_with(node.outputs[0])
    return node
