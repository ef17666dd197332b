"""What a rewrite would save, and which of several to take."""

from __future__ import annotations

from collections.abc import Container, Iterable

import onnx_ir as ir

from normonnx.operators.names import onnx_name


def dying(outputs: Iterable[ir.Value], kept: frozenset[ir.Value]) -> int:
    """How many nodes nothing needs any more once the outputs come from elsewhere; see `dead`."""
    return sum(onnx_name(node) != "Constant" for node in dead(outputs, kept))


def dead(outputs: Iterable[ir.Value], kept: frozenset[ir.Value]) -> set[ir.Node]:
    """The nodes that nothing needs any more once the outputs come from elsewhere.

    Args:
        outputs: values that get a new producer.
        kept: values that the new producers read.
    """
    replaced = set(outputs)
    found: set[ir.Node] = set()
    pending = [value.producer() for value in replaced]
    while pending:
        node = pending.pop()
        if node is None or node in found or any(out in kept for out in node.outputs):
            continue
        if all(
            out in replaced
            or (not out.is_graph_output() and all(user in found for user in out.consumers()))
            for out in node.outputs
        ):
            found.add(node)
            pending.extend(value.producer() for value in node.inputs if value is not None)
    return found


def is_read_beyond(value: ir.Value, region: Container[ir.Value]) -> bool:
    """Whether a value is an output of the graph, or read by a node that computes none of these."""
    return value.is_graph_output() or any(
        not any(out in region for out in node.outputs) for node in value.consumers()
    )
