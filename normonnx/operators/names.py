"""The names of operators, which mean something only together with their domain."""

from __future__ import annotations

import onnx_ir as ir

ONNX = ""
MICROSOFT = "com.microsoft"


def onnx_name(node: ir.Node) -> str:
    """The operator of a node if it is one of ONNX's own, else "".

    A function of the model may be called ``my::Size``; it is another operator than Size.
    """
    return node.op_type if node.domain == ONNX else ""
