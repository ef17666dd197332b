"""The names of operators, which mean something only together with their domain."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.ops.operators import DOMAIN

ONNX = ""
MICROSOFT = "com.microsoft"
MACHINE_LEARNING = "ai.onnx.ml"


def onnx_name(node: ir.Node) -> str:
    """The operator of a node if it is one of ONNX's own, else "".

    A function of the model may be called ``my::Size``; it is another operator than Size.
    """
    return node.op_type if node.domain == ONNX else ""


def norm_name(node: ir.Node) -> str:
    """The operator of a node of ONNX's domain, of ONNX Runtime's or of ours, else "".

    The norms of all three have names of their own, or mean the same.
    """
    return node.op_type if node.domain in (ONNX, MICROSOFT, DOMAIN) else ""
