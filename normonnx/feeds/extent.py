"""What whole numbers mean where they are read, and whether those of an input may be of any size."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.feeds.trace import Functions
from normonnx.graph.nesting import subgraphs
from normonnx.operators.lookups import row_tables
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of

# (operator, input) → what reading an integer there means
LENGTH_INPUTS: frozenset[tuple[str, int]] = frozenset(
    (("LSTM", 4), ("GRU", 4), ("RNN", 4), ("ReverseSequence", 1))
)
SIZE_INPUTS: frozenset[tuple[str, int]] = frozenset(
    (op, index)
    for op, indices in {
        "Reshape": (1,),
        "Expand": (1,),
        "ConstantOfShape": (0,),
        "Range": (0, 1, 2),
        "Tile": (1,),
        "Slice": (1, 2, 4),
        "Resize": (3,),
        "TopK": (1,),
        "Loop": (0,),
        "Split": (1,),
        "OneHot": (1,),
        "Pad": (1,),
    }.items()
    for index in indices
)
AXIS_INPUTS: frozenset[tuple[str, int]] = frozenset(
    (op, index)
    for op, index in (("Unsqueeze", 1), ("Squeeze", 1), ("CumSum", 1), ("Slice", 3), ("Pad", 3))
)
LOOKED_UP: frozenset[tuple[str, int]] = frozenset(
    (name, 1) for name in ("Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND")
)


def is_free(value: ir.Value, functions: Functions) -> bool:
    """Whether nothing that is computed of a value is an index, a size or an axis anywhere.

    What goes into a function or a graph of a node may be one.
    """
    tainted, waiting = {value}, [value]
    while waiting:
        for node, index in waiting.pop().uses():
            if node.graph is not value.graph or not _takes_any(node, index, functions):
                return False
            if facts_of(node).reads_shape_only:
                continue
            fresh = set(node.outputs) - tainted
            tainted |= fresh
            waiting += fresh
    return True


def _takes_any(node: ir.Node, index: int, functions: Functions) -> bool:
    """Whether a node takes numbers of any size there."""
    if node.op_identifier() in functions or subgraphs(node) or node.domain:
        return False
    place = (onnx_name(node), index)
    counted = any(place in each for each in (LENGTH_INPUTS, SIZE_INPUTS, AXIS_INPUTS, LOOKED_UP))
    return not counted and index not in row_tables(node).values()
