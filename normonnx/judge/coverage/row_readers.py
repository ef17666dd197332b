"""Which rows an operator looks up that goes on to compute with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from normonnx.operators.kernels import Array
from normonnx.operators.lookups import row_tables
from normonnx.operators.names import MICROSOFT

# Without numbers, the rows of this table are counted along the second axis of the first input.
_COUNTED: Mapping[tuple[str, str], int] = {(MICROSOFT, "EmbedLayerNormalization"): 3}

Known = Callable[[ir.Value | None], Array | None]
"""What a value is on a feed, None where that is not known."""


def places_of(node: ir.Node, index: int) -> int | None:
    """The input of a node that says which rows of this one are read; None where none does.

    Where rows are counted along another input, it is that one.
    """
    kind = (node.domain, node.op_type)
    place = row_tables(node).get(index)
    if place is not None and place < len(node.inputs) and node.inputs[place] is not None:
        return place
    return 0 if _COUNTED.get(kind) == index else None


def rows_of(node: ir.Node, index: int, known: Known) -> Array | None:
    """The rows of this input that a node reads, None where that cannot be told."""
    place = places_of(node, index)
    given = None if place is None else known(node.inputs[place])
    if given is None:
        return None
    if row_tables(node).get(index) != place:
        return np.arange(given.shape[1])
    if node.op_type == "RotaryEmbedding" and given.size == 1:  # the place of the first of them
        rotated = known(node.inputs[0])
        length = 1 if rotated is None else rotated.shape[-2 if rotated.ndim == 4 else 1]
        return np.asarray(given.reshape(-1)[0] + np.arange(length))
    return np.unique(given)
