"""A BatchNormalization of constants, such as one that standardises a weight, becomes its result."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.affine.attempts import MERGE_RULE, key_of
from normonnx.journal import Refusal, RefusedError
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context, Proposal, commit, miss
from normonnx.values.constants import is_float

_KIND = "BatchNormalization"


def is_of_constants(context: Context, node: ir.Node) -> bool:
    """Whether a node is a BatchNormalization that reads nothing but constants."""
    return onnx_name(node) == _KIND and context.constants.is_constant(node.outputs[0])


def store(context: Context, graph: ir.Graph, node: ir.Node) -> None:
    """Put the constant that a weight's BatchNormalization leads to in its place."""
    if any(graph is function.graph for function in context.model.functions.values()):
        return  # a function has no initializers
    value = _last_constant(context, node)
    proposal = Proposal(context, graph, key=key_of(node), rule=MERGE_RULE, site=node, kind=_KIND)
    proposal.least_gain = 0  # runtimes work constants out when they load a model
    try:
        proposal.replace(value, _written(proposal, value))
    except RefusedError as error:
        proposal.withdraw()
        refusal: Refusal | None = error.refusal
    else:
        result = commit(proposal, summary=f"{_KIND} of constants → constant")
        refusal = result if isinstance(result, Refusal) else None
    if refusal is not None:
        miss(context, key=key_of(node), rule=MERGE_RULE, site=node, kind=_KIND, refusal=refusal)


def _last_constant(context: Context, node: ir.Node) -> ir.Value:
    """The constant that is made of the node's output and of nothing else that varies."""
    value = node.outputs[0]
    while len(readers := value.consumers()) == 1 and not value.is_graph_output():
        [reader] = readers
        after = reader.outputs[0]
        if len(reader.outputs) > 1 or not context.constants.is_constant(after):
            break
        if reader.graph is not node.graph or not is_float(context.shapes.dtype(after)):
            break
        value = after
    return value


def _written(proposal: Proposal, value: ir.Value) -> ir.Value:
    producer = value.producer()
    assert producer is not None
    exact = proposal.context.constants.float64(value)
    dtype = proposal.context.shapes.dtype(value)
    if exact is None or dtype is None or not is_float(dtype):
        raise RefusedError(f"'{value.name}' cannot be worked out here")
    if value.is_graph_output() or any(out.uses() for out in producer.outputs[1:]):
        raise RefusedError(f"'{value.name}' is not all that is read of it")
    return proposal.constant(exact, dtype, str(value.name))
