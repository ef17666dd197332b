"""What it takes to work a constant out: how large it becomes, and how much work it is.

A file of a few bytes may ask for a tensor of terabytes, or for a product that takes days. What is
over the budget is no constant to us; runtimes work it out, or do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import onnx_ir as ir
from msgspec import Struct

from normonnx.graph.dims import Dims
from normonnx.operators.kernels import Array
from normonnx.operators.names import onnx_name
from normonnx.operators.schemas import schema_of
from normonnx.operators.table import facts_of
from normonnx.oracle.work import multiplications

_MOST_BYTES = 64 << 20
"""No constant larger than this, and than twice its inputs, is worked out."""

_MOST_WORK = 1 << 30
"""Nor one that takes more multiplications than this."""

_LONGEST_VECTOR = 1 << 10
"""Integers up to this count may say how large a result is."""


def is_affordable(node: ir.Node, inputs: Sequence[Array | None], opsets: Mapping[str, int]) -> bool:
    """Whether the outputs of a node are within the budget; what cannot be told is not.

    Args:
        node: an operator.
        inputs: as many as it has, None standing for an absent one.
        opsets: operator set version by domain.
    """
    given = [array for array in inputs if array is not None]
    sizes = _sizes(node, inputs, opsets)
    if sizes is None:
        return False
    widest = max((array.itemsize for array in given), default=8)
    budget = max(_MOST_BYTES, 2 * sum(array.nbytes for array in given))
    if onnx_name(node) == "Cast":
        widest = max(widest, 8)
    work = multiplications(node, inputs, [_Sized(size) for size in sizes])
    return sum(sizes) * widest <= budget and work <= _MOST_WORK


class _Sized(Struct, frozen=True):
    """Stands for an output of so many elements."""

    size: int


class _Arrays(Struct, frozen=True):
    """The inputs of one node, as the rules for dimensions ask for them."""

    arrays: dict[ir.Value, Array]

    def dims(self, value: ir.Value | None) -> Dims | None:
        return self.static(value)

    def rank(self, value: ir.Value | None) -> int | None:
        dims = self.static(value)
        return None if dims is None else len(dims)

    def static(self, value: ir.Value | None) -> tuple[int, ...] | None:
        array = None if value is None else self.arrays.get(value)
        return None if array is None else array.shape

    def dtype(self, value: ir.Value | None) -> ir.DataType | None:
        array = None if value is None else self.arrays.get(value)
        return None if array is None else ir.DataType.from_numpy(array.dtype)

    def vector(self, value: ir.Value | None) -> Dims | None:
        array = None if value is None else self.arrays.get(value)
        if array is None or array.dtype.kind not in "iu" or array.size > _LONGEST_VECTOR:
            return None
        return tuple(int(number) for number in array.reshape(-1))


def _sizes(
    node: ir.Node, inputs: Sequence[Array | None], opsets: Mapping[str, int]
) -> list[int] | None:
    """How many elements each output has, None if that cannot be told."""
    given = [array for array in inputs if array is not None]
    told = _TOLD.get(onnx_name(node))
    if told is not None:
        return [told(given)] * len(node.outputs)
    return _by_rule(node, inputs) or _inferred(node, inputs, opsets)


def _by_rule(node: ir.Node, inputs: Sequence[Array | None]) -> list[int] | None:
    facts = facts_of(node)
    pairs = zip(node.inputs, inputs, strict=False)
    known = _Arrays({value: array for value, array in pairs if value and array is not None})
    if facts.dims_of_each is not None:
        return _counted(facts.dims_of_each(known, node))
    if facts.dims is not None and len(node.outputs) == 1:
        return _counted([facts.dims(known, node)])
    return None


def _product(array: Array) -> int:
    return math.prod(int(number) for number in array.reshape(-1))


def _range(given: Sequence[Array]) -> int:
    start, limit, delta = (float(array.reshape(-1)[0]) for array in given)
    return math.ceil(max(0.0, (limit - start) / delta)) if delta else 0


def _all(given: Sequence[Array]) -> int:
    """As many indices as there are elements, at most."""
    return given[0].size * max(1, given[0].ndim)


_TOLD: Mapping[str, Callable[[Sequence[Array]], int]] = {
    "ConstantOfShape": lambda given: _product(given[0]),
    "Tile": lambda given: given[0].size * _product(given[1]),
    "Range": _range,
    "Compress": _all,
    "NonZero": _all,
    "Unique": _all,
}
"""Operators whose results are as large as their inputs say, or no larger than this."""


def _counted(every: Sequence[Dims | None]) -> list[int] | None:
    sizes = []
    for dims in every:
        if dims is None or not all(isinstance(dim, int) for dim in dims):
            return None
        sizes.append(math.prod(dim for dim in dims if isinstance(dim, int)))
    return sizes


def _inferred(
    node: ir.Node, inputs: Sequence[Array | None], opsets: Mapping[str, int]
) -> list[int] | None:
    """The same by onnx's inference for one node."""
    schema = schema_of(node.domain, node.op_type, opsets.get(node.domain, 1))
    if schema is None:
        return None
    proto = ir.to_proto(node)
    named = {f"i{place}": array for place, array in enumerate(inputs) if array is not None}
    del proto.input[:]
    proto.input.extend("" if array is None else f"i{i}" for i, array in enumerate(inputs))
    types = {
        name: onnx.helper.make_tensor_type_proto(
            ir.DataType.from_numpy(array.dtype).value, array.shape
        )
        for name, array in named.items()
    }
    small = {
        name: onnx.numpy_helper.from_array(np.asarray(array), name)
        for name, array in named.items()
        if array.dtype.kind in "iuf" and array.size <= _LONGEST_VECTOR
    }
    found = onnx.shape_inference.infer_node_outputs(
        schema,
        proto,
        types,
        small,
        opset_imports=[onnx.helper.make_opsetid(*i) for i in opsets.items()],
    )
    return _counted([_dims_of(found.get(name)) for name in proto.output if name])


def _dims_of(kind: onnx.TypeProto | None) -> Dims | None:
    if kind is None or not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    return tuple(d.dim_value for d in dims) if all(d.HasField("dim_value") for d in dims) else None
