"""The nodes of a region in another order, with the Transposes that are left around them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx_ir as ir

from normonnx.graph.nesting import walk
from normonnx.journal import Refusal, RefusedError
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context, Proposal, commit
from normonnx.simplify.rule import TRANSPOSES, Found, begin
from normonnx.simplify.transposes.order import (
    Order,
    behind,
    inverse,
    is_kept,
    order_of,
)
from normonnx.simplify.transposes.region import Region, best_part, region_of
from normonnx.values.constants import is_float


def move(context: Context) -> bool:
    """Move Transposes past what lies between them where some vanish by that; whether any did.

    What else shortens them goes first: of a product and its Transposes less is left than of these
    alone.
    """
    found = False
    hopeless: dict[ir.Value, Order] = {}
    for node in list(walk(context.model.graph)):
        if node.graph is None or onnx_name(node) != "Transpose":
            continue
        rewriting = _moved(context, node, hopeless)
        if rewriting is None:
            continue
        result = commit(rewriting.proposal, summary=rewriting.summary)
        if not isinstance(result, Refusal):
            found, hopeless = True, {}
    return found


def _moved(context: Context, node: ir.Node, hopeless: dict[ir.Value, Order]) -> Found | None:
    """The nodes on one side of a Transpose in its order, where Transposes vanish by that.

    Args:
        context: of the run.
        node: the Transpose.
        hopeless: tensors that need not be looked at in these orders; more of them are added.
    """
    source, graph = node.inputs[0], node.graph
    order = order_of(context, node, graph)
    if order is None or source is None or not isinstance(graph, ir.Graph):
        return None
    for value, new in ((node.outputs[0], inverse(order)), (source, order)):
        if hopeless.get(value) == new:
            continue
        region = region_of(context, graph, value, new)
        part = best_part(context, region)
        if part:
            return _rewritten(context, node, region, part)
        hopeless.update(region.orders)
    return None


def _rewritten(context: Context, node: ir.Node, region: Region, part: set[ir.Node]) -> Found | None:
    proposal = begin(context, TRANSPOSES, node)
    proposal.least_gain = 1
    writing = _Writing(context, proposal, region)
    nodes = [one for one in region.graph if one in part]
    try:
        for one in nodes:
            writing.write(one)
    except RefusedError:
        proposal.withdraw()
        return None
    for one in nodes:
        for out in one.outputs:
            writing.hand_on(out, part)
    between = dict.fromkeys(one.op_type for one in nodes)
    return Found(proposal, f"Transposes around {', '.join(between)} → fewer")


class _Writing:
    """The new tensors of a proposal, by the old ones that they are of."""

    def __init__(self, context: Context, proposal: Proposal, region: Region) -> None:
        self._context, self._proposal, self._region = context, proposal, region
        self._new: dict[ir.Value, tuple[ir.Value, Order]] = {}
        self._made: dict[tuple[ir.Value, Order], ir.Value] = {}

    def write(self, node: ir.Node) -> None:
        """Add a node as it works in another order.

        Raises:
            RefusedError: if an operand is of a type that is left alone.
        """
        becomes = self._region.nodes[node]
        given = [
            None if value is None else self._operand(value, order)
            for value, order in zip(node.inputs, becomes.inputs, strict=True)
        ]
        for place, array in becomes.given.items():
            given += [None] * (place + 1 - len(given))
            name = f"{node.outputs[0].name}_{place}"
            given[place] = self._proposal.integers(array, name)
        outs = self._proposal.outputs(node, given, becomes.attributes)
        for out, new, order in zip(node.outputs, outs, becomes.outputs, strict=True):
            self._note(new, out, order)
            self._new[out] = (new, order)

    def _operand(self, value: ir.Value, order: Order | None) -> ir.Value:
        """What a new node reads for a tensor, in its own order where none is asked for."""
        if order is not None:
            return self._in_order(value, order)
        return self._in_order(value, _same(self._new[value][1])) if value in self._new else value

    def _note(self, new: ir.Value, old: ir.Value, order: Order) -> None:
        """What is known of a tensor that holds another in an order."""
        shapes = self._context.shapes
        dims = shapes.dims(old)
        laid = None if dims is None else tuple(dims[axis] for axis in order)
        shapes.set(new, laid, shapes.dtype(old))

    def _in_order(self, value: ir.Value, order: Order) -> ir.Value:
        """A tensor in another order."""
        if (value, order) not in self._made:
            self._made[value, order] = self._found(value, order)
        return self._made[value, order]

    def _found(self, value: ir.Value, order: Order) -> ir.Value:
        if value in self._new:
            new, laid = self._new[value]
            return self._transposed(new, value, behind(inverse(laid), order), order)
        if self._context.constants.is_constant(value):
            return self._constant(value, order)
        producer = value.producer()
        makes = order_of(self._context, producer, self._region.graph)
        if producer is None or makes is None or producer.inputs[0] is None:
            return self._shared(value, order)
        source = producer.inputs[0]
        whole = behind(makes, order)
        if source in self._new:
            new, laid = self._new[source]
            return self._transposed(new, value, behind(inverse(laid), whole), order)
        return self._transposed(source, value, whole, order)

    def _shared(self, value: ir.Value, order: Order) -> ir.Value:
        """A Transpose of a tensor, also for those who read one that is there already."""
        new = self._transposed(value, value, order, order)
        for use in list(value.uses()):
            if order_of(self._context, use.node, self._region.graph) == order:
                self._proposal.replace(use.node.outputs[0], new)
        return new

    def _transposed(self, source: ir.Value, value: ir.Value, perm: Order, order: Order) -> ir.Value:
        """What a Transpose makes of a tensor, which is a value in an order."""
        if is_kept(perm):
            return source
        new = self._proposal.node("Transpose", [source], {"perm": perm})
        self._note(new, value, order)
        return new

    def _constant(self, value: ir.Value, order: Order) -> ir.Value:
        """A constant whose axes, counted from the last one, are laid out anew.

        Raises:
            RefusedError: if its numbers are of a type that is left alone.
        """
        constants = self._context.constants
        array, dtype = constants.array(value), constants.dtype(value)
        if array is None or dtype is None:
            raise RefusedError(f"'{value.name}' cannot be read")
        name = str(value.name)
        if is_float(dtype):
            exact = constants.float64(value)
            laid = _laid_out(array.astype(np.float64) if exact is None else exact, order)
            return self._proposal.constant(laid, dtype, name, maker=lambda: laid)
        if array.dtype.kind not in "iub" or ir.DataType.from_numpy(array.dtype) != dtype:
            raise RefusedError(f"'{value.name}' is of a type that is left alone")
        return self._proposal.integers(_laid_out(array, order), name)

    def hand_on(self, value: ir.Value, part: Iterable[ir.Node]) -> None:
        """Let what reads a tensor in the old order, or through a Transpose, read the new one."""
        new, order = self._new[value]
        others = value.is_graph_output()
        for use in list(value.uses()):
            then = order_of(self._context, use.node, self._region.graph)
            if then is not None:
                whole = behind(inverse(order), then)
                out = use.node.outputs[0]
                self._proposal.replace(out, self._transposed(new, out, whole, _same(whole)))
            elif use.node.graph is not None and use.node not in part:
                others = True
        if others:
            self._proposal.replace(value, self._in_order(value, _same(order)))


def _same(order: Order) -> Order:
    return tuple(range(len(order)))


def _laid_out(array: np.ndarray, order: Order) -> np.ndarray:
    """An array in another order, without the axes of length 1 in front that it did not have."""
    full = array.reshape((1,) * (len(order) - array.ndim) + array.shape).transpose(order)
    shape = list(full.shape)
    while len(shape) > array.ndim and shape[0] == 1:
        del shape[0]
    return np.ascontiguousarray(full.reshape(shape))
