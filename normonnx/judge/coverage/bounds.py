"""Whole numbers with which sizes are cut off or compared: only feeds that are larger tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.graph.nesting import walk
from normonnx.judge.alignment import Alignment, constant_tensor
from normonnx.judge.coverage.selecting import Level, Levels, levels_of
from normonnx.judge.pairing import title_of
from normonnx.operators.kernels import Array, Inputs
from normonnx.operators.names import onnx_name
from normonnx.oracle.execution import Step

_LEAST, _MOST = 2, 1 << 13
_MOST_NUMBERS = 8
_COMPARED = frozenset(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Min", "Max"))


class Bound(Struct, frozen=True, eq=False):
    """A number of a constant that a node reads.

    Attributes:
        node: the node.
        index: which of its inputs is the constant.
        place: which of the constant's elements.
        number: how large a size has to be to be cut off.
    """

    node: ir.Node
    index: int
    place: int
    number: int

    def __str__(self) -> str:
        return f"{self.number} that {title_of(self.node)} reads"


class Bounds:
    """Follows how large the sizes become that are cut off or compared.

    Args:
        bounds: what they are cut off by, or compared with.
    """

    def __init__(self, bounds: Sequence[Bound]) -> None:
        self._seen: dict[Bound, list[int]] = {bound: [] for bound in bounds}
        self._of: dict[ir.Node, list[Bound]] = {}
        for bound in bounds:
            self._of.setdefault(bound.node, []).append(bound)

    def observe(self, step: Step, inputs: Inputs) -> None:
        """Take note of a step."""
        for bound in self._of.get(step.node, ()):
            self._seen[bound] += _sizes(bound, inputs)

    @property
    def left(self) -> list[Bound]:
        """Those that no size was above, of sizes that are not always the same."""
        found = ((b, sizes) for b, sizes in self._seen.items() if len(set(sizes)) > 1)
        return [bound for bound, sizes in found if max(sizes) <= bound.number]

    @property
    def met(self) -> int:
        """How many of the numbers were a size themselves."""
        return sum(bound.number in sizes for bound, sizes in self._seen.items())

    @property
    def is_done(self) -> bool:
        """Whether nothing is left, as far as two runs tell whether sizes are always the same."""
        return not self.left and all(len(sizes) > 1 for sizes in self._seen.values())


def bounds_of(aligned: Alignment, levels: Levels) -> tuple[Bound, ...]:
    """The bounds of the optimised model that no like node of the original has."""
    return tuple(_new_bounds(aligned, levels)) if _is_open(aligned.optimized) else ()


def _is_open(model: ir.Model) -> bool:
    shapes = [value.shape for value in model.graph.inputs]
    return any(shape is None or not shape.is_static() for shape in shapes)


def _new_bounds(aligned: Alignment, levels: Levels) -> Iterator[Bound]:
    old, new = aligned.original, aligned.optimized
    before = {(n.op_type, i, b) for n, i, b in _bounds(old, levels_of(old))}
    for node, index, numbers in _bounds(new, levels):
        if (node.op_type, index, numbers) in before:
            continue
        for place, number in enumerate(numbers):
            if _LEAST <= abs(number) <= _MOST:
                yield Bound(node, index, place, abs(number))


def _bounds(model: ir.Model, levels: Levels) -> Iterator[tuple[ir.Node, int, tuple[int, ...]]]:
    for node in walk(model.graph):
        for index in _places(node, levels):
            numbers = _numbers(node.inputs[index])
            if numbers:
                yield node, index, numbers


def _places(node: ir.Node, levels: Levels) -> Sequence[int]:
    """The inputs of a node that may be a bound."""
    name = onnx_name(node)
    if name == "Slice":
        return range(1, min(3, len(node.inputs)))
    if name not in _COMPARED or len(node.inputs) != 2:
        return ()
    read = [Level.CONSTANT if v is None else levels.get(v, Level.CONSTANT) for v in node.inputs]
    return [1 - index for index, level in enumerate(read) if level is Level.SIZES]


def _numbers(value: ir.Value | None) -> tuple[int, ...]:
    if value is None:
        return ()
    producer = value.producer()
    tensor = value.const_value if producer is None else constant_tensor(producer)
    if tensor is None or not tensor.dtype.is_integer() or tensor.size > _MOST_NUMBERS:
        return ()
    return tuple(int(n) for n in np.asarray(tensor.numpy()).reshape(-1))


def _sizes(bound: Bound, inputs: Inputs) -> list[int]:
    """What is cut off or compared there."""
    if onnx_name(bound.node) != "Slice":
        other = inputs[1 - bound.index]
        return [] if other is None else [int(n) for n in other.reshape(-1)[:_MOST_NUMBERS]]
    data, axes = inputs[0], _axes(inputs)
    if data is None:
        return []
    axis = bound.place if axes is None else int(axes.reshape(-1)[bound.place])
    return [data.shape[axis]]


def _axes(inputs: Inputs) -> Array | None:
    return inputs[3] if len(inputs) > 3 else None
