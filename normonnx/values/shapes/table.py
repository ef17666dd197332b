"""What is known of the values of one model: a table beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import onnx
import onnx_ir as ir

from normonnx.graph.dims import Dim, Dims, Product, unknown
from normonnx.graph.nesting import subgraphs, walk
from normonnx.operators.facts import Facts
from normonnx.operators.names import onnx_name
from normonnx.operators.schemas import is_foreign, keeps_type
from normonnx.operators.table import facts_of
from normonnx.values.constants import Constants
from normonnx.values.shapes.bodies import changed_by_body, given_to_body, left_by_graphs
from normonnx.values.shapes.contradiction import unless_contradictory
from normonnx.values.shapes.inferred import inferred
from normonnx.values.shapes.light import Told, is_size

_LARGEST_VECTOR = 64

_MOST_INFERENCES = 4
"""How often onnx is asked again, with what it does not know of itself: one such behind another."""


class Shapes:
    """Dimensions, types and dimension vectors of the values of one model."""

    def __init__(self, model: ir.Model, constants: Constants) -> None:
        """Infer what can be inferred; a static Shape is told to `constants`."""
        self._constants = constants
        self._dims: dict[ir.Value, tuple[Dim, ...] | None] = {}
        self._dtypes: dict[ir.Value, ir.DataType] = {}
        self._vectors: dict[ir.Value, tuple[Dim, ...]] = {}
        self._written: dict[str, Dim] = {}
        self._inputs = frozenset(model.graph.inputs)
        self._named = {
            dim.value
            for value in model.graph.inputs
            for dim in (value.shape or ())
            if isinstance(dim, ir.SymbolicDim) and dim.value
        }
        told = {v: (dims, v.dtype) for v in model.graph.inputs if (dims := self.dims(v))}
        self._infer(model, told)
        known = 0
        for _ in range(_MOST_INFERENCES):
            beyond = self._beyond_onnx(model)
            if len(beyond) == known:
                break
            known = len(beyond)
            self._infer(model, told | beyond)

    def _infer(self, model: ir.Model, told: Told) -> None:
        """Read what onnx infers, and add what follows by the rules of the operators."""
        self._written = {str(dim): dim for dims, _ in told.values() for dim in dims}
        for value, tensor in inferred(model, told):
            self._read(value, tensor)
        for graph in (model.graph, *(f.graph for f in model.functions.values())):
            self._follow(graph)

    def _follow(self, graph: ir.Graph) -> None:
        """Visit the nodes of a graph in order, and within them those of their bodies."""
        for node in graph:
            self._visit(node)
            if inner := subgraphs(node):
                self._follow_within(node, inner)

    def _follow_within(self, node: ir.Node, graphs: Sequence[ir.Graph]) -> None:
        """Visit the nodes of its graphs, a body again while it leaves what it was not given."""
        inside = [v for graph in graphs for v in graph.inputs]
        inside += [out for graph in graphs for inner in walk(graph) for out in inner.outputs]
        before = {value: self._dims[value] for value in inside if value in self._dims}
        for graph in graphs:
            self._follow(graph)
        while changed := dict(changed_by_body(self, node)):
            for value in inside:
                self._dims.pop(value, None)
                self._vectors.pop(value, None)
            before |= changed
            self._dims |= before
            for graph in graphs:
                self._follow(graph)
        for out, dims in left_by_graphs(self, node):
            self._refine(out, node, lambda dims=dims: dims)  # type: ignore[misc]

    def _beyond_onnx(self, model: ir.Model) -> dict[ir.Value, tuple[Dims, ir.DataType | None]]:
        """What onnx does not know: of other operators, by rule or declared, and of bodies."""
        nodes = [n for n in model.graph if is_foreign(n) or facts_of(n).control_flow]
        values = [out for node in nodes for out in node.outputs]
        return {v: (dims, self.dtype(v)) for v in values if (dims := self.dims(v)) is not None}

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
        """The contents of an integer tensor of rank 0 or 1, or of one element, if known."""
        if value is None:
            return None
        if value in self._vectors:
            return self._vectors[value]
        if self._constants.is_constant(value) and self._may_hold_dimensions(value):
            array = self._constants.array(value)
            if (
                array is not None
                and array.dtype.kind in "iub"
                and (array.ndim <= 1 or array.size == 1)
                and array.size <= _LARGEST_VECTOR
            ):
                self._vectors[value] = tuple(int(item) for item in array.reshape(-1))
                return self._vectors[value]
        return None

    def _may_hold_dimensions(self, value: ir.Value) -> bool:
        """Whether a constant is worth a look: its type and size are known without its numbers."""
        if value.const_value is not None:
            return value.const_value.size <= _LARGEST_VECTOR
        dtype, dims = self.dtype(value), self.static(value)
        size = 1 if dims is None else math.prod(dims)
        whole = dtype is None or dtype.is_integer() or dtype == ir.DataType.BOOL
        return whole and size <= _LARGEST_VECTOR

    def adopt(self, new: ir.Value, old: ir.Value) -> None:
        """Let a new value have what is known of the old one whose place it takes, if it is more."""
        known, told = self.dims(new), self.dims(old)
        if known is not None and (told is None or len(told) == len(known)):
            told = tuple(map(self._better, known, known if told is None else told))
        self._dims[new] = told
        dtype = self.dtype(old)
        if dtype is not None:
            self._dtypes[new] = dtype

    def _better(self, one: Dim, other: Dim) -> Dim:
        """Of what is said of a dimension twice that which says more."""
        if isinstance(one, int) or (self._open(other) and not isinstance(other, int)):
            return one
        return other

    def set(self, value: ir.Value, dims: Sequence[Dim] | None, dtype: ir.DataType | None) -> None:
        """State what the maker of a new value knows of it."""
        self._dims[value] = None if dims is None else tuple(dims)
        if dtype is not None:
            self._dtypes[value] = dtype

    def look_again(self, node: ir.Node) -> None:
        """Note what has become known of a node's outputs since what it reads is known better."""
        self._visit(node)

    # -- what onnx infers ------------------------------------------------------------------

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
        """What the file says of an input, of a constant, or of what onnx cannot infer."""
        stored = self._constants.shape(value)
        if stored is not None:
            return tuple(stored.numpy())
        node = value.producer()
        given = value in self._inputs if node is None else is_foreign(node)
        if value.shape is None or not given:
            return None
        sizes = [dim if isinstance(dim, int) else dim.value for dim in value.shape]
        return tuple(
            self._dim(value, axis, dim if is_size(dim) else None) for axis, dim in enumerate(sizes)
        )

    def _dim(self, value: ir.Value, axis: int, dim: int | str | None) -> Dim:
        if isinstance(dim, int) and dim >= 0:
            return dim
        if isinstance(dim, str):
            return self._written.get(dim) or Product(1, (dim,))
        return unknown(value.name, axis)

    def _open(self, dim: Dim) -> bool:
        """Whether nothing is known of the dimension but that it exists."""
        if isinstance(dim, int) or len(dim.symbols) != 1 or dim.symbols[0] in self._named:
            return False
        return dim.symbols[0].startswith(("?", "unk__"))

    # -- what we add -----------------------------------------------------------------------

    def _visit(self, node: ir.Node) -> None:
        self._constants.visit(node)
        for value, dims in given_to_body(self, node):
            self._dims[value] = dims
        if not node.outputs:
            return
        facts = facts_of(node)
        out = node.outputs[0]
        self._learn_type(out, node, facts)
        if onnx_name(node) == "CastLike":
            self._learn_cast(node)
        rule, rule_of_each = facts.dims, facts.dims_of_each
        if rule_of_each is not None:
            parts = unless_contradictory(lambda: rule_of_each(self, node)) or ()
            for out, dims in zip(node.outputs, parts, strict=False):
                self._refine(out, node, lambda dims=dims: dims)  # type: ignore[misc]
        elif rule is not None:
            self._refine(out, node, lambda: rule(self, node))
        self._follow_vector(node, facts)

    def _follow_vector(self, node: ir.Node, facts: Facts) -> None:
        """Note what an integer tensor holds that follows from dimensions."""
        rule, out = facts.vector, node.outputs[0]
        vector = None if rule is None else unless_contradictory(lambda: rule(self, node))
        if vector is None or len(vector) > _LARGEST_VECTOR or not self._holds(out, vector):
            return
        self._vectors[out] = vector
        if facts.reads_shape_only and all(isinstance(dim, int) for dim in vector):
            array = np.array(vector, dtype=np.int64)
            self._constants.learn(out, array[0] if facts.name == "Size" else array)

    def _holds(self, value: ir.Value, vector: Dims) -> bool:
        """Whether a value has as many elements, in one row or a single one, and room for them."""
        dims, dtype = self.static(value), self.dtype(value)
        if dims is None or math.prod(dims) != len(vector) or (len(dims) > 1 and len(vector) != 1):
            return False
        if dtype is None or not dtype.is_integer():
            return True
        if dtype.bitwidth < 32:
            return False
        limits = np.iinfo(dtype.numpy())
        return all(limits.min <= dim <= limits.max for dim in vector if isinstance(dim, int))

    def _learn_cast(self, node: ir.Node) -> None:
        """A constant cast to the type of a value that is none is a constant all the same."""
        if len(node.inputs) < 2:
            return  # an opset that does not have it
        source, like = node.inputs[0], node.inputs[1]
        target = self.dtype(like)
        if self._constants.is_constant(node.outputs[0]) or target is None:
            return
        array = self._constants.array(source)
        if array is not None:
            self._constants.learn(node.outputs[0], array.astype(target.numpy()))

    def _refine(self, out: ir.Value, node: ir.Node, infer: Callable[[], Dims | None]) -> None:
        known = self._dims.get(out)
        if known is not None and not any(self._open(dim) for dim in known):
            return
        refined = unless_contradictory(infer)
        if refined is None:
            return
        if known is not None and len(known) == len(refined):
            refined = tuple(
                new if self._open(old) else old for old, new in zip(known, refined, strict=True)
            )
        self._dims[out] = tuple(refined)

    def _learn_type(self, out: ir.Value, node: ir.Node, facts: Facts) -> None:
        """Note the element type where onnx does not infer it."""
        if out in self._dtypes or not node.inputs:
            return
        dtype = None if facts.dtype is None else facts.dtype(self, node)
        if dtype is None and keeps_type(node.domain, node.op_type):
            dtype = self.dtype(node.inputs[0])
        if dtype is not None:
            self._dtypes[out] = dtype
