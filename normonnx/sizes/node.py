"""The shapes and types of what one node gives, from those of what it reads.

By onnx's own shape inference of the one node, at sizes that are all numbers; what that leaves open
is found by running the node. Neither asks what the engines believe of shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx_ir as ir

from normonnx.operators.attributes import attribute_key
from normonnx.operators.names import ONNX
from normonnx.operators.schemas import schema_of
from normonnx.sizes.counted import counted
from normonnx.sizes.fit import check
from normonnx.sizes.tensor import ContradictionError, Tensor, Tensors

Array = np.ndarray[Any, Any]


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
    check(node, inputs, attributes)
    version = opsets.get(node.domain, 0)
    if schema_of(node.domain, node.op_type, version) is None:
        return unknown
    told = _told(node, inputs, contents)
    found = _inferred(Call.of(node, inputs, told, version, attributes))
    if isinstance(found, str):
        pair = _misfit(node, inputs, told, attributes)
        raise ContradictionError(f"{node.op_type} '{node.name}': {found}", *pair)
    return counted(node, inputs, found, attributes)


def _misfit(
    node: ir.Node,
    inputs: Tensors,
    told: Mapping[int, Array],
    attributes: Mapping[str, ir.Attr],
) -> tuple[int, int]:
    """How many elements a Reshape or Split gets, and wants; zeros where that is not known."""
    source, array = inputs[0] if inputs else None, told.get(1)
    if source is None or array is None or node.domain != ONNX:
        return 0, 0
    if node.op_type == "Reshape":
        row = int(np.prod(array[array > 0]))
        return source.size, max(source.size // row, 1) * row
    if node.op_type == "Split":
        axis = attributes["axis"].as_int() if "axis" in attributes else 0
        return source.shape[axis], int(array.sum())
    return 0, 0


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
        named = tuple(sorted((name, attribute_key(a)) for name, a in attributes.items()))
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


@lru_cache(maxsize=1 << 14)
def _inferred(call: Call) -> Sequence[Tensor | None] | str:
    """By onnx; defaults are written out, as it takes another one than its schema for some."""
    domain, op_type, version, present = call.operator
    schema = schema_of(domain, op_type, version)
    assert schema is not None
    types = {f"i{i}": _type(t) for i, t in enumerate(call.inputs) if t is not None}
    data = {
        f"i{index}": onnx.numpy_helper.from_array(array) for index, array in call.arrays.items()
    }
    opsets = [onnx.OperatorSetIdProto(domain=domain, version=version)]
    proto = call.proto()
    defaults = _defaults(domain, op_type, version)
    proto.attribute.extend(given for name, given in defaults if name not in call.attributes)
    try:
        found = onnx.shape_inference.infer_node_outputs(
            schema, proto, types, data, opset_imports=opsets
        )
    except Exception as error:  # of a type per binding; all mean that the node does not fit
        return str(error).strip().partition("\n")[0][:200]
    return [_tensor(found.get(f"o{i}")) for i in range(len(present))]


@lru_cache(maxsize=1024)
def _defaults(domain: str, op_type: str, version: int) -> Sequence[tuple[str, onnx.AttributeProto]]:
    schema = schema_of(domain, op_type, version)
    attributes = {} if schema is None else schema.attributes
    defaults = ((name, attribute.default_value) for name, attribute in attributes.items())
    return [(name, default) for name, default in defaults if default.name]


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
