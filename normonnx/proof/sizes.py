"""Sizes at which a window is evaluated, and random numbers of those sizes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.operators.names import onnx_name
from normonnx.proof import structure
from normonnx.proof.window import Window
from normonnx.values.constants import is_float
from normonnx.values.shapes import Dim, Product

Array = np.ndarray[Any, Any]
Dims: TypeAlias = "tuple[Dim, ...]"

_MATRICES = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Operators whose weight has channels along two axes."""

_LARGE = 5
"""A dimension above this that no constant shares is shrunk for the evaluation, if that works."""

_SYMBOL_SIZES = ((2, 5, 3, 7, 4, 6), (2,), (4,), (8,), (16,), (1,))
"""Sizes tried for the symbols, cyclically: first all different, then all equal.

Where a kernel spans more than two elements, so much is added for each symbol that is no batch.
"""


class Sizes(Struct, frozen=True):
    """Concrete shapes for the inputs, and contents for those that hold dimensions.

    Attributes:
        bound: a shape, or the contents, by input.
        level: which dimensions were made smaller, as a number.
        are_true: whether none was.
    """

    bound: Mapping[ir.Value, tuple[int, ...] | Array]
    level: int
    are_true: bool


def bindings(
    window: Window, inputs: Sequence[ir.Value], extents: set[int], smallest: int
) -> Iterator[Sizes]:
    """Sizes to evaluate a window at, the cheapest first, those that the model states last.

    Args:
        window: what is evaluated.
        inputs: of the window.
        extents: sizes of dimensions that its constants have too, which stay as they are.
        smallest: what a large dimension is shrunk to.
    """
    found = {v: window.shapes.dims(v) for v in inputs}
    found |= {v: _guessed(window, v) for v, dims in found.items() if dims is None}
    known = {v: dims for v, dims in found.items() if dims is not None}
    if len(known) < len(found):
        return
    vectors = {value: window.shapes.vector(value) for value in inputs}
    symbols = sorted(_symbols((*known.values(), *vectors.values())))
    inner = _symbols(dims[1:] for dims in known.values())
    has_vectors = any(vectors.values())
    shrinkings = [{}] if has_vectors else _shrinkings(list(known.values()), extents, smallest)
    tried = _SYMBOL_SIZES if symbols else _SYMBOL_SIZES[:1]
    for (level, shrink), sizes in product(enumerate(shrinkings), tried):
        binding = {
            symbol: sizes[i % len(sizes)] + (smallest - 2 if symbol in inner else 0)
            for i, symbol in enumerate(symbols)
        }
        yield Sizes(_bound(known, vectors, shrink, binding), level, not shrink)


def _symbols(shapes: Iterable[Dims | None]) -> set[str]:
    """The names of open dimensions in shapes."""
    products = (dim for dims in shapes for dim in dims or () if isinstance(dim, Product))
    return {symbol for dim in products for symbol in dim.symbols}


def _bound(
    known: Mapping[ir.Value, Dims],
    vectors: Mapping[ir.Value, Dims | None],
    shrink: Mapping[int, int],
    binding: Mapping[str, int],
) -> dict[ir.Value, tuple[int, ...] | Array]:
    """Each input with its shape as numbers, or with the contents of a vector of dimensions."""

    def concrete(dim: Dim) -> int:
        if isinstance(dim, int):
            return shrink.get(dim, dim)
        return dim.factor * int(np.prod([binding[symbol] for symbol in dim.symbols]))

    bound: dict[ir.Value, tuple[int, ...] | Array] = {}
    for value, dims in known.items():
        vector = vectors[value]
        if vector is None:
            bound[value] = tuple(map(concrete, dims))
        else:
            contents = np.array([concrete(dim) for dim in vector], dtype=np.int64)
            bound[value] = contents if len(dims) == 1 else contents.reshape(())
    return bound


