"""Where a node is, as a person would say it: the module that it came from.

Exporters leave that in the metadata of a node (torch.onnx), or in its name (all others).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

import onnx_ir as ir

from normonnx.graph.nesting import subgraphs, walk

_SCOPES = "pkg.torch.onnx.name_scopes"
_WRAPPERS = re.compile(r"(Stateful)?PartitionedCall(:\d+)?")
"""Scopes that TensorFlow puts around everything."""


def scope_of(node: ir.Node, owners: Mapping[ir.Graph, ir.Node]) -> str:
    """The path of modules that a node came from, such as ``layers.0/norm``; "" if none is known.

    Args:
        node: of a model.
        owners: the control-flow node that each subgraph belongs to.
    """
    return "/".join([*_around(node, owners), _own(node)]).strip("/")


def owners_of(model: ir.Model) -> dict[ir.Graph, ir.Node]:
    """The control-flow node that each subgraph of a model belongs to."""
    bodies = (model.graph, *(function.graph for function in model.functions.values()))
    nodes = (node for body in bodies for node in walk(body))
    return {graph: node for node in nodes for graph in subgraphs(node)}


def _own(node: ir.Node) -> str:
    recorded = node.metadata_props.get(_SCOPES)
    if recorded is not None:
        try:
            scopes = ast.literal_eval(recorded)
        except (SyntaxError, ValueError):
            scopes = None
        if isinstance(scopes, list) and len(scopes) > 1:
            return str(scopes[-2]).replace(".", "/")
    name = str(node.name or (node.outputs[0].name if node.outputs else "") or "")
    parts = [part for part in name.split("/")[:-1] if part and not _WRAPPERS.fullmatch(part)]
    kept: list[str] = []
    for part in parts:
        # torch.onnx repeats a container's name in its members: branch2/branch2.6
        if kept and part.startswith(f"{kept[-1]}."):
            kept[-1] = part
        else:
            kept.append(part)
    return "/".join(kept)


def _around(node: ir.Node, owners: Mapping[ir.Graph, ir.Node]) -> list[str]:
    """The control-flow nodes that a node is inside of, the outermost first."""
    found: list[str] = []
    graph = node.graph
    while isinstance(graph, ir.Graph) and graph in owners:
        owner = owners[graph]
        found.insert(0, f"{owner.op_type} '{owner.name or owner.outputs[0].name}'")
        graph = owner.graph
    return found
