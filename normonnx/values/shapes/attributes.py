"""Attributes and constant inputs of nodes that say along which axes they work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import onnx_ir as ir

from normonnx.graph.dims import Dim

if TYPE_CHECKING:
    from normonnx.values.shapes.table import Shapes


def normalized(axis: int, rank: int) -> int:
    """The axis counted from the front."""
    return axis + rank if axis < 0 else axis


def attribute_ints(node: ir.Node, name: str) -> tuple[int, ...] | None:
    """An integer-list attribute, or None where it is absent."""
    attribute = node.attributes.get(name)
    return None if attribute is None or attribute.is_ref() else tuple(attribute.as_ints())


def attribute_int(node: ir.Node, name: str, default: int) -> int:
    """An integer attribute or its default."""
    attribute = node.attributes.get(name)
    return default if attribute is None or attribute.is_ref() else attribute.as_int()


def axes_of(node: ir.Node, shapes: Shapes) -> tuple[int, ...] | None:
    """The axes of a Squeeze, Unsqueeze or Reduce node, attribute or input; None if absent."""
    axes = attribute_ints(node, "axes")
    if axes is not None:
        return axes
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        vector = shapes.vector(node.inputs[1])
        if vector is not None and all(isinstance(dim, int) for dim in vector):
            return tuple(dim for dim in vector if isinstance(dim, int))
    return None


def slices_of(node: ir.Node, shapes: Shapes, rank: int) -> dict[int, slice] | None:
    """The slices that a Slice node takes, by axis, if they are constant."""
    if len(node.inputs) == 1:
        parts: list[Sequence[Dim] | None] = [
            attribute_ints(node, name) for name in ("starts", "ends", "axes")
        ]
        starts, ends, axes, steps = (*parts, None)
    else:
        given = [*node.inputs[1:], None, None, None, None][:4]
        starts, ends, axes, steps = (shapes.vector(value) for value in given)
        if any(value is not None and shapes.vector(value) is None for value in given):
            return None
    if starts is None or ends is None:
        return None
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    cuts: dict[int, slice] = {}
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=False):
        if not (
            isinstance(axis, int)
            and isinstance(start, int)
            and isinstance(end, int)
            and isinstance(step, int)
            and step != 0
        ):
            return None
        # An end before the first element, written as a huge negative number, is slice's None.
        stop = None if step < 0 and end < -(1 << 30) else end
        cuts[normalized(axis, rank)] = slice(start, stop, step)
    return cuts
