"""NX201: what depends on constants alone is stored, where it does not make the file much larger."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from normonnx.journal import RefusedError
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context, Proposal
from normonnx.rewrite.gain import dying
from normonnx.simplify.rule import CONSTANTS, Found, begin
from normonnx.values.constants import is_float

MOST_ADDED = 1 << 18
"""Bytes that a worked-out constant may be larger than the constants that go with it."""

_WHOLE = "iub"
"""The kinds of NumPy's integers and truth values."""


def worked_out(context: Context, node: ir.Node) -> Found | None:
    """Each constant output of a node that somebody reads who is no constant."""
    outs = [out for out in node.outputs if _is_read(context, out)]
    if not outs or not all(map(context.constants.is_constant, outs)):
        return None
    is_inner = node.graph is not context.model.graph
    if onnx_name(node) == "Constant" or any(out.is_graph_output() and is_inner for out in outs):
        return None
    if not all(_may_be_small(context, out) for out in outs):
        return None
    proposal = begin(context, CONSTANTS, node)
    try:
        for out in outs:
            new = _stored(context, proposal, out)
            if new is None:
                proposal.withdraw()
                return None
            proposal.replace(out, new)
    except RefusedError:
        proposal.withdraw()
        return None
    if _added(proposal) > MOST_ADDED:
        proposal.withdraw()
        return None
    return Found(proposal, f"{node.op_type} of constants → constant")


def _is_read(context: Context, out: ir.Value) -> bool:
    """Whether a node reads it whose own outputs are not all constant, or the model gives it."""
    return out.is_graph_output() or any(
        use.node.graph is not None and not all(map(context.constants.is_constant, use.node.outputs))
        for use in out.uses()
    )


def _may_be_small(context: Context, out: ir.Value) -> bool:
    """Whether it is worth working out: its size is not known to be too large."""
    size, dtype = context.shapes.static(out), context.shapes.dtype(out)
    if dtype == ir.DataType.STRING:
        return False
    if size is None:
        return True
    count = int(np.prod(size, dtype=object)) if size else 1
    stored = sum(v.const_value.nbytes for v in _sources(context, out) if v.const_value is not None)
    width = 8 if dtype is None else max(1, dtype.itemsize)
    return count * width <= MOST_ADDED + stored


def _sources(context: Context, out: ir.Value) -> list[ir.Value]:
    """The initializers that a constant is worked out from."""
    found: dict[ir.Value, None] = {}
    seen: set[ir.Value] = set()
    pending = [out]
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        producer = value.producer()
        if producer is None:
            found[value] = None
        else:
            pending.extend(v for v in producer.inputs if v is not None)
    return [value for value in found if context.constants.is_constant(value)]


def _stored(context: Context, proposal: Proposal, out: ir.Value) -> ir.Value | None:
    """The constant as a new initializer, None for a type or a size that is left alone."""
    array, dtype = context.constants.array(out), context.shapes.dtype(out)
    if array is None or dtype is None:
        return None
    if not is_float(dtype):
        plain = array.dtype.kind in _WHOLE and ir.DataType.from_numpy(array.dtype) == dtype
        return proposal.integers(array.copy(order="C"), str(out.name)) if plain else None
    exact = context.constants.float64(out)
    if exact is None or np.isnan(exact).any():
        return None
    stored = exact.astype(dtype.numpy())
    if not np.array_equal(stored.astype(np.float64), exact):
        return proposal.constant(exact, dtype, str(out.name))
    return proposal.constant(exact, dtype, str(out.name), maker=lambda: stored.astype(np.float64))


def _added(proposal: Proposal) -> int:
    """Bytes by which the model's constants grow."""
    _, dead = dying(proposal)
    gone = sum(value.const_value.nbytes for value in dead if value.const_value is not None)
    come = sum(v.const_value.nbytes for v in proposal.constants if v.const_value is not None)
    return come - gone
