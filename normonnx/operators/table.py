"""The facts of all families by domain and operator."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from normonnx.graph.nesting import subgraphs
from normonnx.operators import (
    activation,
    arithmetic,
    comparison,
    control_flow,
    convolution,
    indexing,
    layout,
    machine_learning,
    microsoft,
    normalization,
    own,
    pooling,
    product,
    quantization,
    random,
    recurrent,
    reduction,
    resize,
    sequence,
    shape,
)
from normonnx.operators.facts import UNKNOWN, Facts
from normonnx.operators.names import ONNX, onnx_name

_FAMILIES = (
    activation,
    arithmetic,
    comparison,
    control_flow,
    convolution,
    indexing,
    layout,
    machine_learning,
    microsoft,
    normalization,
    own,
    pooling,
    product,
    quantization,
    random,
    recurrent,
    reduction,
    resize,
    sequence,
    shape,
)

FACTS: Mapping[tuple[str, str], Facts] = {
    (facts.domain, facts.name): facts for family in _FAMILIES for facts in family.FACTS
}
"""By domain and operator."""


def facts_of_operator(domain: str, op_type: str) -> Facts:
    """What is known of an operator; UNKNOWN, in which nothing is so, for any other."""
    return FACTS.get((domain, op_type), UNKNOWN)


def facts_of(node: ir.Node) -> Facts:
    """What is known of the operator of a node."""
    return facts_of_operator(node.domain, node.op_type)


def is_deterministic(node: ir.Node) -> bool:
    """Whether a node is an operator that gives the same for the same inputs, and runs no graph."""
    facts = facts_of(node)
    if facts.random or facts.control_flow or (node.domain != ONNX and facts.kernel is None):
        return False
    if onnx_name(node) == "Dropout" and len(node.inputs) > 2:
        return False  # it may be told to train
    return not subgraphs(node)
