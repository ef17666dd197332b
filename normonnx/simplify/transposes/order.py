"""The order in which a tensor has its axes once it is laid out anew."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeAlias

import onnx_ir as ir

from normonnx.operators.attributes import attribute_ints
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context

Order: TypeAlias = "tuple[int, ...]"
"""Which axis of a tensor stands at each place, as in the perm of a Transpose."""


def inverse(order: Order) -> Order:
    """The order that brings every axis back."""
    return tuple(order.index(axis) for axis in range(len(order)))


def behind(first: Order, second: Order) -> Order:
    """What two Transposes do, one behind the other."""
    return tuple(first[axis] for axis in second)


def is_kept(order: Order) -> bool:
    """Whether every axis stays where it is."""
    return order == tuple(range(len(order)))


def without(order: Order, axes: Collection[int]) -> Order:
    """The order of the axes that are left when some go."""
    left = [axis for axis in range(len(order)) if axis not in axes]
    return tuple(left.index(axis) for axis in order if axis in left)


def among(order: Order, axes: Collection[int]) -> Order:
    """The order of all axes when others are put in at these places of the result."""
    rank = len(order) + len(axes)
    rest = [axis for axis in range(rank) if axis not in axes]
    carried = iter(rest[axis] for axis in order)
    return tuple(axis if axis in axes else next(carried) for axis in range(rank))


def permuted(order: Order, items: Sequence[int]) -> list[int]:
    """One number for each axis, in the new order."""
    return [items[axis] for axis in order]


def order_of(context: Context, node: ir.Node | None, graph: object) -> Order | None:
    """The order that a Transpose of this graph gives, None for any other node."""
    if node is None or node.graph is not graph or onnx_name(node) != "Transpose":
        return None
    rank = context.shapes.rank(node.inputs[0])
    if rank is None:
        return None
    perm = attribute_ints(node, "perm")
    return tuple(reversed(range(rank))) if perm is None else perm
