"""Integer tensors that hold dimensions: shape arithmetic, followed symbolically."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import onnx_ir as ir

from normonnx.graph.dims import Dim, Dims, Product, divide, times
from normonnx.values.shapes.attributes import attribute_int, slices_of

if TYPE_CHECKING:
    from normonnx.values.shapes.table import Shapes


def _v_shape(shapes: Shapes, node: ir.Node) -> Dims | None:
    dims = shapes.dims(node.inputs[0])
    if dims is None:
        return None
    start = attribute_int(node, "start", 0)
    end = attribute_int(node, "end", len(dims))
    return dims[start:end]


def _v_size(shapes: Shapes, node: ir.Node) -> Dims | None:
    dims = shapes.dims(node.inputs[0])
    return None if dims is None else (times(dims),)


def _v_same(shapes: Shapes, node: ir.Node) -> Dims | None:
    dtype = shapes.dtype(node.outputs[0])
    if dtype is not None and not dtype.is_integer():
        # Casts through a float type are followed too: dimensions are far below 2^24.
        return shapes.vector(node.inputs[0]) if node.op_type == "Cast" else None
    return shapes.vector(node.inputs[0])


def _v_gather(shapes: Shapes, node: ir.Node) -> Dims | None:
    data, indices = shapes.vector(node.inputs[0]), shapes.vector(node.inputs[1])
    if data is None or indices is None or attribute_int(node, "axis", 0) != 0:
        return None
    if not all(isinstance(i, int) and -len(data) <= i < len(data) for i in indices):
        return None
    return tuple(data[i] for i in indices if isinstance(i, int))


def _v_concat(shapes: Shapes, node: ir.Node) -> Dims | None:
    parts = [vector_or_unknowns(shapes, value) for value in node.inputs]
    if any(part is None for part in parts):
        return None
    return tuple(dim for part in parts if part is not None for dim in part)


def vector_or_unknowns(shapes: Shapes, value: ir.Value | None) -> Dims | None:
    """The vector, or as many unknowns as the tensor is long."""
    vector, length = shapes.vector(value), shapes.static(value)
    if vector is not None or value is None or length is None or len(length) != 1:
        return vector
    return tuple(Product(1, (f"?{value.name}[{i}]",)) for i in range(length[0]))


def _v_slice(shapes: Shapes, node: ir.Node) -> Dims | None:
    data = shapes.vector(node.inputs[0])
    if data is None:
        return None
    cuts = slices_of(node, shapes, 1)
    if cuts is None or len(cuts) != 1 or 0 not in cuts:
        return None
    return data[cuts[0]] if (cuts[0].step or 1) > 0 else None


def _v_arithmetic(
    combine: Callable[[Dim, Dim], Dim | None],
) -> Callable[[Shapes, ir.Node], Dims | None]:
    def rule(shapes: Shapes, node: ir.Node) -> Dims | None:
        if len(node.inputs) != 2:
            return None
        left, right = shapes.vector(node.inputs[0]), shapes.vector(node.inputs[1])
        if left is None or right is None:
            return None
        length = max(len(left), len(right))
        if len(left) not in (1, length) or len(right) not in (1, length):
            return None
        pairs = [(left[i % len(left)], right[i % len(right)]) for i in range(length)]
        results = [combine(a, b) for a, b in pairs]
        if any(result is None for result in results):
            return None
        return tuple(result for result in results if result is not None)

    return rule


def total(a: Dim, b: Dim) -> Dim | None:
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    return a if b == 0 else b if a == 0 else None


def _difference(a: Dim, b: Dim) -> Dim | None:
    if a == b:
        return 0
    return a - b if isinstance(a, int) and isinstance(b, int) else (a if b == 0 else None)


def _largest(a: Dim, b: Dim) -> Dim | None:
    if isinstance(a, int) and isinstance(b, int):
        return max(a, b)
    # A broadcast dimension, as exporters compute it: the one that is not 1.
    return a if a == b or b in (0, 1) else b if a in (0, 1) else None


def _v_reduce_prod(shapes: Shapes, node: ir.Node) -> Dims | None:
    vector = shapes.vector(node.inputs[0])
    return None if vector is None else (times(vector),)


VECTOR_RULES: dict[str, Callable[[Shapes, ir.Node], Dims | None]] = {
    "Shape": _v_shape,
    "Size": _v_size,
    "Identity": _v_same,
    "Cast": _v_same,
    "Squeeze": _v_same,
    "Unsqueeze": _v_same,
    "Reshape": _v_same,
    "Gather": _v_gather,
    "Concat": _v_concat,
    "Slice": _v_slice,
    "Mul": _v_arithmetic(lambda a, b: times((a, b))),
    "Div": _v_arithmetic(divide),
    "Add": _v_arithmetic(total),
    "Sub": _v_arithmetic(_difference),
    "Max": _v_arithmetic(_largest),
    "ReduceProd": _v_reduce_prod,
}
