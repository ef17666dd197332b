"""What onnx's shape inference does not check: whether a node can run at such sizes."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from normonnx.operators.names import ONNX
from normonnx.operators.table import facts_of
from normonnx.sizes.foreign_pairs import FOREIGN_PAIRS
from normonnx.sizes.pairs import ONNX_PAIRS, Rule, broadcast
from normonnx.sizes.tensor import ContradictionError, Tensors


def check(node: ir.Node, inputs: Tensors, attributes: Mapping[str, ir.Attr]) -> None:
    """Refuse sizes at which a node cannot run, where onnx's inference would not notice.

    Raises:
        ContradictionError: with the size that does not fit and the one that would.
    """
    rule = _rule_of(node)
    if rule is None or not inputs or any(t is None for t in inputs[:2]):
        return
    shapes = [None if t is None else t.shape for t in inputs]
    unmet = [(found, wanted) for found, wanted in rule(shapes, attributes) if found != wanted]
    if unmet:
        found, wanted = unmet[0]
        error = ContradictionError(
            f"{node.op_type} '{node.name}' takes {wanted} where it gets {found}", found, wanted
        )
        error.unmet = len(unmet)
        raise error


def _rule_of(node: ir.Node) -> Rule | None:
    known = FOREIGN_PAIRS.get((node.domain, node.op_type))
    rule = ONNX_PAIRS.get(node.op_type) if node.domain == ONNX else known
    return broadcast if rule is None and facts_of(node).elementwise else rule
