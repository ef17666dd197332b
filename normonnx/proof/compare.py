"""Both sides of a window in float64 on the same numbers, and how far they are apart."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.operators.names import onnx_name
from normonnx.oracle.execution import Frame, Plan, Weights, walk
from normonnx.oracle.planner import Planner
from normonnx.proof import structure
from normonnx.proof.window import Side, Window

Array = np.ndarray[Any, Any]
Feeds = Mapping[ir.Value, Array]

TOLERANCE = 1e-9
"""Largest difference in float64, relative to the largest value of the output."""


class DifferentError(Exception):
    """The two sides cannot stand for each other, at these sizes."""


class Prepared(Struct, frozen=True):
    """One side, ready to be evaluated.

    Attributes:
        nodes: in order.
        plan: of the nodes.
        constants: what they read that is constant.
        filters: the convolutions among them whose kernel is no input of the window.
    """

    nodes: tuple[ir.Node, ...]
    plan: Plan
    constants: Feeds
    filters: tuple[ir.Node, ...]

    def run(self, feeds: Feeds) -> tuple[list[Array], bool]:
        """The outputs, and whether every element of the kernels had a part in them."""
        read = (value for node in self.filters for value in node.inputs[:2])
        kept = frozenset(value for value in read if value is not None)
        frame = Frame({**feeds, **self.constants}, Weights({}), keep=kept)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            # Sizes are tried that may leave nothing to average; such a window is not counted.
            warnings.simplefilter("ignore", RuntimeWarning)
            outputs = walk(self.plan, frame)
        return outputs, all(_counts_wholly(node, frame) for node in self.filters)


def _counts_wholly(node: ir.Node, frame: Frame) -> bool:
    source, kernel = node.inputs[:2]
    assert source is not None
    assert kernel is not None
    return structure.counts_wholly(node, frame[source].shape[2:], frame[kernel].shape[2:])


def prepare(window: Window, side: Side) -> Prepared:
    planner = Planner(window.functions, exact_attributes=window.exact_attributes)
    view = ir.GraphView(side.inputs, side.outputs, nodes=side.nodes)
    filters = tuple(
        node
        for node in side.nodes
        if onnx_name(node) in structure.FILTERS and node.inputs[1] not in side.inputs
    )
    return Prepared(side.nodes, planner.plan(view, window.opsets), side.constants, filters)


def compared(
    old: Prepared, new: Prepared, drawn: Feeds, magnitudes: Sequence[tuple[float, float]]
) -> tuple[float, bool]:
    """Evaluate both sides on inputs of each magnitude.

    Args:
        old: one side.
        new: the other.
        drawn: inputs, the floats among them of mean 0 and standard deviation 1.
        magnitudes: standard deviations and means to evaluate at.

    Returns:
        The largest difference relative to the largest value, and whether every element of the
        kernels had a part in it.

    Raises:
        DifferentError: the sides differ.
        Exception: the sizes do not fit the original, or leave it nothing to show.
    """
    worst, wholly = 0.0, True
    feeds, count = _feeds(old, new, drawn, magnitudes)
    for feed in feeds:
        olds, met = old.run(feed)
        _refuse_empty(olds, count)
        try:
            news, met_too = new.run(feed)
        except Exception as error:
            raise DifferentError(in_short(error)) from error
        worst = max(worst, _difference(olds, news, count))
        wholly = wholly and met and met_too
    if not worst <= TOLERANCE:
        raise DifferentError(f"the float64 windows differ by {worst:.2g} of the largest value")
    return worst, wholly


def _feeds(
    old: Prepared, new: Prepared, drawn: Feeds, magnitudes: Sequence[tuple[float, float]]
) -> tuple[list[dict[ir.Value, Array]], int]:
    """The inputs of each magnitude; stacked, and how many there are, where rows are independent."""
    feeds = [
        {
            value: mean + spread * array if array.dtype == np.float64 else array
            for value, array in drawn.items()
        }
        for spread, mean in magnitudes
    ]
    if not all(structure.are_independent(s.nodes, s.constants, drawn) for s in (old, new)):
        return feeds, 1
    stacked = {value: np.concatenate([feed[value] for feed in feeds]) for value in drawn}
    return [stacked], len(feeds)


def in_short(error: Exception) -> str:
    return f"its window could not be evaluated: {type(error).__name__}: {error}"[:300]


def _refuse_empty(outputs: Sequence[Array], count: int) -> None:
    for array in outputs:
        if array.size == 0:
            raise ValueError("an empty window proves nothing")
        if array.dtype.kind in "OSU":
            raise ValueError("no numbers to compare")
        if not np.isfinite(array).reshape(count, -1).any(axis=1).all():
            raise ValueError("nothing finite to compare")


def _difference(old: Sequence[Array], new: Sequence[Array], count: int) -> float:
    """Largest difference of any output, relative to its largest finite value.

    Args:
        old: outputs of one side.
        new: outputs of the other.
        count: how many evaluations are stacked in them, each of which has its own largest value.
    """
    worst = 0.0
    for a, b in zip(old, new, strict=True):
        if a.shape != b.shape:
            raise DifferentError(f"the windows have the shapes {a.shape} and {b.shape}")
        finite = np.isfinite(a)
        if not np.array_equal(finite, np.isfinite(b)):
            raise DifferentError("one side is not finite where the other is")
        if finite.all():
            size, off = np.abs(a), np.abs(a - b)
        else:
            size, off = (np.where(finite, np.abs(part), 0.0) for part in (a, a - b))
        scale, off = (part.reshape(count, -1).max(axis=1) for part in (size, off))
        worst = max(worst, float((off / np.where(scale > 0, scale, 1.0)).max()))
    return worst
