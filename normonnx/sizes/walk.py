"""One walk over a model at sizes that are all numbers: the shapes, and no elements.

The elements of a value are worked out only where they say how large another one is, and follow from
constants and shapes. Where they do not (NonZero, a Loop whose count is computed), every size is as
good as another, and the node is run on stand-ins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.graph.interface import required_inputs
from normonnx.graph.nesting import subgraphs
from normonnx.operators.names import onnx_name
from normonnx.ops.operators import DOMAIN, OPERATORS
from normonnx.oracle.calls import resolved
from normonnx.oracle.planner import compute
from normonnx.sizes.control_flow import RULES as CONTROL_FLOW
from normonnx.sizes.dimensions import Binding, OpenShapes
from normonnx.sizes.elements import Elements
from normonnx.sizes.fit import check
from normonnx.sizes.foreign import tensor_of
from normonnx.sizes.node import inferred
from normonnx.sizes.standing_in import run_on_stand_ins
from normonnx.sizes.tensor import ContradictionError, Tensor, Tensors

Array = np.ndarray[Any, Any]
Attributes = Mapping[str, ir.Attr]
Opsets = Mapping[str, int]


class Walk:
    """The shapes of a model's values at one binding of its open dimensions.

    Attributes:
        binding: the sizes of the open dimensions.
        behind: for each value whose shape rests on what the file declares, the operator because of
            which it does.
        misfits: what did not fit in branches that may be taken, or is too large to be run; nothing
            is known behind it.
        beside: what did not fit in branches that are not taken at these sizes.
    """

    def __init__(
        self, model: ir.Model, open_shapes: OpenShapes, binding: Binding, *, tolerant: bool = False
    ) -> None:
        """Walk the model.

        Args:
            model: only read.
            open_shapes: the shapes of its inputs.
            binding: sizes for their open dimensions.
            tolerant: go on behind a node that does not fit; nothing is known of its outputs.

        Raises:
            ContradictionError: if the model does not take these sizes.
        """
        self.binding = binding
        self.behind: dict[ir.Value, str] = {}
        self._functions = model.functions
        self.misfits: list[ContradictionError] = []
        self.beside: list[ContradictionError] = []
        self._tolerant = tolerant
        self._noted: list[ContradictionError] | None = None
        self._opsets: dict[ir.Node, Opsets] = {}
        self._tensors: dict[ir.Value, Tensor] = {}
        self._elements = Elements(self.tensor, self._opsets)
        self._several: set[ir.Value] = set()
        for value in required_inputs(model):
            if isinstance(value.type, ir.TensorType) and value.shape is not None:
                shape = open_shapes.shape(str(value.name), binding)
                self._tensors[value] = Tensor(shape, value.type.dtype)
        self._graph(model.graph, model.opset_imports, {})
        for value in self._several:
            self._tensors.pop(value, None)
        self._elements = Elements(self.tensor, self._opsets)
        self._tolerant = True  # what comes later stands for something that has fitted

    @property
    def nodes(self) -> int:
        """How many nodes were walked."""
        return len(self._opsets)

    def tensor(self, value: ir.Value | None) -> Tensor | None:
        """The shape and type of a value, None if they are not known."""
        if value is None:
            return None
        found = self._tensors.get(value)
        if found is None and value.const_value is not None:
            stored = value.const_value
            found = Tensor(tuple(stored.shape.numpy()), stored.dtype)
        return found

    def contents(self, value: ir.Value | None) -> Array | None:
        """The elements of a small tensor that follow from constants and shapes, None for others."""
        return self._elements.of(value)

    def adopt(self, new: ir.Value, old: ir.Value) -> None:
        """Let a value have what is known of the one that it stands for."""
        if (tensor := self.tensor(old)) is not None:
            self._tensors[new] = tensor
        if old in self.behind:
            self.behind[new] = self.behind[old]
        if old in self._several:
            self._several.add(new)

    def go_on(self, nodes: Iterable[ir.Node], opsets: Opsets) -> None:
        """Walk over further nodes, in order; what is known of their outputs stays."""
        for node in nodes:
            if any(out not in self._tensors for out in node.outputs):
                self._node(node, opsets, {})

    def enter(self, body: ir.Graph, inputs: Tensors, *, taken: bool | None = True) -> Tensors:
        """Walk a subgraph that reads these, and hand back what it gives.

        Args:
            body: the subgraph.
            inputs: what it reads.
            taken: whether it is run at all, None where it may be. What does not fit where it need
                not be run is noted and gone past.
        """
        for value, tensor in zip(body.inputs, inputs, strict=False):
            if tensor is not None:
                self._tensors.setdefault(value, tensor)
        before = self._tolerant, self._noted
        if taken is not True and (self._noted is not None or not self._tolerant):
            self._noted = (
                self.beside
                if taken is False
                else self.misfits
                if self._noted is None
                else self._noted
            )
        self._tolerant = self._tolerant or taken is not True
        try:
            self._graph(body, self._around, {})
        finally:
            self._tolerant, self._noted = before
        return [self.tensor(value) for value in body.outputs]

    def again(self, body: ir.Graph, inputs: Tensors) -> Tensors:
        """Walk a body another time; nothing is known of what differs from the time before."""
        walk = self._without(body)
        given = walk.enter(body, inputs)
        self._compare(walk, body)
        return given

    def _compare(self, other: Walk, body: ir.Graph | ir.Function) -> None:
        """Note what has another shape in another walk over a body."""
        self._several.update(
            value
            for value in _values_within(body)
            if self._tensors.get(value) != other._tensors.get(value)
        )

    def _graph(self, graph: ir.Graph, opsets: Opsets, bound: Attributes) -> None:
        for node in graph:
            self._node(node, opsets, bound)

    def _node(self, node: ir.Node, opsets: Opsets, bound: Attributes) -> None:
        self._opsets[node] = self._around = opsets
        try:
            outputs = self._outputs(node, opsets, bound)
            self._refuse_empty(node, outputs)
        except ContradictionError as error:
            error.after = self.nodes
            if not self._tolerant:
                raise
            self._note_misfit(error)
            outputs = [None] * len(node.outputs)
        except Exception:  # of whatever kind: an odd node, of which nothing is known
            outputs = [None] * len(node.outputs)
        if any(value in self._several for value in node.inputs) and self._tolerant:
            self._several.update(node.outputs)
        cause = next((self.behind[v] for v in node.inputs if v in self.behind), None)
        for out, tensor in zip(node.outputs, outputs, strict=False):
            if out not in self._tensors:
                self._note(node, out, tensor, cause)

    def _note_misfit(self, error: ContradictionError) -> None:
        noted = self._noted if self._tolerant else self.misfits
        if noted is not None:
            error.after = self.nodes
            noted.append(error)

    def _note(self, node: ir.Node, out: ir.Value, tensor: Tensor | None, cause: str | None) -> None:
        if tensor is None:
            tensor = None if out in self._several else self._declared(out)
            cause = cause or f"{node.op_type} '{node.name}'"
        if tensor is not None:
            self._tensors[out] = tensor
            if cause:
                self.behind[out] = cause

    def _refuse_empty(self, node: ir.Node, outputs: Tensors) -> None:
        """Sizes that leave nothing of what came in are too small."""
        strict = self._noted is self.misfits or not self._tolerant
        came = [t for t in map(self.tensor, node.inputs) if t is None or _is_float(t)]
        empty = any(t is not None and _is_float(t) and not t.size for t in outputs)
        if strict and empty and came and all(t is None or t.size for t in came):
            raise ContradictionError(f"{node.op_type} '{node.name}' leaves nothing")

    def _outputs(self, node: ir.Node, opsets: Opsets, bound: Attributes) -> Tensors:
        name, attributes = onnx_name(node), resolved(node, bound)
        control = CONTROL_FLOW.get(name)
        if control is not None:
            return control(self, node, attributes)
        if subgraphs(node):
            return [None] * len(node.outputs)
        if name == "Constant":
            return [_constant(node, opsets, bound)]
        inputs = [self.tensor(value) for value in node.inputs]
        if node.domain == DOMAIN and node.op_type in OPERATORS:
            check(node, inputs, attributes)
            return [inputs[0]] * len(node.outputs)
        function = self._functions.get(node.op_identifier())
        if function is not None:
            return self._call(function, inputs, attributes, opsets)
        found = inferred(
            node, inputs, lambda index: self.contents(node.inputs[index]), opsets, attributes
        )
        _check_count(node, inputs, found)
        pairs = zip(node.outputs, found, strict=True)
        if all(tensor is not None or not out.name for out, tensor in pairs):
            return found
        try:
            ran = run_on_stand_ins(node, inputs, self.contents, opsets, bound)
        except ContradictionError as error:  # it may fit, and is not known to
            self._note_misfit(error)
            return found
        return [one if one is not None else other for one, other in zip(found, ran, strict=False)]

    def _call(
        self, function: ir.Function, inputs: Tensors, attributes: Attributes, opsets: Opsets
    ) -> Tensors:
        """A function of the model; of several calls, what all of them agree on is known."""
        walk = self
        if any(value in self._tensors for value in function.inputs):
            walk = self._without(function)
        for value, tensor in zip(function.inputs, inputs, strict=False):
            if tensor is not None:
                walk._tensors[value] = tensor
        defaults = {name: a for name, a in function.attributes.items() if a.value is not None}
        imports = dict(function.opset_imports) or opsets
        walk._graph(function.graph, imports, {**defaults, **attributes})
        if walk is not self:
            self._compare(walk, function)
        return [walk.tensor(value) for value in function.outputs]

    def _without(self, body: ir.Graph | ir.Function) -> Walk:
        """A walk that knows what this one does, but for what is inside a function or a body."""
        other = copy(self)
        inside = _values_within(body)
        other._tensors = {v: t for v, t in self._tensors.items() if v not in inside}
        other._elements = Elements(other.tensor, other._opsets)
        other.behind = dict(self.behind)
        return other

    def _declared(self, value: ir.Value) -> Tensor | None:
        """What the file declares, where its sizes are numbers or those of the inputs."""
        if value.shape is None or value.dtype is None:
            return None
        shape = []
        for dim in value.shape:
            size = dim if isinstance(dim, int) else self.binding.get(str(dim.value))
            if size is None or size < 1:
                return None
            shape.append(size)
        return Tensor(tuple(shape), value.dtype)


def _values_within(body: ir.Graph | ir.Function) -> set[ir.Value]:
    """All values of a function or a body, those of the bodies in it among them."""
    found = set(body.inputs)
    for node in body:
        found.update(node.outputs)
        for inner in subgraphs(node):
            found |= _values_within(inner)
    return found


def _is_float(tensor: Tensor) -> bool:
    return tensor.dtype.is_floating_point()


def _constant(node: ir.Node, opsets: Opsets, bound: Attributes) -> Tensor | None:
    value = resolved(node, bound).get("value")
    if value is not None:
        tensor = value.as_tensor()
        return Tensor(tuple(tensor.shape.numpy()), tensor.dtype)
    return tensor_of(compute(node, [], opsets, bound=bound)[0])


def _check_count(node: ir.Node, inputs: Tensors, outputs: Tensors) -> None:
    """A Reshape keeps the number of elements, which onnx does not check."""
    if onnx_name(node) != "Reshape" or inputs[0] is None or outputs[0] is None:
        return
    if inputs[0].size != outputs[0].size:
        raise ContradictionError(
            f"Reshape '{node.name}' has {inputs[0].size} elements for {outputs[0].size}",
            inputs[0].size,
            outputs[0].size,
        )
