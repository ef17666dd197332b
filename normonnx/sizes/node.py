"""The shapes and types of what one node gives, from those of what it reads.

By onnx's own shape inference of the one node, at sizes that are all numbers; what that leaves open
is found by running the node. Neither asks what the engines believe of shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx_ir as ir
from msgspec import Struct

from normonnx.operators.names import ONNX
from normonnx.operators.schemas import schema_of

Array = np.ndarray[Any, Any]
Shape: TypeAlias = "tuple[int, ...]"


class Tensor(Struct, frozen=True):
    """What is known of a value at given sizes.

    Attributes:
        shape: its dimensions.
        dtype: its element type.
    """

    shape: Shape
    dtype: ir.DataType

    @property
    def size(self) -> int:
        """How many elements it has."""
        return prod(self.shape)


class ContradictionError(Exception):
    """A node does not take inputs of these sizes.

    Attributes:
        found: a size that does not fit, 0 where it is none.
        wanted: the size that would.
        after: how many nodes were walked until then.
    """

    def __init__(self, reason: str, found: int = 0, wanted: int = 0) -> None:
        super().__init__(reason)
        self.found: int = found
        self.wanted: int = wanted
        self.after: int = 0


Tensors: TypeAlias = "Sequence[Tensor | None]"
Contents: TypeAlias = "Callable[[int], Array | None]"
"""The elements of an input, by its position; None where they are not known."""

_SIZES_FROM: Mapping[str, Sequence[int]] = {
    "AffineGrid": (1,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "ConstantOfShape": (0,),
    "DFT": (1, 2),
    "Expand": (1,),
    "MaxUnpool": (2,),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "STFT": (1, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
    **{
        f"Reduce{name}": (1,)
        for name in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum")
    },
    "ReduceSumSquare": (1,),
    "BlackmanWindow": (0,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
}
"""The inputs whose elements say how large an output is."""

_MOST_ELEMENTS = 64


def inferred(
    node: ir.Node,
    inputs: Tensors,
    contents: Contents,
    opsets: Mapping[str, int],
    attributes: Mapping[str, ir.Attr],
) -> list[Tensor | None]:
    """What each output of a node is, None for one that onnx cannot tell.

    Args:
        node: of ONNX's domain or another that onnx has schemas of; without subgraphs.
        inputs: what it reads, None for an input that is absent or not known.
        contents: the elements of an input that says how large an output is.
        opsets: operator set version by domain.
        attributes: of the node, references resolved.

    Raises:
        ContradictionError: if the node does not take such inputs.
    """
    unknown: list[Tensor | None] = [None] * len(node.outputs)
    given = [value is not None for value in node.inputs]
    if any(there and tensor is None for there, tensor in zip(given, inputs, strict=True)):
        return unknown
    version = opsets.get(node.domain, 0)
    if schema_of(node.domain, node.op_type, version) is None:
        return unknown
    check(node, inputs, attributes)
    told = _told(node, inputs, contents)
    found = _inferred(Call.of(node, inputs, told, version, attributes))
    if isinstance(found, str):
        raise ContradictionError(f"{node.op_type} '{node.name}': {found}")
    return list(found)


def _told(node: ir.Node, inputs: Tensors, contents: Contents) -> dict[int, Array]:
    """The elements of the inputs that say how large an output is."""
    told = {}
    for index in _SIZES_FROM.get(node.op_type, ()) if node.domain == ONNX else ():
        tensor = inputs[index] if index < len(inputs) else None
        if tensor is not None and tensor.size <= _MOST_ELEMENTS:
            array = contents(index)
            if array is not None:
                told[index] = array
    return told


class Call:
    """A node and what it reads, equal to another where nothing that tells of shapes differs.

    Attributes:
        operator: its domain, name and version, and which of its outputs are there.
        inputs: what it reads.
        attributes: references resolved.
        arrays: elements of inputs, by position.
    """

    def __init__(
        self,
        operator: tuple[str, str, int, tuple[bool, ...]],
        inputs: Tensors,
        attributes: Mapping[str, ir.Attr],
        arrays: Mapping[int, Array],
        *parts: Any,
    ) -> None:
        self.operator = operator
        self.inputs = inputs
        self.attributes = attributes
        self.arrays = arrays
        self._parts = (operator, inputs, *parts)
        self._hash = hash(self._parts)

    @classmethod
    def of(
        cls,
        node: ir.Node,
        inputs: Tensors,
        arrays: Mapping[int, Array],
        version: int,
        attributes: Mapping[str, ir.Attr],
        *,
        elements_count: bool = True,
    ) -> Call:
        """The call of a node; its arrays make a difference, unless they are any of their sizes."""
        present = tuple(bool(out.name) for out in node.outputs)
        told = tuple((index, a.tobytes()) for index, a in arrays.items()) if elements_count else ()
        named = tuple(sorted((name, _hashable(a)) for name, a in attributes.items()))
        operator = (node.domain, node.op_type, version, present)
        return cls(operator, tuple(inputs), attributes, arrays, told, named)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and self._parts == other._parts

    def proto(self) -> onnx.NodeProto:
        """The node, with the inputs i0, i1, … and the outputs o0, o1, …."""
        domain, op_type, _, present = self.operator
        proto = onnx.NodeProto(op_type=op_type, domain=domain)
        proto.input.extend(f"i{i}" if t is not None else "" for i, t in enumerate(self.inputs))
        proto.output.extend(f"o{i}" if there else "" for i, there in enumerate(present))
        proto.attribute.extend(map(ir.serde.serialize_attribute, self.attributes.values()))
        return proto


def _hashable(attribute: ir.Attr) -> Any:
    value = attribute.value
    if isinstance(value, str | bytes | int | float):
        return (int(attribute.type), value)
    if attribute.type in (ir.AttributeType.INTS, ir.AttributeType.FLOATS):
        return (int(attribute.type), tuple(value))
    return (int(attribute.type), ir.serde.serialize_attribute(attribute).SerializeToString())


@lru_cache(maxsize=1 << 14)
def _inferred(call: Call) -> Sequence[Tensor | None] | str:
    domain, op_type, version, present = call.operator
    schema = schema_of(domain, op_type, version)
    assert schema is not None
    types = {f"i{i}": _type(t) for i, t in enumerate(call.inputs) if t is not None}
    data = {
        f"i{index}": onnx.numpy_helper.from_array(array) for index, array in call.arrays.items()
    }
    opsets = [onnx.OperatorSetIdProto(domain=domain, version=version)]
    try:
        found = onnx.shape_inference.infer_node_outputs(
            schema, call.proto(), types, data, opset_imports=opsets
        )
    except Exception as error:  # of a type per binding; all mean that the node does not fit
        return str(error).strip().partition("\n")[0][:200]
    return [_tensor(found.get(f"o{i}")) for i in range(len(present))]


@lru_cache(maxsize=4096)
def _type(tensor: Tensor) -> onnx.TypeProto:
    return onnx.helper.make_tensor_type_proto(tensor.dtype.value, tensor.shape)


def _tensor(proto: onnx.TypeProto | None) -> Tensor | None:
    if proto is None or not proto.HasField("tensor_type"):
        return None
    tensor = proto.tensor_type
    if not tensor.elem_type or not tensor.HasField("shape"):
        return None
    if not all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in tensor.shape.dim):
        return None
    shape = tuple(dim.dim_value for dim in tensor.shape.dim)
    return Tensor(shape, ir.DataType(tensor.elem_type))


# -- what onnx's inference does not check ---------------------------------------------------


def check(node: ir.Node, inputs: Tensors, attributes: Mapping[str, ir.Attr]) -> None:
    """Refuse sizes at which a node cannot run, where onnx's inference would not notice.

    Raises:
        ContradictionError: with the size that does not fit and the one that would.
    """
    rule = _CHECKS.get(node.op_type) if node.domain == ONNX else None
    if rule is None or any(t is None for t in inputs[:2]):
        return
    shapes = [None if t is None else t.shape for t in inputs]
    for found, wanted in rule(shapes, attributes):
        if found != wanted:
            raise ContradictionError(
                f"{node.op_type} '{node.name}' takes {wanted} where it gets {found}", found, wanted
            )


Pairs: TypeAlias = "list[tuple[int, int]]"
_Shapes: TypeAlias = "Sequence[Any]"
_Attributes: TypeAlias = "Mapping[str, ir.Attr]"


def _int(attributes: _Attributes, name: str, default: int) -> int:
    attribute = attributes.get(name)
    return default if attribute is None else attribute.as_int()


def _conv(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    x, kernel = shapes[:2]
    if len(x) < 3 or len(kernel) != len(x):
        return []
    _refuse_too_small(x[2:], kernel[2:], attributes)
    return [(x[1], kernel[1] * _int(attributes, "group", 1))]


def _pool(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    kernel = attributes.get("kernel_shape")
    if kernel is not None and len(shapes[0]) == len(kernel.as_ints()) + 2:
        _refuse_too_small(shapes[0][2:], kernel.as_ints(), attributes)
    return []


def _refuse_too_small(sizes: _Shapes, kernel: _Shapes, attributes: _Attributes) -> None:
    """A window that is larger than what it slides over, which onnx counts as one."""
    axes = len(sizes)
    pads, steps = attributes.get("pads"), attributes.get("dilations")
    auto = attributes.get("auto_pad")
    if auto is not None and auto.as_string().startswith("SAME"):
        return
    padded = (0,) * (2 * axes) if pads is None else pads.as_ints()
    dilated = (1,) * axes if steps is None else steps.as_ints()
    for axis in range(axes):
        span = (kernel[axis] - 1) * dilated[axis] + 1
        if sizes[axis] + padded[axis] + padded[axis + axes] < span:
            raise ContradictionError(f"a window of {span} over {sizes[axis]}", sizes[axis], span)


def _conv_transpose(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    x, kernel = shapes[:2]
    return [(x[1], kernel[0])] if len(x) > 2 and len(kernel) == len(x) else []


def _gemm(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    a, b = shapes[:2]
    if len(a) != 2 or len(b) != 2:
        return []
    rows, inner = reversed(a) if _int(attributes, "transA", 0) else a
    other, columns = reversed(b) if _int(attributes, "transB", 0) else b
    added = shapes[2] if len(shapes) > 2 and shapes[2] is not None else ()
    broadcast = zip((columns, rows), reversed(added), strict=False)
    return [(inner, other), *((m, n) for m, n in broadcast if n != 1)]


def _matmul(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    a, b = shapes[:2]
    return [(a[-1], b[-2 if len(b) > 1 else -1])] if a and b else []


def _per_channel(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    x, scale = shapes[:2]
    return [(x[1], scale[0])] if len(x) > 1 and len(scale) == 1 else []


def _arithmetic(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    if "axis" in attributes:  # an opset that aligns in another way
        return []
    a, b = shapes[:2]
    pairs = zip(reversed(a), reversed(b), strict=False)
    return [(m, n) for m, n in pairs if 1 not in (m, n)]


_CHECKS: Mapping[str, Callable[[_Shapes, _Attributes], Pairs]] = {
    "AveragePool": _pool,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "LpPool": _pool,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "BatchNormalization": _per_channel,
    "InstanceNormalization": _per_channel,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _arithmetic),
}
