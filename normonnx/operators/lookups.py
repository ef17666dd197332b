"""Operators that look up rows of a table and go on to compute with them."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from normonnx.operators.names import MICROSOFT, ONNX

_ROWS: Mapping[tuple[str, str], Mapping[int, int]] = {
    (MICROSOFT, "EmbedLayerNormalization"): {2: 0, 3: 8, 4: 1},
    (MICROSOFT, "GatherBlockQuantized"): {0: 1},
    (MICROSOFT, "RotaryEmbedding"): {2: 1, 3: 1},
    (ONNX, "RotaryEmbedding"): {1: 3, 2: 3},
}
"""By operator: the input that is a table → the one that holds the numbers of its rows."""


def row_tables(node: ir.Node) -> Mapping[int, int]:
    """The inputs of a node that are tables, each with the input that holds numbers of its rows."""
    return _ROWS.get((node.domain, node.op_type), {})
