"""Attributes and constant inputs of nodes that say along which axes they work."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import onnx_ir as ir

from normonnx.graph.dims import Dim
from normonnx.operators.known import Known

_BEFORE_ALL = -(1 << 30)


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


def attribute_key(attribute: ir.Attr) -> Hashable:
    """What is equal for attributes of one type and value, and can be a key."""
    value = attribute.value
    if isinstance(value, float):
        return (int(attribute.type), value.hex())  # 0 and −0 are two numbers
    if isinstance(value, str | bytes | int):
        return (int(attribute.type), value)
    if attribute.type == ir.AttributeType.INTS:
        return (int(attribute.type), tuple(value))
    return (int(attribute.type), ir.serde.serialize_attribute(attribute).SerializeToString())


def axes_of(node: ir.Node, known: Known) -> tuple[int, ...] | None:
    """The axes of a Squeeze, Unsqueeze or Reduce node, attribute or input; None if absent."""
    axes = attribute_ints(node, "axes")
    if axes is not None:
        return axes
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        return _numbers(known.vector(node.inputs[1]))
    return None


def _numbers(dims: Sequence[Dim] | None) -> tuple[int, ...] | None:
    """The dimensions if every one of them is a number."""
    if dims is None or not all(isinstance(dim, int) for dim in dims):
        return None
    return tuple(dim for dim in dims if isinstance(dim, int))


def slices_of(node: ir.Node, known: Known, rank: int) -> dict[int, slice] | None:
    """The slices that a Slice node takes, by axis, if they are constant."""
    given = _slice_parts(node, known)
    if given is None:
        return None
    starts, ends, axes, steps = given
    if starts is None or ends is None:
        return None
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    cuts: dict[int, slice] = {}
    for parts in zip(axes, starts, ends, steps, strict=False):
        numbers = _numbers(parts)
        if numbers is None or numbers[3] == 0:
            return None
        axis, start, end, step = numbers
        # An end before the first element, written as a huge negative number, is slice's None.
        stop = None if step < 0 and end < _BEFORE_ALL else end
        cuts[normalized(axis, rank)] = slice(start, stop, step)
    return cuts


def _slice_parts(node: ir.Node, known: Known) -> list[Sequence[Dim] | None] | None:
    """Starts, ends, axes and steps, None for an absent one; None if one of them is not known."""
    if len(node.inputs) == 1:
        return [*(attribute_ints(node, name) for name in ("starts", "ends", "axes")), None]
    given = [*node.inputs[1:], None, None, None, None][:4]
    parts = [known.vector(value) for value in given]
    absent = [value is None for value in given]
    if any(part is None and not out for part, out in zip(parts, absent, strict=True)):
        return None
    return list(parts)
