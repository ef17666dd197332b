"""What a model is made of, counted without reading a weight."""

from __future__ import annotations

from collections import Counter

import onnx_ir as ir

from normonnx.graph.nesting import graphs_of
from normonnx.model_io import tensors_of
from normonnx.report import ModelFacts


def facts_of(model: ir.Model) -> ModelFacts:
    """Operators, parameters and bytes of `model`, its subgraphs and functions."""
    operators = Counter(
        node.op_type if node.domain == "" else f"{node.domain}::{node.op_type}"
        for graph in graphs_of(model)
        for node in graph
    )
    parameters = nbytes = 0
    for tensor in {id(tensor): tensor for tensor in tensors_of(model)}.values():
        size, dtype = tensor.size, tensor.dtype
        if dtype.is_floating_point():
            parameters += size
        if dtype != ir.DataType.STRING:
            nbytes += -(-size * dtype.bitwidth // 8)
    return ModelFacts(
        opset=model.opset_imports.get("", 0),
        ir_version=model.ir_version,
        nodes=operators.total(),
        operators=dict(sorted(operators.items())),
        parameters=parameters,
        nbytes=nbytes,
    )
