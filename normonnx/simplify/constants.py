"""NX201: what depends on constants alone is stored, where it does not make the file much larger."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from normonnx.graph.nesting import graphs_within
from normonnx.journal import RefusedError
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context, Proposal
from normonnx.rewrite.gain import dying
from normonnx.simplify.rule import CONSTANTS, Found, begin, may_change, note
from normonnx.values.constants import is_float

MOST_ADDED = 1 << 18
"""Bytes that a constant may add which is built from next to nothing, such as a mask, or which
holds whole numbers, such as indices."""

LITTLE = 1 << 12
"""Bytes: what is built from less is built from next to nothing, and what is worked out from more,
such as a weight in a narrower type, may be larger by no more than this."""

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
    if not all(_may_be_stored(context, out) for out in outs):
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
    if _is_too_large(proposal, outs):
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
    count = int(np.prod(size, dtype=object)) if size else 1
    width = 8 if dtype is None else max(1, dtype.itemsize)
    stored = sum(value.const_value.nbytes for value in sources if value.const_value is not None)
    return count * width <= stored + _allowance(stored, dtype)


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


def _is_too_large(proposal: Proposal, outs: list[ir.Value]) -> bool:
    """Whether the model's constants would grow by more than is allowed."""
    _, dead = dying(proposal)
    gone = sum(value.const_value.nbytes for value in dead if value.const_value is not None)
    come = sum(v.const_value.nbytes for v in proposal.constants if v.const_value is not None)
    sources = {value for out in outs for value in _cone(out)[1]}
    stored = sum(value.const_value.nbytes for value in sources if value.const_value is not None)
    return come - gone > min(_allowance(stored, v.dtype) for v in proposal.constants)


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
