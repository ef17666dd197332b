"""What a caller of a model has to give."""

from __future__ import annotations

import onnx_ir as ir


def required_inputs(model: ir.Model) -> list[ir.Value]:
    """The inputs without a default: those that a caller has to give."""
    return [v for v in model.graph.inputs if v.const_value is None]
