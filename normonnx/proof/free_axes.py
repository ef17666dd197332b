"""Axes along which a window does the same for each place, so that a few of them show it all.

Along the batch of a LayerNorm over the last axis nothing is taken together, and no constant
differs: both sides are one function of a row, applied to each row. Of such an axis a few places are
evaluated. An axis is followed through the operators that keep places apart; any other operator, a
sum along it or a constant that has more than one number there makes it whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

from normonnx.operators.attributes import attribute_int, attribute_ints
from normonnx.operators.names import norm_name, onnx_name
from normonnx.operators.table import facts_of
from normonnx.ops.operators import DOMAIN, OPERATORS
from normonnx.proof.changed_axes import JOINED, changed_axes, reduced_axes
from normonnx.proof.window import Side
from normonnx.sizes.walk import Walk

Array = np.ndarray[Any, Any]
Shape: TypeAlias = "tuple[int, ...]"
Axis: TypeAlias = "tuple[ir.Value, int]"

_FEW = 4
_ENOUGH = 64
"""Places of a free axis, and numbers of an input, that are evaluated at the least."""


class FreeAxes:
    """The sizes at which a window is evaluated.

    Args:
        sides: of the window.
        at: where the true sizes come from.
    """

    def __init__(self, sides: Sequence[Side], at: Walk) -> None:
        self._at = at
        self._constants: dict[ir.Value, Array] = {}
        self._parents: dict[Axis, Axis] = {}
        self._whole: set[Axis] = set()
        for side in sides:
            self._constants |= side.constants
        for side in sides:
            for node in side.nodes:
                self._follow(node)
        inputs = [value for side in sides for value in side.inputs]
        for value in inputs:
            if at.contents(value) is not None:
                self._make_whole(value)
        self._sizes: Mapping[Axis, int] = self._few(inputs)

    def shape(self, value: ir.Value) -> Shape | None:
        """The shape of a value as it is evaluated, None if its size is not known."""
        tensor = self._at.tensor(value)
        if tensor is None:
            return None
        return tuple(
            self._sizes.get(self._root((value, axis)), n) for axis, n in enumerate(tensor.shape)
        )

    def _few(self, inputs: Iterable[ir.Value]) -> dict[Axis, int]:
        """How many places of each free axis are evaluated."""
        whole = {self._root(axis) for axis in self._whole}
        shapes = [
            [(self._root((value, axis)), n) for axis, n in enumerate(self._shape(value) or ())]
            for value in inputs
        ]
        true = {root: n for shape in shapes for root, n in shape if root not in whole and n > _FEW}
        sizes = dict.fromkeys(true, _FEW)
        for shape in shapes:
            _grow(sizes, true, shape)
        return sizes

    # -- following an axis -----------------------------------------------------------------

    def _follow(self, node: ir.Node) -> None:
        rule = _rule_of(node)
        read = [value for value in node.inputs if value is not None]
        known = all(self._shape(value) is not None for value in (*read, *node.outputs))
        if rule is None or not known or not rule(self, node):
            for value in (*read, *node.outputs):
                self._make_whole(value)

    def _shape(self, value: ir.Value) -> Shape | None:
        array = self._constants.get(value)
        if array is not None:
            return tuple(array.shape)
        tensor = self._at.tensor(value)
        return None if tensor is None else tensor.shape

    def _rank(self, value: ir.Value) -> int:
        return len(self._shape(value) or ())

    def _root(self, axis: Axis) -> Axis:
        while axis in self._parents:
            axis = self._parents[axis]
        return axis

    def _link(self, one: Axis, other: Axis) -> None:
        """The same places: an axis of a constant is whole."""
        roots = self._root(one), self._root(other)
        if roots[0] != roots[1]:
            self._parents[roots[0]] = roots[1]
        for value, axis in (one, other):
            if value in self._constants:
                self._whole.add((value, axis))

    def _make_whole(self, value: ir.Value, axes: Iterable[int] | None = None) -> None:
        rank = self._rank(value)
        for axis in range(rank) if axes is None else axes:
            self._whole.add((value, axis % rank))

    # -- operators -------------------------------------------------------------------------

    def _elementwise(self, node: ir.Node) -> bool:
        """Axes are aligned from the last one; where an input has one place, all read it."""
        out = node.outputs[0]
        rank = self._rank(out)
        for value in node.inputs:
            shape = () if value is None else self._shape(value) or ()
            for axis, n in enumerate(shape):
                if n > 1 and value is not None:
                    self._link((value, axis), (out, rank - len(shape) + axis))
        return len(node.outputs) == 1 and "axis" not in node.attributes

    def _reduction(self, node: ir.Node) -> bool:
        source, out = node.inputs[0], node.outputs[0]
        assert source is not None
        axes = reduced_axes(node, self._constants.get)
        if axes is None:
            return False
        rank = self._rank(source)
        taken = {axis % rank for axis in axes} or set(range(rank))
        if not axes and attribute_int(node, "noop_with_empty_axes", 0):
            return False
        self._make_whole(source, taken)
        left = iter(range(self._rank(out)))
        keeps = attribute_int(node, "keepdims", 1)
        for axis in range(rank):
            if axis not in taken:
                self._link((source, axis), (out, next(left)))
            elif keeps:
                next(left)
        return True

    def _transpose(self, node: ir.Node) -> bool:
        source, out = node.inputs[0], node.outputs[0]
        assert source is not None
        order = attribute_ints(node, "perm") or tuple(reversed(range(self._rank(source))))
        for place, axis in enumerate(order):
            self._link((source, axis), (out, place))
        return True

    def _beside_an_axis(self, node: ir.Node) -> bool:
        """What joins, cuts or pads along some axes, and keeps the places of the others apart."""
        source = node.inputs[0]
        assert source is not None
        rank = self._rank(source)
        changed = changed_axes(node, rank, self._constants.get)
        if changed is None:
            return False
        operands = node.inputs if onnx_name(node) == JOINED else [source]
        for value in (*operands, *node.outputs):
            assert value is not None
            self._make_whole(value, changed)
            for axis in set(range(rank)) - changed:
                self._link((value, axis), (node.outputs[0], axis))
        return True

    def _matmul(self, node: ir.Node) -> bool:
        """The rows of a matrix, or of several, that is multiplied with a constant one."""
        left, right = node.inputs
        assert left is not None
        assert right is not None
        if right not in self._constants or self._rank(right) != 2 or self._rank(left) < 2:
            return False
        self._make_whole(left, [-1])
        for axis in range(self._rank(left)):  # the last of both are whole, whatever their sizes
            self._link((left, axis), (node.outputs[0], axis))
        return True

    def _norm(self, node: ir.Node) -> bool:
        """The axes that are normalised are whole; scale and bias, over these, are as well."""
        source, *others = node.inputs
        assert source is not None
        shape, rank = self._shape(source), self._rank(source)
        read = [value for value in others if value is not None]
        for value in (v for v in read if self._shape(v) != shape):
            self._make_whole(value)
        self._make_whole(source, self._normalised(node, rank))
        # Beside those of the source's shape: the mean and what scales, one for each place in front.
        for value in (*(v for v in read if self._shape(v) == shape), *node.outputs):
            for axis in range(self._rank(value)):
                self._link((source, axis), (value, axis))
        return True

    def _normalised(self, node: ir.Node, rank: int) -> Iterable[int]:
        """The axes that a norm takes together."""
        first = attribute_int(node, "axis", -1) % rank
        operator = OPERATORS.get(node.op_type) if node.domain == DOMAIN else None
        if operator is None:
            return range(first, rank)
        scale = node.inputs[2 if operator.residual else 1]
        assert scale is not None
        return range(first, first + self._rank(scale))


def _grow(
    sizes: dict[Axis, int], true: Mapping[Axis, int], shape: Sequence[tuple[Axis, int]]
) -> None:
    """Let the free axes of an input be longer until it has enough numbers."""
    for root in (root for root, _ in shape if root in true):
        while sizes[root] < true[root]:
            if prod(sizes.get(axis, n) for axis, n in shape) >= _ENOUGH:
                return
            sizes[root] = min(true[root], 2 * sizes[root])


_Rule: TypeAlias = "Callable[[FreeAxes, ir.Node], bool]"

_NORMS = frozenset({"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"})


def _rule_of(node: ir.Node) -> _Rule | None:
    """How the axes of an operator are followed, None for one that may mix all places."""
    facts = facts_of(node)
    name = onnx_name(node)
    if facts.elementwise:
        return FreeAxes._elementwise
    if facts.reduces and name.startswith("Reduce"):
        return FreeAxes._reduction
    if norm_name(node) in _NORMS or (node.domain == DOMAIN and node.op_type in OPERATORS):
        return FreeAxes._norm
    return _RULES.get(name)


_RULES: Mapping[str, _Rule] = {
    "Transpose": FreeAxes._transpose,
    "MatMul": FreeAxes._matmul,
    **dict.fromkeys(("Concat", "Split", "Slice", "Pad"), FreeAxes._beside_an_axis),
}