def extents_of(nodes: Iterable[ir.Node], constants: Mapping[ir.Value, Array]) -> set[int]:
    """Sizes of dimensions that constants have too; what a kernel spans is none of them."""
    kernels = {node.inputs[1] for node in nodes if onnx_name(node) in structure.FILTERS}
    return {
        extent
        for value, array in constants.items()
        for extent in (array.shape[:2] if value in kernels else array.shape)
    }


def _shrinkings(known: Sequence[Dims], extents: set[int], smallest: int) -> list[dict[int, int]]:
    """Smaller sizes for large dimensions: for all, for those behind the channels, and for none.

    A multiple of another dimension stays one, and no two become equal: what resizes, pools or
    concatenates still fits, and what mixes two axes up still shows.
    """
    shrinkings: list[dict[int, int]] = []
    for first in (0, 2):
        large = {dim for dims in known for dim in dims[first:] if isinstance(dim, int)}
        shrunk = _shrunk((dim for dim in large - extents if dim > _LARGE), extents, smallest)
        if shrunk and shrunk not in shrinkings:
            shrinkings.append(shrunk)
    return [*shrinkings, {}]


def _shrunk(large: Iterable[int], extents: set[int], smallest: int) -> dict[int, int]:
    shrunk: dict[int, int] = {}
    for dim in sorted(large):
        factor = max((s for s in shrunk if dim % s == 0), default=None)
        size = smallest if factor is None else shrunk[factor] * (dim // factor)
        while size in extents or size in shrunk.values():
            size += 1
        if size < dim:
            shrunk[dim] = size
    return shrunk


def _guessed(window: Window, value: ir.Value) -> Dims | None:
    """Dimensions for a value of unknown rank (in a function body), from one who reads it."""
    for use in value.uses():
        name = onnx_name(use.node)
        guess = _GUESSES.get(name)
        weight = use.node.inputs[1] if len(use.node.inputs) > 1 else None
        dims = window.shapes.dims(weight)
        if use.idx != 0 or not dims or guess is None or (name in _MATRICES and len(dims) < 2):
            continue
        if (guessed := guess(use.node, dims)) is not None:
            return guessed
    return None


def _before_conv(node: ir.Node, kernel: Dims) -> Dims | None:
    group = node.attributes.get("group")
    if not isinstance(kernel[1], int):
        return None
    channels = kernel[1] * (group.as_int() if group is not None else 1)
    return (2, channels, *(9 + i for i in range(len(kernel) - 2)))


def _before_gemm(node: ir.Node, weight: Dims) -> Dims:
    transposed = node.attributes.get("transB")
    return (3, weight[1] if transposed is not None and transposed.as_int() else weight[0])


_GUESSES: Mapping[str, Callable[[ir.Node, Dims], Dims | None]] = {
    "BatchNormalization": lambda _, scale: (2, scale[0], 5),
    "Conv": _before_conv,
    "ConvTranspose": lambda _, kernel: (2, kernel[0], *(5 + i for i in range(len(kernel) - 2))),
    "Gemm": _before_gemm,
    "LayerNormalization": lambda _, scale: (2, 3, *scale),
    "MatMul": lambda _, weight: (3, weight[-2]),
    "RMSNormalization": lambda _, scale: (2, 3, *scale),
}
"""What an operator reads as its data, as its second input tells it."""


def drawn(
    window: Window,
    inputs: Sequence[ir.Value],
    sizes: Sizes,
) -> dict[ir.Value, Array]:
    """Random inputs, the floats among them of mean 0 and standard deviation 1."""
    feeds: dict[ir.Value, Array] = {}
    for value in inputs:
        shape = sizes.bound[value]
        if isinstance(shape, np.ndarray):
            feeds[value] = shape
            continue
        rng = np.random.default_rng(zlib.crc32(str(value.name).encode()))
        dtype = window.shapes.dtype(value)
        if dtype is None or is_float(dtype):
            feeds[value] = rng.standard_normal(shape)
        elif dtype == ir.DataType.BOOL:
            feeds[value] = rng.random(shape) < 0.5
        else:
            feeds[value] = rng.integers(0, 3, shape).astype(dtype.numpy())
    return feeds
