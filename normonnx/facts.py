"""What a model is made of, counted without reading a weight."""

from __future__ import annotations

from collections import Counter

import onnx_ir as ir

from normonnx.model_io import tensors_of
from normonnx.nesting import graphs_of
from normonnx.report import ModelFacts


def facts_of(model: ir.Model) -> ModelFacts:
    """Operators, parameters and bytes of `model`, its subgraphs and functions."""
    operators = Counter(
        node.op_type if node.domain == "" else f"{node.domain}::{node.op_type}"
        for graph in graphs_of(model)
        for node in graph
    )
    distinct = {id(tensor): tensor for tensor in tensors_of(model)}
    return ModelFacts(
        opset=model.opset_imports.get("", 0),
        ir_version=model.ir_version,
        nodes=operators.total(),
        operators=dict(sorted(operators.items())),
        parameters=sum(t.size for t in distinct.values() if t.dtype.is_floating_point()),
        nbytes=sum(t.nbytes for t in distinct.values() if t.dtype != ir.DataType.STRING),
    )
