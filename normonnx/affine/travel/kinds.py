"""What a crossing is: a function per operator and direction, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import onnx_ir as ir

from normonnx.affine.map import AffineMap
from normonnx.affine.weights import describe
from normonnx.journal import RefusedError
from normonnx.rewrite import Proposal
from normonnx.values.shapes import Dim


class Push(Protocol):
    """Makes a value that is the map of the given one, somewhere upstream."""

    def __call__(self, value: ir.Value, m: AffineMap, /, *, must_vanish: bool = ...) -> ir.Value:
        """Push a map into a value.

        Args:
            value: what the map is applied to.
            m: the map.
            must_vanish: whether the map must be swallowed, rather than written out further up.

        Raises:
            RefusedError: if nothing swallows a map that must vanish.
        """


Backward = Callable[[Proposal, ir.Node, int, AffineMap, Push], ir.Value]
"""m(f(x)) → f′(m′(x)) at the given output: the node anew, on what `push` makes of its inputs."""

Rest = tuple[ir.Value, ir.Value, AffineMap]
"""An old output, the new value that stands before the map, and the map that is left to apply."""

Forward = Callable[[Proposal, ir.Node, int, ir.Value, AffineMap], Sequence[Rest]]
"""f(m(x)) → m′(f′(x)) at the given input: the node anew, on x."""


def source_of(node: ir.Node, index: int = 0) -> ir.Value:
    """An input that is there."""
    value = node.inputs[index]
    assert value is not None
    return value


def rewired(proposal: Proposal, node: ir.Node, new: ir.Value, index: int = 0) -> ir.Value:
    """The node as it is, with one input exchanged."""
    inputs = list(node.inputs)
    inputs[index] = new
    return proposal.like(node, inputs)


def dims_of(proposal: Proposal, node: ir.Node, value: ir.Value | None) -> tuple[Dim, ...]:
    """The dimensions of a value beside a node, which a map with an axis needs to know."""
    dims = proposal.context.shapes.dims(value)
    if dims is None:
        raise RefusedError(f"the shape of {describe(node)} is unknown")
    return dims


def extent_of(proposal: Proposal, node: ir.Node, value: ir.Value | None, axis: int) -> int:
    """The number of channels of a value along an axis."""
    dims = dims_of(proposal, node, value)
    extent = dims[axis] if axis < len(dims) else None
    if not isinstance(extent, int):
        raise RefusedError(f"the channels of {describe(node)} are unknown")
    return extent


def must_be_data(node: ir.Node, index: int) -> None:
    """A crossing carries its first input; another one is a shape, an index or a slope."""
    if index != 0:
        raise RefusedError(f"{describe(node)} does not read it as its data")


def must_be_positive(m: AffineMap, node: ir.Node) -> None:
    """Order is kept, and signs, where every a > 0."""
    if not m.is_positive:
        place = int(np.flatnonzero(~(np.atleast_1d(m.a) > 0))[0])
        raise RefusedError(
            f"only a positive scale can cross {describe(node)}, and channel {place} has "
            f"{np.atleast_1d(m.a)[place]:.3g}"
        )


def embedded(m: AffineMap, extent: int, places: slice | np.ndarray) -> AffineMap:
    """The map at some channels of more, the identity at the others."""
    if m.axis is None:
        count = len(range(*places.indices(extent))) if isinstance(places, slice) else len(places)
        if count == extent:
            return m
    a, b = np.ones(extent), np.zeros(extent)
    a[places], b[places] = m.a, m.b
    return AffineMap.along(m.axis, a=a, b=b)
