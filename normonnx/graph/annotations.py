"""Quantisation annotations of a model: they name tensors that no node need read."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.graph.nesting import graphs_of

_NAMES = "quant_parameter_tensor_names"
"""Where onnx_ir keeps what an annotation names, in the `meta` of the value that it is about."""


def named_by_annotations(model: ir.Model) -> frozenset[str]:
    """The names of the scales, zero points and the like that annotations refer to."""
    found: set[str] = set()
    for graph in graphs_of(model):
        computed = (out for node in graph for out in node.outputs)
        for value in (*graph.inputs, *graph.initializers.values(), *computed):
            found.update(map(str, value.meta.get(_NAMES, {}).values()))
    return frozenset(found)
