"""What lies before a last Softmax or Sigmoid, where errors are not squeezed out of sight.

A class of probability 1e-12 may be wrong by half and no output shows it. So where both models end
in the same operator, its inputs are compared as well.
"""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

_SATURATING = frozenset(("Softmax", "Sigmoid", "Tanh", "HardSigmoid"))
_MOVING = frozenset(("Identity", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Flatten", "Cast"))


def before_saturation(model: ir.Model, *, without: Collection[str] = ()) -> dict[str, ir.Value]:
    """The inputs of the last saturating operators, under names such as ``y before Softmax``.

    Args:
        model: the model.
        without: outputs to leave out.
    """
    visible = {*model.graph.inputs, *model.graph.outputs}
    found = {}
    for output in model.graph.outputs:
        node = None if output.name in without else output.producer()
        while node is not None and node.domain == "" and node.op_type in _MOVING:
            source = node.inputs[0]
            node = None if source is None else source.producer()
        if node is None or node.domain != "" or node.op_type not in _SATURATING:
            continue
        value = node.inputs[0]
        if value is not None and value.name and value not in visible and value.producer():
            found[f"{output.name} before {node.op_type}"] = value
    return found
