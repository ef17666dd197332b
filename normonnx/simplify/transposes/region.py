"""The nodes between Transposes that could work on tensors which are laid out anew."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir
from msgspec import Struct, field

from normonnx.rewrite import Context
from normonnx.simplify.transposes.carried import Carried
from normonnx.simplify.transposes.carry import carried
from normonnx.simplify.transposes.cut import BOND, Ties
from normonnx.simplify.transposes.order import Order, behind, is_kept, order_of

_MOST_NODES = 1000
"""So many nodes are looked at, from one Transpose on."""


class Region(Struct):
    """Nodes that hang together, and what each would become.

    Attributes:
        graph: where all of them are.
        orders: of each tensor between them the order that it would have, where that is another.
        nodes: what they become.
    """

    graph: ir.Graph
    orders: dict[ir.Value, Order] = field(default_factory=dict)
    nodes: dict[ir.Node, Carried] = field(default_factory=dict)


def region_of(context: Context, graph: ir.Graph, value: ir.Value, order: Order) -> Region:
    """All nodes that could work in another order if this tensor were in it."""
    region = Region(graph, {value: order})
    pending = [value]
    while pending and len(region.nodes) < _MOST_NODES:
        value = pending.pop()
        order = region.orders[value]
        around = [use.node for use in value.uses()]
        if (producer := value.producer()) is not None:
            around.append(producer)
        for node in around:
            if node.graph is graph and node not in region.nodes:
                pending.extend(_taken_in(context, region, node, value, order))
    return region


def _taken_in(
    context: Context, region: Region, node: ir.Node, value: ir.Value, order: Order
) -> Iterator[ir.Value]:
    """The tensors of a node that are new to a region which takes it in."""
    if any(map(context.constants.is_constant, node.outputs)):
        return
    becomes = carried(context, node, order)
    if becomes is None:
        return
    orders = _orders_around(context, region, node, becomes)
    if orders.get(value) != order:
        return
    region.nodes[node] = becomes
    for one, wanted in orders.items():
        if one not in region.orders and not is_kept(wanted):
            region.orders[one] = wanted
            yield one


def _orders_around(
    context: Context, region: Region, node: ir.Node, becomes: Carried
) -> dict[ir.Value, Order]:
    """The order of each tensor of a node, none where one would have to be in two."""
    orders: dict[ir.Value, Order] = {}
    pairs = [*zip(node.inputs, becomes.inputs, strict=True)]
    pairs += zip(node.outputs, becomes.outputs, strict=True)
    for one, wanted in pairs:
        if one is None or context.constants.is_constant(one):
            continue
        if wanted is None and one not in region.orders:
            continue
        if wanted is None or orders.setdefault(one, wanted) != wanted:
            return {}
        if region.orders.get(one, wanted) != wanted:
            return {}
    return orders


def best_part(context: Context, region: Region) -> set[ir.Node]:
    """The nodes with which most Transposes vanish, none if none of them would."""
    ties = Ties()
    now = sum(_tie(context, region, ties, value) for value in region.orders)
    least, first = ties.cut()
    return {node for node in region.nodes if node in first} if least < now else set()


def _tie(context: Context, region: Region, ties: Ties, value: ir.Value) -> int:
    """Note what it costs to have a tensor in both orders; the Transposes that it has now.

    On the first side of the cut are the nodes that work in the new order.
    """
    order, producer = region.orders[value], value.producer()
    readers, transposed, others = _readers(context, region, value)
    makes = order_of(context, producer, region.graph)
    if makes is not None and is_kept(behind(makes, order)):
        if others or not readers:
            return 0
        _tie_each(ties, ties.FIRST, ("old", value), readers)
        return 1
    if producer in region.nodes:
        _tie_each(ties, producer, ("old", value), [*readers, *([ties.SECOND] if others else [])])
        if transposed:
            ties.tie(ties.FIRST, producer)
            return 1
        _tie_back(ties, ("new", value), readers, producer)
    elif makes is not None and not others:
        _tie_each(ties, ("made", value), ("old", value), readers)
        _tie_back(ties, ("new", value), readers, ("made", value))
    elif not transposed:
        _tie_back(ties, ("new", value), readers, ties.SECOND)
    return 0


def _tie_each(ties: Ties, maker: object, by_way_of: object, readers: list[object]) -> None:
    """One Transpose back serves all readers that work in the old order."""
    ties.tie(maker, by_way_of)
    for reader in readers:
        ties.tie(by_way_of, reader, BOND)


def _tie_back(ties: Ties, by_way_of: object, readers: list[object], maker: object) -> None:
    """One Transpose serves all readers that work in the new order."""
    for reader in readers:
        ties.tie(reader, by_way_of, BOND)
    ties.tie(by_way_of, maker)


def _readers(context: Context, region: Region, value: ir.Value) -> tuple[list[object], bool, bool]:
    """Who reads a tensor.

    Returns:
        The nodes of the region, whether a Transpose that gives it in the new order is among the
        others, and whether anything but a Transpose is.
    """
    readers: dict[object, None] = {}
    transposed, others = False, value.is_graph_output()
    for use in value.uses():
        order = order_of(context, use.node, region.graph)
        if use.node in region.nodes and region.nodes[use.node].inputs[use.idx] is not None:
            readers[use.node] = None
        elif order is not None:
            transposed = transposed or order == region.orders[value]
        elif use.node.graph is not None:
            others = True
    return list(readers), transposed, others
