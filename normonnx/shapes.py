"""What is known of a value's dimensions and type, and of the integer tensors that hold dimensions.

onnx's own shape inference comes first. What it leaves open is refined by a few rules of ours that
follow shape arithmetic symbolically (Shape, Gather, Concat, ReduceProd, Mul … feeding a Reshape or
an Expand), so that `Reshape(x, [batch·seq, 32])` and its way back are understood.

A dimension is an int or a product of symbols with an integer factor. A dimension of which nothing
is known is a symbol of its own, so two equal dimensions are provably equal.

Nothing is written into the model: this is a table beside it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir

from normonnx.constants import Constants, is_float, walk

_log = logging.getLogger(__name__)

_LARGEST_VECTOR = 64
_STRIP_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Product:
    """The dimension ``factor · symbols[0] · symbols[1] · …``, with at least one symbol."""

    factor: int
    symbols: tuple[str, ...]

    def __str__(self) -> str:
        return "·".join((*([str(self.factor)] if self.factor != 1 else []), *self.symbols))


Dim = int | Product


def times(dims: Sequence[Dim]) -> Dim:
    """The product of dimensions."""
    factor = 1
    symbols: list[str] = []
    for dim in dims:
        if isinstance(dim, int):
            factor *= dim
        else:
            factor *= dim.factor
            symbols.extend(dim.symbols)
    return Product(factor, tuple(sorted(symbols))) if symbols and factor else factor


def divide(dividend: Dim, divisor: Dim) -> Dim | None:
    """The quotient where the division is exact for every value of the symbols, else None."""
    left = dividend if isinstance(dividend, Product) else Product(dividend, ())
    right = divisor if isinstance(divisor, Product) else Product(divisor, ())
    if right.factor == 0 or left.factor % right.factor:
        return None
    symbols = list(left.symbols)
    for symbol in right.symbols:
        if symbol not in symbols:
            return None
        symbols.remove(symbol)
    factor = left.factor // right.factor
    return Product(factor, tuple(symbols)) if symbols and factor else factor


_Dims = tuple[Dim, ...]


class Shapes:
    """Dimensions, types and dimension vectors of the values of one model."""

    def __init__(self, model: ir.Model, constants: Constants) -> None:
        """Infer what can be inferred; a static Shape is told to `constants`."""
        self._constants = constants
        self._dims: dict[ir.Value, tuple[Dim, ...] | None] = {}
        self._dtypes: dict[ir.Value, ir.DataType] = {}
        self._vectors: dict[ir.Value, tuple[Dim, ...]] = {}
        self._named = {
            dim.value
            for value in model.graph.inputs
            for dim in (value.shape or ())
            if isinstance(dim, ir.SymbolicDim) and dim.value
        }
        self._read_inferred(model)
        for graph in (model.graph, *(f.graph for f in model.functions.values())):
            for node in walk(graph):
                self._visit(node)

    def dims(self, value: ir.Value | None) -> tuple[Dim, ...] | None:
        """The dimensions, or None if not even the rank is known."""
        if value is None:
            return None
        if value not in self._dims:
            self._dims[value] = self._declared(value)
        return self._dims[value]

    def rank(self, value: ir.Value | None) -> int | None:
        """The number of dimensions, if known."""
        dims = self.dims(value)
        return None if dims is None else len(dims)

    def static(self, value: ir.Value | None) -> tuple[int, ...] | None:
        """The dimensions if every one of them is a number."""
        dims = self.dims(value)
        if dims is None or not all(isinstance(dim, int) for dim in dims):
            return None
        return tuple(dim for dim in dims if isinstance(dim, int))

    def dtype(self, value: ir.Value | None) -> ir.DataType | None:
        """The element type, if known."""
        if value is None:
            return None
        if value in self._dtypes:
            return self._dtypes[value]
        if value.dtype is not None:
            return value.dtype
        if self._constants.is_constant(value):
            return self._constants.dtype(value)
        return None

    def vector(self, value: ir.Value | None) -> tuple[Dim, ...] | None:
        """The contents of an integer tensor of rank 0 or 1 as dimensions, if known."""
        if value is None:
            return None
        if value in self._vectors:
            return self._vectors[value]
        if self._constants.is_constant(value) and _small(value):
            array = self._constants.array(value)
            if (
                array is not None
                and array.dtype.kind in "iu"
                and array.ndim <= 1
                and array.size <= _LARGEST_VECTOR
            ):
                self._vectors[value] = tuple(int(item) for item in array.reshape(-1))
                return self._vectors[value]
        return None

    def adopt(self, new: ir.Value, old: ir.Value) -> None:
        """Let a new value have what is known of the old one whose place it takes."""
        self._dims[new] = self.dims(old)
        dtype = self.dtype(old)
        if dtype is not None:
            self._dtypes[new] = dtype

    def set(self, value: ir.Value, dims: Sequence[Dim] | None, dtype: ir.DataType | None) -> None:
        """State what the maker of a new value knows of it."""
        self._dims[value] = None if dims is None else tuple(dims)
        if dtype is not None:
            self._dtypes[value] = dtype

    # -- what onnx infers ------------------------------------------------------------------

    def _read_inferred(self, model: ir.Model) -> None:
        proto = _light_proto(model)
        try:
            proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
        except Exception as error:
            _log.info("onnx.shape_inference failed: %s", error)
        pending = [(model.graph, proto.graph)]
        while pending:
            graph, graph_proto = pending.pop()
            inferred = {
                info.name: info.type.tensor_type
                for infos in (graph_proto.value_info, graph_proto.output)
                for info in infos
                if info.type.HasField("tensor_type")
            }
            nodes = {node.output[0]: node for node in graph_proto.node if node.output}
            for value in graph.inputs:
                self._dims[value] = self._declared(value)
            for node in graph:
                for value in node.outputs:
                    if value.name in inferred:
                        self._read(value, inferred[value.name])
                twin = nodes.get(node.outputs[0].name or "") if node.outputs else None
                if twin is not None:
                    pending.extend(_twins(node, twin))

    def _read(self, value: ir.Value, tensor: onnx.TypeProto.Tensor) -> None:
        if tensor.elem_type:
            self._dtypes[value] = ir.DataType(tensor.elem_type)
        if not tensor.HasField("shape"):
            return
        self._dims[value] = tuple(
            self._dim(
                value, axis, dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None
            )
            for axis, dim in enumerate(tensor.shape.dim)
        )

    def _declared(self, value: ir.Value) -> tuple[Dim, ...] | None:
        shape = value.shape
        if shape is None:
            shape = self._constants.shape(value)
        if shape is None:
            return None
        return tuple(
            self._dim(value, axis, dim if isinstance(dim, int) else dim.value)
            for axis, dim in enumerate(shape)
        )

    def _dim(self, value: ir.Value, axis: int, dim: int | str | None) -> Dim:
        if isinstance(dim, int) and dim >= 0:
            return dim
        # "?" and the like are how exporters write "unknown", not a name that means one size.
        if isinstance(dim, str) and dim not in ("", "?", "None", "-1"):
            return Product(1, (dim,))
        return Product(1, (f"?{value.name}:{axis}",))

    def _open(self, dim: Dim) -> bool:
        """Whether nothing is known of the dimension but that it exists."""
        if isinstance(dim, int) or len(dim.symbols) != 1 or dim.symbols[0] in self._named:
            return False
        return dim.symbols[0].startswith(("?", "unk__"))

    # -- what we add -----------------------------------------------------------------------

    def _visit(self, node: ir.Node) -> None:
        self._constants.visit(node)
        if node.domain != "" or not node.outputs:
            return
        out = node.outputs[0]
        follow = _VECTOR_RULES.get(node.op_type)
        if follow is not None:
            vector = follow(self, node)
            if vector is not None and len(vector) <= _LARGEST_VECTOR:
                self._vectors[out] = vector
                if all(isinstance(dim, int) for dim in vector) and node.op_type in (
                    "Shape",
                    "Size",
                ):
                    array = np.array(vector, dtype=np.int64)
                    self._constants.learn(out, array if node.op_type == "Shape" else array[0])
        if node.op_type == "CastLike":
            self._learn_cast(node)
        if node.op_type == "Split":
            for out, dims in zip(node.outputs, _split(self, node), strict=False):
                self._refine(out, node, lambda dims=dims: dims)  # type: ignore[misc]
        elif node.op_type in _DIM_RULES:
            rule = _DIM_RULES[node.op_type]
            self._refine(out, node, lambda: rule(self, node))

    def _learn_cast(self, node: ir.Node) -> None:
        """A constant cast to the type of a value that is none is a constant all the same."""
        source, like = node.inputs[0], node.inputs[1]
        target = self.dtype(like)
        if self._constants.is_constant(node.outputs[0]) or target is None:
            return
        array = self._constants.array(source)
        if array is not None:
            exact = self._constants.float64(source) if is_float(target) else None
            self._constants.learn(node.outputs[0], array.astype(target.numpy()), exact)

    def _refine(self, out: ir.Value, node: ir.Node, infer: Callable[[], _Dims | None]) -> None:
        known = self.dims(out)
        if known is not None and not any(self._open(dim) for dim in known):
            return
        refined = infer()
        if refined is None:
            return
        if known is not None and len(known) == len(refined):
            refined = tuple(
                new if self._open(old) else old for old, new in zip(known, refined, strict=True)
            )
        self._dims[out] = tuple(refined)
        if out not in self._dtypes and node.inputs and node.op_type not in ("Cast", "Shape"):
            dtype = self.dtype(node.inputs[0])
            if dtype is not None:
                self._dtypes[out] = dtype


def _small(value: ir.Value) -> bool:
    return value.const_value is None or value.const_value.size <= _LARGEST_VECTOR


def _light_proto(model: ir.Model) -> onnx.ModelProto:
    """The model as a proto without its large weights, which become inputs of their shape."""
    light = model.clone()
    graph = light.graph
    for value in list(graph.initializers.values()):
        tensor = value.const_value
        if tensor is None or tensor.nbytes <= _STRIP_BYTES:
            continue
        value.shape = ir.Shape(tensor.shape.numpy())
        value.dtype = tensor.dtype
        graph.initializers.pop(str(value.name))
        if not value.is_graph_input():
            graph.inputs.append(value)
    for node in list(graph):
        if node.op_type != "Constant" or "value" not in node.attributes:
            continue
        attribute = node.attributes["value"]
        if attribute.is_ref() or attribute.as_tensor().nbytes <= _STRIP_BYTES:
            continue
        tensor = attribute.as_tensor()
        out = node.outputs[0]
        if out.is_graph_output():
            continue
        stand_in = ir.Value(
            name=out.name, shape=ir.Shape(tensor.shape.numpy()), type=ir.TensorType(tensor.dtype)
        )
        out.replace_all_uses_with(stand_in)
        graph.remove(node, safe=True)
        graph.inputs.append(stand_in)
    return ir.serde.serialize_model(light)


def _twins(node: ir.Node, proto: onnx.NodeProto) -> list[tuple[ir.Graph, onnx.GraphProto]]:
    pairs: list[tuple[ir.Graph, onnx.GraphProto]] = []
    for attribute in proto.attribute:
        mine = node.attributes.get(attribute.name)
        if mine is None or mine.is_ref():
            continue
        if attribute.type == onnx.AttributeProto.GRAPH:
            pairs.append((mine.as_graph(), attribute.g))
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            pairs.extend(zip(mine.as_graphs(), attribute.graphs, strict=True))
    return pairs


def normalized(axis: int, rank: int) -> int:
    """The axis counted from the front."""
    return axis + rank if axis < 0 else axis


def attribute_ints(node: ir.Node, name: str) -> tuple[int, ...] | None:
    """An integer-list attribute, or None where it is absent."""
    attribute = node.attributes.get(name)
    return None if attribute is None or attribute.is_ref() else tuple(attribute.as_ints())


def attribute_int(node: ir.Node, name: str, default: int) -> int:
    """An integer attribute or its default."""
    attribute = node.attributes.get(name)
    return default if attribute is None or attribute.is_ref() else attribute.as_int()


def axes_of(node: ir.Node, shapes: Shapes) -> tuple[int, ...] | None:
    """The axes of a Squeeze, Unsqueeze or Reduce node, attribute or input; None if absent."""
    axes = attribute_ints(node, "axes")
    if axes is not None:
        return axes
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        vector = shapes.vector(node.inputs[1])
        if vector is not None and all(isinstance(dim, int) for dim in vector):
            return tuple(dim for dim in vector if isinstance(dim, int))
    return None


def slices_of(node: ir.Node, shapes: Shapes, rank: int) -> dict[int, slice] | None:
    """The slices that a Slice node takes, by axis, if they are constant."""
    if len(node.inputs) == 1:
        parts: list[Sequence[Dim] | None] = [
            attribute_ints(node, name) for name in ("starts", "ends", "axes")
        ]
        starts, ends, axes, steps = (*parts, None)
    else:
        given = [*node.inputs[1:], None, None, None, None][:4]
        starts, ends, axes, steps = (shapes.vector(value) for value in given)
        if any(value is not None and shapes.vector(value) is None for value in given):
            return None
    if starts is None or ends is None:
        return None
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    cuts: dict[int, slice] = {}
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=False):
        if not (
            isinstance(axis, int)
            and isinstance(start, int)
            and isinstance(end, int)
            and isinstance(step, int)
            and step != 0
        ):
            return None
        # An end before the first element, written as a huge negative number, is slice's None.
        stop = None if step < 0 and end < -(1 << 30) else end
        cuts[normalized(axis, rank)] = slice(start, stop, step)
    return cuts


# -- rules for integer tensors that hold dimensions --------------------------------------------


def _v_shape(shapes: Shapes, node: ir.Node) -> _Dims | None:
    dims = shapes.dims(node.inputs[0])
    if dims is None:
        return None
    start = attribute_int(node, "start", 0)
    end = attribute_int(node, "end", len(dims))
    return dims[start:end]


def _v_size(shapes: Shapes, node: ir.Node) -> _Dims | None:
    dims = shapes.dims(node.inputs[0])
    return None if dims is None else (times(dims),)


def _v_same(shapes: Shapes, node: ir.Node) -> _Dims | None:
    dtype = shapes.dtype(node.outputs[0])
    if dtype is not None and not dtype.is_integer():
        # Casts through a float type are followed too: dimensions are far below 2^24.
        return shapes.vector(node.inputs[0]) if node.op_type == "Cast" else None
    return shapes.vector(node.inputs[0])


def _v_gather(shapes: Shapes, node: ir.Node) -> _Dims | None:
    data, indices = shapes.vector(node.inputs[0]), shapes.vector(node.inputs[1])
    if data is None or indices is None or attribute_int(node, "axis", 0) != 0:
        return None
    if not all(isinstance(i, int) and -len(data) <= i < len(data) for i in indices):
        return None
    return tuple(data[i] for i in indices if isinstance(i, int))


def _v_concat(shapes: Shapes, node: ir.Node) -> _Dims | None:
    parts = [_vector_or_unknowns(shapes, value) for value in node.inputs]
    if any(part is None for part in parts):
        return None
    return tuple(dim for part in parts if part is not None for dim in part)


def _vector_or_unknowns(shapes: Shapes, value: ir.Value | None) -> _Dims | None:
    """The vector, or as many unknowns as the tensor is long."""
    vector, length = shapes.vector(value), shapes.static(value)
    if vector is not None or value is None or length is None or len(length) != 1:
        return vector
    return tuple(Product(1, (f"?{value.name}[{i}]",)) for i in range(length[0]))


def _v_slice(shapes: Shapes, node: ir.Node) -> _Dims | None:
    data = shapes.vector(node.inputs[0])
    if data is None:
        return None
    cuts = slices_of(node, shapes, 1)
    if cuts is None or len(cuts) != 1 or 0 not in cuts:
        return None
    return data[cuts[0]] if (cuts[0].step or 1) > 0 else None


def _v_arithmetic(
    combine: Callable[[Dim, Dim], Dim | None],
) -> Callable[[Shapes, ir.Node], _Dims | None]:
    def rule(shapes: Shapes, node: ir.Node) -> _Dims | None:
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


def _sum(a: Dim, b: Dim) -> Dim | None:
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


def _v_reduce_prod(shapes: Shapes, node: ir.Node) -> _Dims | None:
    vector = shapes.vector(node.inputs[0])
    return None if vector is None else (times(vector),)


_VECTOR_RULES: dict[str, Callable[[Shapes, ir.Node], _Dims | None]] = {
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
    "Add": _v_arithmetic(_sum),
    "Sub": _v_arithmetic(_difference),
    "Max": _v_arithmetic(_largest),
    "ReduceProd": _v_reduce_prod,
}


# -- rules for dimensions that onnx leaves open ------------------------------------------------


def _d_same(shapes: Shapes, node: ir.Node) -> _Dims | None:
    return shapes.dims(node.inputs[0])


def _d_broadcast(shapes: Shapes, node: ir.Node) -> _Dims | None:
    known = [shapes.dims(value) for value in node.inputs if value is not None]
    result: _Dims | None = ()
    for dims in known:
        if dims is None or result is None:
            return None
        result = _broadcast(result, dims, node)
    return result


def _broadcast(left: _Dims, right: _Dims, node: ir.Node) -> _Dims:
    """Two shapes against each other; where neither is known to give way, something unknown."""
    rank = max(len(left), len(right))
    a = (1,) * (rank - len(left)) + tuple(left)
    b = (1,) * (rank - len(right)) + tuple(right)
    result: list[Dim] = []
    for axis, (x, y) in enumerate(zip(a, b, strict=True)):
        numbers = [dim for dim in (x, y) if isinstance(dim, int) and dim != 1]
        if x == y or y == 1:
            result.append(x)
        elif x == 1:
            result.append(y)
        elif numbers:
            result.append(numbers[0])
        else:
            result.append(Product(1, (f"?{node.outputs[0].name}:{axis}",)))
    return tuple(result)


def _d_reshape(shapes: Shapes, node: ir.Node) -> _Dims | None:
    if len(node.inputs) < 2:
        return None
    target = _vector_or_unknowns(shapes, node.inputs[1])
    if target is None:
        return None
    source = shapes.dims(node.inputs[0])
    result = list(target)
    if not attribute_int(node, "allowzero", 0):
        for axis, dim in enumerate(result):
            if dim == 0:
                if source is None or axis >= len(source):
                    return None
                result[axis] = source[axis]
    if -1 in result:
        place = result.index(-1)
        rest = times([dim for axis, dim in enumerate(result) if axis != place])
        inferred = None if source is None else divide(times(source), rest)
        result[place] = (
            Product(1, (f"?{node.outputs[0].name}:{place}",)) if inferred is None else inferred
        )
    return tuple(result)


def _d_expand(shapes: Shapes, node: ir.Node) -> _Dims | None:
    source, target = shapes.dims(node.inputs[0]), shapes.vector(node.inputs[1])
    if source is None or target is None:
        return None
    rank = max(len(source), len(target))
    padded = [(1,) * (rank - len(dims)) + tuple(dims) for dims in (source, target)]
    result: list[Dim] = []
    for a, b in zip(*padded, strict=True):
        if a != b and 1 not in (a, b):
            return None
        result.append(b if a == 1 else a)
    return tuple(result)


def _d_transpose(shapes: Shapes, node: ir.Node) -> _Dims | None:
    dims = shapes.dims(node.inputs[0])
    if dims is None:
        return None
    perm = attribute_ints(node, "perm") or tuple(reversed(range(len(dims))))
    return tuple(dims[axis] for axis in perm) if len(perm) == len(dims) else None


def _d_unsqueeze(shapes: Shapes, node: ir.Node) -> _Dims | None:
    dims, axes = shapes.dims(node.inputs[0]), axes_of(node, shapes)
    if dims is None or axes is None:
        return None
    rank = len(dims) + len(axes)
    places = {normalized(axis, rank) for axis in axes}
    rest = iter(dims)
    return tuple(1 if axis in places else next(rest) for axis in range(rank))


def _d_squeeze(shapes: Shapes, node: ir.Node) -> _Dims | None:
    dims, axes = shapes.dims(node.inputs[0]), axes_of(node, shapes)
    if dims is None or axes is None:
        return None
    places = {normalized(axis, len(dims)) for axis in axes}
    return tuple(dim for axis, dim in enumerate(dims) if axis not in places)


def _d_matmul(shapes: Shapes, node: ir.Node) -> _Dims | None:
    left, right = shapes.dims(node.inputs[0]), shapes.dims(node.inputs[1])
    if left is None or right is None or len(left) < 2 or len(right) < 2:
        return None
    return (*_broadcast(left[:-2], right[:-2], node), left[-2], right[-1])


def _d_reduce(shapes: Shapes, node: ir.Node) -> _Dims | None:
    dims = shapes.dims(node.inputs[0])
    if dims is None:
        return None
    axes = axes_of(node, shapes)
    if axes is None:
        if len(node.inputs) > 1 or attribute_int(node, "noop_with_empty_axes", 0):
            return None
        axes = tuple(range(len(dims)))
    places = {normalized(axis, len(dims)) for axis in axes}
    if attribute_int(node, "keepdims", 1):
        return tuple(1 if axis in places else dim for axis, dim in enumerate(dims))
    return tuple(dim for axis, dim in enumerate(dims) if axis not in places)


def _d_global_pool(shapes: Shapes, node: ir.Node) -> _Dims | None:
    dims = shapes.dims(node.inputs[0])
    return None if dims is None else (*dims[:2], *(1 for _ in dims[2:]))


def _d_flatten(shapes: Shapes, node: ir.Node) -> _Dims | None:
    dims = shapes.dims(node.inputs[0])
    if dims is None:
        return None
    axis = normalized(attribute_int(node, "axis", 1), len(dims))
    return times(dims[:axis]), times(dims[axis:])


def _d_shape(shapes: Shapes, node: ir.Node) -> _Dims | None:
    vector = shapes.vector(node.outputs[0])
    return None if vector is None else (len(vector),)


def _d_slice(shapes: Shapes, node: ir.Node) -> _Dims | None:
    dims = shapes.dims(node.inputs[0])
    cuts = None if dims is None else slices_of(node, shapes, len(dims))
    if dims is None or cuts is None:
        return None
    result = list(dims)
    for axis, cut in cuts.items():
        dim = dims[axis]
        if isinstance(dim, int):
            result[axis] = len(range(*cut.indices(dim)))
        elif cut != slice(0, cut.stop, 1) or (cut.stop or 0) < 1 << 30:
            result[axis] = Product(1, (f"?{node.outputs[0].name}:{axis}",))
    return tuple(result)


def _split(shapes: Shapes, node: ir.Node) -> list[_Dims | None]:
    dims = shapes.dims(node.inputs[0])
    if dims is None:
        return []
    axis = normalized(attribute_int(node, "axis", 0), len(dims))
    sizes: Sequence[Dim] | None = attribute_ints(node, "split")
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        sizes = shapes.vector(node.inputs[1])
    elif sizes is None:
        each = divide(dims[axis], len(node.outputs))
        sizes = None if each is None else (each,) * len(node.outputs)
    if sizes is None:
        return []
    return [(*dims[:axis], size, *dims[axis + 1 :]) for size in sizes]


def _d_pad(shapes: Shapes, node: ir.Node) -> _Dims | None:
    dims = shapes.dims(node.inputs[0])
    pads: Sequence[Dim] | None = attribute_ints(node, "pads")
    if pads is None and len(node.inputs) > 1:
        pads = shapes.vector(node.inputs[1])
    if dims is None or (len(node.inputs) > 3 and node.inputs[3] is not None):
        return None
    result: list[Dim] = []
    for axis, dim in enumerate(dims):
        ends = (0, 1) if pads is None else (pads[axis], pads[axis + len(dims)])
        total = _sum(*ends)
        if total == 0:
            result.append(dim)
        elif isinstance(dim, int) and isinstance(total, int) and pads is not None:
            result.append(dim + total)
        else:
            result.append(Product(1, (f"?{node.outputs[0].name}:{axis}",)))
    return tuple(result)


def _d_concat(shapes: Shapes, node: ir.Node) -> _Dims | None:
    parts = [shapes.dims(value) for value in node.inputs]
    first = parts[0]
    if first is None:
        return None
    axis = normalized(attribute_int(node, "axis", 1), len(first))
    sizes = [part[axis] for part in parts if part is not None and len(part) == len(first)]
    whole: Dim = Product(1, (f"?{node.outputs[0].name}:{axis}",))
    if len(sizes) == len(parts):
        numbers = [size for size in sizes if isinstance(size, int)]
        if len(numbers) == len(sizes):
            whole = sum(numbers)
    return (*first[:axis], whole, *first[axis + 1 :])


def _d_gather(shapes: Shapes, node: ir.Node) -> _Dims | None:
    data, indices = shapes.dims(node.inputs[0]), shapes.dims(node.inputs[1])
    if data is None or indices is None:
        return None
    axis = normalized(attribute_int(node, "axis", 0), len(data))
    return (*data[:axis], *indices, *data[axis + 1 :])


def _d_weighted(channel: int) -> Callable[[Shapes, ir.Node], _Dims | None]:
    """Conv and ConvTranspose: rank and channels follow from the weight, extents for Conv."""

    def rule(shapes: Shapes, node: ir.Node) -> _Dims | None:
        weight = shapes.dims(node.inputs[1])
        if weight is None:
            return None
        source = shapes.dims(node.inputs[0])
        name = node.outputs[0].name
        group = attribute_int(node, "group", 1)
        channels = weight[0] if channel == 0 else times((weight[1], group))
        batch: Dim = source[0] if source else Product(1, (f"?{name}:0",))
        extents = _conv_extents(node, source, weight) if channel == 0 and source else None
        if extents is None:
            extents = tuple(Product(1, (f"?{name}:{axis}",)) for axis in range(2, len(weight)))
        return batch, channels, *extents

    return rule


def _conv_extents(node: ir.Node, source: _Dims, weight: _Dims) -> _Dims | None:
    """Extent: ⌊(in + pads − dilation·(kernel − 1) − 1) / stride⌋ + 1, per spatial axis."""
    spatial = len(weight) - 2
    auto_pad = node.attributes.get("auto_pad")
    if auto_pad is not None and auto_pad.as_string() not in ("NOTSET", "VALID"):
        return None
    pads = attribute_ints(node, "pads") or (0,) * (2 * spatial)
    strides = attribute_ints(node, "strides") or (1,) * spatial
    dilations = attribute_ints(node, "dilations") or (1,) * spatial
    result: list[Dim] = []
    for axis in range(spatial):
        extent, kernel = source[2 + axis], weight[2 + axis]
        if not isinstance(extent, int) or not isinstance(kernel, int):
            return None
        room = extent + pads[axis] + pads[axis + spatial] - dilations[axis] * (kernel - 1) - 1
        result.append(room // strides[axis] + 1)
    return tuple(result)


def _d_gemm(shapes: Shapes, node: ir.Node) -> _Dims | None:
    a, b = shapes.dims(node.inputs[0]), shapes.dims(node.inputs[1])
    name = node.outputs[0].name
    rows: Dim = Product(1, (f"?{name}:0",))
    columns: Dim = Product(1, (f"?{name}:1",))
    if a is not None and len(a) == 2:
        rows = a[1] if attribute_int(node, "transA", 0) else a[0]
    if b is not None and len(b) == 2:
        columns = b[0] if attribute_int(node, "transB", 0) else b[1]
    return rows, columns


_DIM_RULES: dict[str, Callable[[Shapes, ir.Node], _Dims | None]] = {
    **dict.fromkeys(
        """Abs BatchNormalization Cast CastLike Clip Dropout Elu Erf Exp Gelu HardSigmoid HardSwish
        Identity InstanceNormalization LayerNormalization LeakyRelu Log LogSoftmax Mish Neg
        PRelu Reciprocal Relu RMSNormalization Selu Sigmoid Sin Cos Softmax Softplus Softsign
        Sqrt Tanh ThresholdedRelu""".split(),
        _d_same,
    ),
    **dict.fromkeys(
        "Add Sub Mul Div Pow Max Min Sum Where Equal Less Greater".split(), _d_broadcast
    ),
    **dict.fromkeys(
        """ReduceMean ReduceSum ReduceSumSquare ReduceL2 ReduceMax ReduceMin ReduceProd""".split(),
        _d_reduce,
    ),
    "Reshape": _d_reshape,
    "Expand": _d_expand,
    "Shape": _d_shape,
    "Slice": _d_slice,
    "Pad": _d_pad,
    "Concat": _d_concat,
    "Gather": _d_gather,
    "Transpose": _d_transpose,
    "Unsqueeze": _d_unsqueeze,
    "Squeeze": _d_squeeze,
    "MatMul": _d_matmul,
    "Gemm": _d_gemm,
    "GlobalAveragePool": _d_global_pool,
    "GlobalMaxPool": _d_global_pool,
    "Flatten": _d_flatten,
    "Conv": _d_weighted(0),
    "ConvTranspose": _d_weighted(1),
}


def element_count(dims: Sequence[Dim] | None) -> int | None:
    """The number of elements if every dimension is a number."""
    if dims is None or not all(isinstance(dim, int) for dim in dims):
        return None
    return math.prod(dim for dim in dims if isinstance(dim, int))
