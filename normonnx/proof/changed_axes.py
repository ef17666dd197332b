"""Along which axes an operator that keeps the rank takes elements from other places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

from normonnx.operators.attributes import attribute_int, attribute_ints
from normonnx.operators.names import onnx_name

Array = np.ndarray[Any, Any]
Read: TypeAlias = "Callable[[ir.Value], Array | None]"

JOINED = "Concat"
"""The operator of which all operands are of the rank of the result."""


def changed_axes(node: ir.Node, rank: int, constant: Read) -> set[int] | None:
    """The axes along which places are not kept apart, None where that is not known.

    Args:
        node: any.
        rank: of its first operand.
        constant: the numbers of a constant of the window, None for any other value.
    """
    name = onnx_name(node)
    if name in (JOINED, "Split"):
        return {attribute_int(node, "axis", 0) % rank} if rank else None
    if name == "Slice":
        return _cut(node, rank, constant)
    return _filled(node, rank, constant) if name == "Pad" else None


def _cut(node: ir.Node, rank: int, constant: Read) -> set[int] | None:
    """Of a Slice; without axes it is of as many as there are starts, from the first one on."""
    starts = attribute_ints(node, "starts") or _numbers(node, 1, constant)
    axes = attribute_ints(node, "axes") or _numbers(node, 3, constant)
    is_told = len(node.inputs) > 3 and node.inputs[3] is not None
    if axes is None and (is_told or starts is None):
        return None
    return {axis % rank for axis in (range(len(starts or ())) if axes is None else axes)}


def _filled(node: ir.Node, rank: int, constant: Read) -> set[int] | None:
    """Of a Pad the axes that it makes longer or shorter."""
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        return None
    pads = attribute_ints(node, "pads") or _numbers(node, 1, constant)
    if pads is None or len(pads) != 2 * rank:
        return None
    return {axis for axis in range(rank) if pads[axis] or pads[axis + rank]}


def reduced_axes(node: ir.Node, constant: Read) -> Sequence[int] | None:
    """The axes that a reduction names, none for all of them; None where they are not known."""
    given = attribute_ints(node, "axes")
    if given is not None or len(node.inputs) < 2 or node.inputs[1] is None:
        return given or ()
    return _numbers(node, 1, constant)


def _numbers(node: ir.Node, place: int, constant: Read) -> Sequence[int] | None:
    value = node.inputs[place] if len(node.inputs) > place else None
    array = None if value is None else constant(value)
    return None if array is None else [int(n) for n in array.ravel()]
