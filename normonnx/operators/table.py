"""The facts of all families by domain and operator."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from normonnx.operators import (
    activation,
    arithmetic,
    comparison,
    control_flow,
    convolution,
    indexing,
    layout,
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

_FAMILIES = (
    activation,
    arithmetic,
    comparison,
    control_flow,
    convolution,
    indexing,
    layout,
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
