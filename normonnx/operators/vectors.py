"""Integer tensors that hold dimensions: shape arithmetic, followed symbolically.

A rule reads tensors of rank 0 or 1, or of one element, and gives the elements of the output in
their order; whoever calls it drops them where the output is none of these.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from normonnx.graph.dims import Dim, Dims, Product, at_least_one, times
from normonnx.operators.attributes import attribute_int, slices_of
from normonnx.operators.known import Known, Rule


def shape(known: Known, node: ir.Node) -> Dims | None:
    """Dimensions `start` to `end` of the first input."""
    dims = known.dims(node.inputs[0])
    if dims is None:
        return None
    start = attribute_int(node, "start", 0)
    end = attribute_int(node, "end", len(dims))
    return dims[start:end]


def size(known: Known, node: ir.Node) -> Dims | None:
    """The product of all dimensions."""
    dims = known.dims(node.inputs[0])
    return None if dims is None else (times(dims),)


def same(known: Known, node: ir.Node) -> Dims | None:
    """The contents of the first input, if they are still integers."""
    dtype = known.dtype(node.outputs[0])
    kept = dtype is None or dtype.is_integer()
    return known.vector(node.inputs[0]) if kept else None


_HOLD_DIMENSIONS = frozenset(
    {
        ir.DataType.INT32,
        ir.DataType.INT64,
        ir.DataType.UINT32,
        ir.DataType.UINT64,
        ir.DataType.FLOAT,
        ir.DataType.DOUBLE,
    }
)
"""Types that hold every dimension as it is: these are far below 2^24."""


def cast(known: Known, node: ir.Node) -> Dims | None:
    """The contents of the first input; a narrow type or a truth value may change them."""
    wide = attribute_int(node, "to", 0) in _HOLD_DIMENSIONS
    return known.vector(node.inputs[0]) if wide else None


def gather(known: Known, node: ir.Node) -> Dims | None:
    """Elements at places that are known."""
    data, indices = known.vector(node.inputs[0]), known.vector(node.inputs[1])
    if data is None or indices is None or attribute_int(node, "axis", 0) != 0:
        return None
    if not all(isinstance(i, int) and -len(data) <= i < len(data) for i in indices):
        return None
    return tuple(data[i] for i in indices if isinstance(i, int))


def concat(known: Known, node: ir.Node) -> Dims | None:
    """One vector behind the other, unknown parts as unknowns."""
    parts = [vector_or_unknowns(known, value) for value in node.inputs]
    if any(part is None for part in parts):
        return None
    return tuple(dim for part in parts if part is not None for dim in part)


def vector_or_unknowns(known: Known, value: ir.Value | None) -> Dims | None:
    """The vector, or as many unknowns as the tensor is long."""
    vector, length = known.vector(value), known.static(value)
    if vector is not None or value is None or length is None or len(length) != 1:
        return vector
    return tuple(Product(1, (f"{_ELEMENT}{value.name}[{i}]",)) for i in range(length[0]))


_ELEMENT = "?element of "
"""How the symbol of an unknown element begins, which may be any number."""


def is_size(element: Dim) -> bool:
    """Whether an element is surely the size of something: not 0 or −1, which say something else."""
    if isinstance(element, int):
        return element > 0
    anything = any(symbol.startswith(_ELEMENT) for symbol in element.symbols)
    return element.factor > 0 and not anything


def slice_of(known: Known, node: ir.Node) -> Dims | None:
    """A slice with a positive step."""
    data = known.vector(node.inputs[0])
    if data is None:
        return None
    cuts = slices_of(node, known, 1)
    if cuts is None or len(cuts) != 1 or 0 not in cuts:
        return None
    return data[cuts[0]] if (cuts[0].step or 1) > 0 else None


def arithmetic(combine: Callable[[Dim, Dim], Dim | None]) -> Rule:
    """Two vectors, or a vector and a number, element by element; nothing where one is left open."""

    def rule(known: Known, node: ir.Node) -> Dims | None:
        if len(node.inputs) != 2:
            return None
        pairs = _paired(known.vector(node.inputs[0]), known.vector(node.inputs[1]))
        results = [combine(a, b) for a, b in pairs or ()]
        found = tuple(result for result in results if result is not None)
        return None if pairs is None or len(found) < len(results) else found

    return rule


def _paired(left: Dims | None, right: Dims | None) -> list[tuple[Dim, Dim]] | None:
    """The elements of two vectors side by side, a single one beside each of the others."""
    if left is None or right is None:
        return None
    length = max(len(left), len(right))
    if len(left) not in (1, length) or len(right) not in (1, length):
        return None
    return [(left[i % len(left)], right[i % len(right)]) for i in range(length)]


def total(a: Dim, b: Dim) -> Dim | None:
    """The sum, where it is a number or one of them."""
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    return a if b == 0 else b if a == 0 else None


def difference(a: Dim, b: Dim) -> Dim | None:
    """The difference, where it is a number or the first of them."""
    if a == b:
        return 0
    return a - b if isinstance(a, int) and isinstance(b, int) else (a if b == 0 else None)


def largest(a: Dim, b: Dim) -> Dim | None:
    """The larger one, where it is a number, or the larger of a size and at most 1."""
    if isinstance(a, int) and isinstance(b, int):
        return max(a, b)
    if a == b:
        return a
    # A broadcast dimension, as exporters compute it: the one that is not 1.
    size, other = (a, b) if isinstance(b, int) else (b, a)
    if not isinstance(other, int) or other > 1 or not is_size(size):
        return None
    return at_least_one(size) if other == 1 else size


def product(known: Known, node: ir.Node) -> Dims | None:
    """The product of all elements, as ReduceProd gives it."""
    vector = known.vector(node.inputs[0])
    if vector is None or attribute_int(node, "noop_with_empty_axes", 0):
        return None
    return (times(vector),)


def smallest(a: Dim, b: Dim) -> Dim | None:
    """The smaller one, where it is a number or both are the same."""
    if isinstance(a, int) and isinstance(b, int):
        return min(a, b)
    return a if a == b else None


def compared(decide: Callable[[int, int], bool]) -> Rule:
    """A comparison of vectors, 1 where it holds and 0 where not, where all of it can be told.

    Args:
        decide: the comparison, of numbers. Of a size nothing else is known than that it is not
            negative.
    """

    def element(a: Dim, b: Dim) -> Dim | None:
        if isinstance(a, int) and isinstance(b, int):
            return int(decide(a, b))
        if a == b:
            return int(decide(0, 0))
        if isinstance(b, int):
            return _beside_a_size(a, b, decide)
        if isinstance(a, int):
            return _beside_a_size(b, a, lambda size, number: decide(number, size))
        return None

    return arithmetic(element)


def _beside_a_size(size: Dim, number: int, decide: Callable[[int, int], bool]) -> Dim | None:
    """How any size compares with a negative number, None for other numbers."""
    return int(decide(0, number)) if number < 0 and is_size(size) else None


def chosen(known: Known, node: ir.Node) -> Dims | None:
    """Of two vectors the elements that the first input says."""
    if len(node.inputs) != 3:
        return None
    condition, *given = (known.vector(value) for value in node.inputs)
    if condition is None or not all(isinstance(element, int) for element in condition):
        return None
    length = known.static(node.outputs[0])
    if length is None or len(length) > 1:
        return None
    size = length[0] if length else 1
    picks = [0 if condition[place % len(condition)] else 1 for place in range(size)]
    found: list[Dim] = []
    for place, pick in enumerate(picks):
        vector = given[pick]
        if vector is None or len(vector) not in (1, size):
            return None
        found.append(vector[place % len(vector)])
    return tuple(found)


def filled(known: Known, node: ir.Node) -> Dims | None:
    """As many times the value as the vector is to be long, where it is a whole number."""
    length = known.vector(node.inputs[0])
    if length is None or len(length) != 1 or not isinstance(length[0], int) or length[0] < 0:
        return None
    attribute = node.attributes.get("value")
    if attribute is None or attribute.is_ref():
        return None  # zeros, in float32
    array = attribute.as_tensor().numpy()
    if array.dtype.kind not in "iub" or length[0] > _LONGEST:
        return None
    return (int(array.reshape(-1)[0]),) * length[0]


_LONGEST = 64
"""No tensor of more dimensions than this is of interest."""


def negated(known: Known, node: ir.Node) -> Dims | None:
    """1 for 0, and 0 for anything else."""
    vector = known.vector(node.inputs[0])
    if vector is None or not all(isinstance(element, int) for element in vector):
        return None
    return tuple(int(not element) for element in vector)


def both(a: Dim, b: Dim) -> Dim | None:
    """Whether both hold, where that can be told."""
    return int(bool(a) and bool(b)) if isinstance(a, int) and isinstance(b, int) else None


def either(a: Dim, b: Dim) -> Dim | None:
    """Whether one of them holds, where that can be told."""
    return int(bool(a) or bool(b)) if isinstance(a, int) and isinstance(b, int) else None
