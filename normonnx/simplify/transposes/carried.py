"""What a node becomes when the tensors that it reads are laid out anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.operators.attributes import normalized
from normonnx.rewrite import Context
from normonnx.simplify.transposes.order import Order


class Carried(Struct, frozen=True):
    """What a node becomes.

    Attributes:
        inputs: the order of each operand, None for one that is read as it is.
        outputs: the order of each result.
        attributes: those that change.
        given: operands that change, as whole numbers, by their place.
    """

    inputs: tuple[Order | None, ...]
    outputs: tuple[Order, ...]
    attributes: Mapping[str, int | Sequence[int]] = {}
    given: Mapping[int, np.ndarray] = {}


Rule: TypeAlias = "Callable[[Context, ir.Node, Order], Carried | None]"
"""What a node becomes with its main operand in an order, None where that is not known."""


def first(
    node: ir.Node,
    order: Order,
    out: Order | None = None,
    *,
    attributes: Mapping[str, int | Sequence[int]] | None = None,
    given: Mapping[int, np.ndarray] | None = None,
) -> Carried:
    """A node of which the first operand alone is carried."""
    rest = (None,) * (len(node.inputs) - 1)
    outs = (order if out is None else out,) * len(node.outputs)
    return Carried((order, *rest), outs, attributes or {}, given or {})


def mapped(order: Order, axes: Sequence[int]) -> list[int]:
    """Where axes stand once the tensor is laid out anew."""
    return [order.index(normalized(axis, len(order))) for axis in axes]
