"""Whether a model has operators of the domain normonnx, and whether it runs without the library."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from normonnx.graph.nesting import walk
from normonnx.ops.operators import DOMAIN


def needs_kernels(model: ir.Model) -> bool:
    """Whether a model has operators of the domain normonnx, in whichever graph."""
    return any(True for _ in _own_nodes(model))


def carries_functions(model: ir.Model) -> bool:
    """Whether every operator of the domain normonnx comes with its function."""
    return all((DOMAIN, node.op_type, "") in model.functions for node in _own_nodes(model))


def _own_nodes(model: ir.Model) -> Iterator[ir.Node]:
    bodies: list[ir.Graph | ir.Function] = [model.graph]
    bodies += [function for function in model.functions.values() if function.domain != DOMAIN]
    return (node for body in bodies for node in walk(body) if node.domain == DOMAIN)
