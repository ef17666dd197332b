"""Sizes for the dimensions that a model leaves open.

A name stands for one size wherever it occurs; an unnamed dimension is on its own. Sizes are tried
on the original model, which alone knows that a length must be a multiple of 32 or at least 512.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import onnx_ir as ir
from msgspec import Struct

Binding = Mapping[str, int]

_NAMED = re.compile(r"[^\W\d][\w.:/]*")
_BATCH = re.compile(r"^(n|b|bs|batch.*|.*batch(_size)?)$", re.IGNORECASE)
_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.floordiv,
}

# What is tried first for each of the three draws: batch; lengths, one per symbol; height, width.
_FIRST: tuple[tuple[int, tuple[int, ...], tuple[int, ...]], ...] = (
    (2, (17, 11, 7, 5, 13), (64, 96)),
    (3, (8, 12, 6, 10, 9), (96, 64)),
    (1, (1, 2, 3, 4, 5), (32, 32)),
)
# Then all open lengths alike, and all heights and widths.
_LENGTHS = (16, 32, 64, 8, 128, 224, 512, 48, 256, 1024, 1536, 320, 4096, 640, 1, 2, 3, 4, 7, 16000)
_SIDES = (64, 48, 128, 32, 224, 96, 256, 320, 16, 384, 512, 640, 28, 100, 1, 2, 4, 8, 299, 1024)
_MOST_ELEMENTS = 1 << 24
_LONGEST_FORMULA = 200


class Axis(Struct, frozen=True):
    """One dimension of one input.

    Attributes:
        size: the fixed size, or None.
        symbol: the name under which its size is bound, "" for a fixed one.
        formula: an expression over other symbols, such as ``past + 1``, or "".
    """

    size: int | None
    symbol: str = ""
    formula: str = ""

    def bound(self, binding: Binding) -> int:
        """The size under a binding.

        Raises:
            KeyError: if the binding lacks a symbol.
        """
        if self.size is not None:
            return self.size
        if self.formula:
            return _evaluated(ast.parse(self.formula, mode="eval").body, binding)
        return binding[self.symbol]


class OpenShapes(Struct, frozen=True):
    """The shapes of the inputs of a model.

    Attributes:
        axes: the dimensions of each input.
        batches: symbols of dimensions that count samples.
        images: symbols of dimensions that are the height or width of a picture.
        lengths: the other symbols.
    """

    axes: Mapping[str, tuple[Axis, ...]]
    batches: tuple[str, ...]
    images: tuple[str, ...]
    lengths: tuple[str, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols that need a size."""
        return (*self.batches, *self.images, *self.lengths)

    def shape(self, name: str, binding: Binding) -> tuple[int, ...]:
        """The shape of one input under a binding."""
        return tuple(axis.bound(binding) for axis in self.axes[name])

    def candidates(self) -> Iterator[dict[str, int]]:
        """Bindings in the order in which they should be tried, the varied ones first."""
        if not self.symbols:
            yield {}
            return
        for batch, lengths, image in _FIRST:
            yield self._assigned(batch, lengths, image)
        for length, side in zip(_LENGTHS, _SIDES, strict=True):
            for batch in (2, 1):
                yield self._assigned(batch, (length,), (side,))

    def admissible(self, binding: Binding) -> bool:
        """Whether the inputs stay at a size that can be tried."""
        for name in self.axes:
            count = 1
            for size in self.shape(name, binding):
                if size < 0:
                    return False
                count *= size
            if count > _MOST_ELEMENTS:
                return False
        return True

    def _assigned(self, batch: int, lengths: Sequence[int], image: Sequence[int]) -> dict[str, int]:
        binding = dict.fromkeys(self.batches, batch)
        binding.update((s, lengths[i % len(lengths)]) for i, s in enumerate(self.lengths))
        binding.update((s, image[i % len(image)]) for i, s in enumerate(self.images))
        return binding


def open_shapes(inputs: Sequence[ir.Value]) -> OpenShapes:
    """The open dimensions of these inputs, sorted by what they seem to count."""
    axes = {
        str(value.name): tuple(
            _axis(str(value.name), i, dim) for i, dim in enumerate(value.shape or ())
        )
        for value in inputs
    }
    roles: dict[str, str] = {}
    for value in inputs:
        row = axes[str(value.name)]
        for i, axis in enumerate(row):
            if axis.symbol and not axis.formula and roles.get(axis.symbol) != "batch":
                roles[axis.symbol] = _role(axis, i, row, value.dtype)
    for axis in (axis for row in axes.values() for axis in row):
        for symbol in _names(axis.formula):
            roles.setdefault(symbol, "length")
    by_role = {
        wanted: tuple(s for s, role in roles.items() if role == wanted)
        for wanted in ("batch", "image", "length")
    }
    return OpenShapes(axes, by_role["batch"], by_role["image"], by_role["length"])


def _axis(name: str, index: int, dim: int | ir.SymbolicDim) -> Axis:
    if isinstance(dim, int):
        return Axis(dim) if dim >= 0 else Axis(None, f"{name}[{index}]")
    text = dim.value if isinstance(dim.value, str) else None
    if text and _NAMED.fullmatch(text):
        return Axis(None, text)
    if text and _names(text):
        return Axis(None, text, text)
    return Axis(None, f"{name}[{index}]")


def _role(axis: Axis, index: int, row: Sequence[Axis], dtype: ir.DataType | None) -> str:
    if _BATCH.match(axis.symbol) or (index == 0 and len(row) > 1):
        return "batch"
    real = dtype is None or dtype.is_floating_point() or dtype == ir.DataType.UINT8
    if len(row) == 4 and real:
        channels_last = row[3].size in (1, 3, 4)
        return "image" if index in ((1, 2) if channels_last else (2, 3)) else "length"
    return "length"


def _names(formula: str) -> list[str]:
    """The names in an expression of +, −, × and ÷, none if it is no such expression."""
    if len(formula) > _LONGEST_FORMULA:
        return []
    try:
        tree = ast.parse(formula, mode="eval").body
    except (SyntaxError, ValueError):
        return []
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp):
            if type(node.op) not in _OPERATORS:
                return []
        elif isinstance(node, ast.Constant):
            if type(node.value) is not int:
                return []
        elif not isinstance(node, ast.Name | ast.operator | ast.expr_context):
            return []
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]


def _evaluated(node: ast.expr, binding: Binding) -> int:
    if isinstance(node, ast.Name):
        return binding[node.id]
    if isinstance(node, ast.BinOp):
        left, right = _evaluated(node.left, binding), _evaluated(node.right, binding)
        if right == 0 and isinstance(node.op, ast.Div | ast.FloorDiv):
            return -1  # no size: such a binding is not admissible
        return _OPERATORS[type(node.op)](left, right)
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, int)
    return node.value
