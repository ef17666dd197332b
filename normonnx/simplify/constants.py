"""NX201: what depends on constants alone is stored, where it does not make the file much larger."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import onnx_ir as ir

from normonnx.graph.nesting import graphs_within, walk
from normonnx.journal import RefusedError
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context, Proposal
from normonnx.rewrite.gain import dying
from normonnx.simplify.budget import LITTLE, Budget
from normonnx.simplify.rule import CONSTANTS, Found, begin, may_change, note
from normonnx.values.constants import is_float

MOST_ADDED = 1 << 18
"""Bytes that a constant may add which is built from next to nothing, such as a mask, or which
holds whole numbers, such as indices."""

_WHOLE = "iub"
"""The kinds of NumPy's integers and truth values."""


def look_ahead(budget: Budget, context: Context) -> None:
    """Let a budget decide, from all constants of a model that could be stored."""
    outs = [out for node in walk(context.model.graph) for out in _candidates(context, node)]
    budget.look(growth for out in outs if 0 < (growth := _growth(context, out)) <= MOST_ADDED)


def _growth(context: Context, out: ir.Value) -> int:
    """The bytes that a constant adds to those of which it alone is made, as far as they are known.

    It is what `_is_too_large` finds once the numbers are there.
    """
    nodes, sources = _cone(out)
    own = set(nodes)
    gone = [v for v in sources if all(use.node in own for use in v.uses())]
    size = context.shapes.static(out)
    return 0 if size is None else _size_of(context, out, size) - _stored_bytes(gone)


def _candidates(context: Context, node: ir.Node) -> list[ir.Value]:
    """The constant outputs of a node that others read; none where one of them has to stay."""
    outs = [out for out in node.outputs if _is_read(context, out)]
    if not outs or not all(map(context.constants.is_constant, outs)):
        return []
    is_inner = node.graph is not context.model.graph
    if onnx_name(node) == "Constant" or any(out.is_graph_output() and is_inner for out in outs):
        return []
    return outs if all(_may_be_stored(context, out) for out in outs) else []


def worked_out(budget: Budget, context: Context, node: ir.Node) -> Found | None:
    """Each constant output of a node that somebody reads who is no constant."""
    outs = _candidates(context, node)
    if not outs:
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
    if _is_too_large(budget, proposal, outs):
        proposal.withdraw()
        return None
    return Found(proposal, f"{node.op_type} of constants → constant")


def _is_read(context: Context, out: ir.Value) -> bool:
    """Whether a node reads it whose own outputs are not all constant, or the model gives it."""
    return out.is_graph_output() or any(
        use.node.graph is not None and not all(map(context.constants.is_constant, use.node.outputs))
        for use in out.uses()
    )


def _may_be_stored(context: Context, out: ir.Value) -> bool:
    """Whether a constant is worth working out, as far as that can be told without its numbers."""
    size, dtype = context.shapes.static(out), context.shapes.dtype(out)
    nodes, sources = _cone(out)
    if dtype == ir.DataType.STRING or any(onnx_name(n) == "DequantizeLinear" for n in nodes):
        return False  # runtimes compute with quantised weights as they are stored
    if size is None:
        return True
    stored = _stored_bytes(sources)
    return _size_of(context, out, size) <= stored + _allowance(stored, dtype)


def _size_of(context: Context, out: ir.Value, shape: Sequence[int]) -> int:
    """The bytes of a tensor of a shape."""
    dtype = context.shapes.dtype(out)
    width = 8 if dtype is None else max(1, math.ceil(dtype.itemsize))
    return math.prod(shape) * width


def _stored_bytes(values: Iterable[ir.Value]) -> int:
    return sum(value.const_value.nbytes for value in values if value.const_value is not None)


def _allowance(stored: int, dtype: ir.DataType | None) -> int:
    """Bytes that a constant of a type may add to those of this size that it is made from."""
    return LITTLE if is_float(dtype) and stored > LITTLE else MOST_ADDED


def _cone(out: ir.Value) -> tuple[list[ir.Node], list[ir.Value]]:
    """The nodes that a constant is worked out by, and the values that they begin with."""
    nodes: dict[ir.Node, None] = {}
    sources: dict[ir.Value, None] = {}
    pending = [out]
    while pending:
        value = pending.pop()
        producer = value.producer()
        if producer is None:
            sources[value] = None
        elif producer not in nodes:
            nodes[producer] = None
            pending.extend(v for v in producer.inputs if v is not None)
    return list(nodes), list(sources)


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


def _is_too_large(budget: Budget, proposal: Proposal, outs: list[ir.Value]) -> bool:
    """Whether the model's constants would grow by more than is allowed."""
    _, dead = dying(proposal)
    growth = _stored_bytes(proposal.constants) - _stored_bytes(dead)
    stored = _stored_bytes({value for out in outs for value in _cone(out)[1]})
    return growth > min(_allowance(stored, v.dtype) for v in proposal.constants) or not (
        budget.takes(growth)
    )


def store_nodes(context: Context) -> None:
    """Put the tensors of Constant nodes among the initializers of their graphs."""
    if not may_change(context, CONSTANTS, "nodes"):
        return
    moved = [
        ("Constant", str(node.name or ""))
        for graph in graphs_within(context.model.graph)
        for node in list(graph)
        if _store_node(context, graph, node)
    ]
    note(
        context,
        CONSTANTS,
        "nodes",
        moved,
        summary="Constant nodes → initializers",
        certificate="the same type, shape and bits",
    )


def _store_node(context: Context, graph: ir.Graph, node: ir.Node) -> bool:
    out = node.outputs[0] if node.outputs else None
    if onnx_name(node) != "Constant" or out is None or out.is_graph_output():
        return False
    tensor = _tensor(context, node)
    if tensor is None:
        return False
    new = ir.Value(
        name=out.name,
        shape=ir.Shape(tensor.shape.numpy()),
        type=ir.TensorType(tensor.dtype),
        const_value=tensor,
        doc_string=out.doc_string,
    )
    new.metadata_props.update(out.metadata_props)
    context.shapes.set(new, tuple(tensor.shape.numpy()), tensor.dtype)
    out.replace_all_uses_with(new)
    out.name = None
    graph.remove(node, safe=True)
    graph.register_initializer(new)
    return True


def _tensor(context: Context, node: ir.Node) -> ir.TensorProtocol | None:
    """What a Constant node holds, None for a sparse one or a reference to an attribute."""
    attribute = node.attributes.get("value")
    if attribute is not None:
        return None if attribute.is_ref() else attribute.as_tensor()
    array = context.constants.array(node.outputs[0])
    if array is None or array.dtype.kind not in "if" or "sparse_value" in node.attributes:
        return None
    return ir.Tensor(array)
