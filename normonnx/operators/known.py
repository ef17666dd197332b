"""What a rule may ask about the values that a node reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import onnx_ir as ir

from normonnx.graph.dims import Dims


class Known(Protocol):
    """What is known of the values of a model; whoever holds it calls the rules with it."""

    def dims(self, value: ir.Value | None) -> Dims | None:
        """The dimensions, or None if not even the rank is known."""

    def rank(self, value: ir.Value | None) -> int | None:
        """The number of dimensions, if known."""

    def static(self, value: ir.Value | None) -> tuple[int, ...] | None:
        """The dimensions if every one of them is a number."""

    def dtype(self, value: ir.Value | None) -> ir.DataType | None:
        """The element type, if known."""

    def vector(self, value: ir.Value | None) -> Dims | None:
        """The contents of an integer tensor of rank 0 or 1, or of one element, if known."""


Rule: TypeAlias = Callable[[Known, ir.Node], Dims | None]
"""From a node to the dimensions, or to the contents, of its first output."""

RuleForEach: TypeAlias = Callable[[Known, ir.Node], list[Dims | None]]
"""From a node to the dimensions of each of its outputs."""

TypeRule: TypeAlias = Callable[[Known, ir.Node], ir.DataType | None]
"""From a node to the element type of its first output."""


def type_of_input(place: int) -> TypeRule:
    """The element type of one of the inputs, None where it is left out."""

    def rule(known: Known, node: ir.Node) -> ir.DataType | None:
        return known.dtype(node.inputs[place]) if place < len(node.inputs) else None

    return rule


def always_float(known: Known, node: ir.Node) -> ir.DataType:
    """float32, whatever is read."""
    return ir.DataType.FLOAT
