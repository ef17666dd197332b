"""What is constant in a model, and its value: in its own type, and exactly in float64.

A value is constant when it is an initializer that no caller can override, the output of a
Constant node, or the output of a deterministic operator all of whose inputs are constant. Raw
exporter output hides parameters behind Identity, Cast, Expand, norms of weights and arithmetic;
nothing is folded into the model for that, the value is worked out where it is asked for, as far as
that is affordable.

In float64 the roundings of arithmetic are left out, those that the model asks for are not: see
`oracle.known`, by which the certificates and the judge's oracle go too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import onnx_ir as ir

from normonnx.graph.exact import ExactValues, Maker
from normonnx.graph.nesting import walk
from normonnx.operators.kernels import Array
from normonnx.operators.schemas import keeps_type
from normonnx.oracle.dependence import depends_on
from normonnx.oracle.known import Known, worked_out
from normonnx.oracle.planner import compute
from normonnx.values.growth import is_affordable
from normonnx.values.stored import is_constant_node, read_stored

_KEPT_BYTES = 1 << 20
"""What is worked out on the way to something else is kept up to this size."""

_FLOATS = frozenset(
    {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}
)


def is_float(dtype: ir.DataType | None) -> bool:
    """Whether the type is one of float16, bfloat16, float32, float64."""
    return dtype in _FLOATS


class Constants:
    """The constants of one model.

    Attributes:
        exact: float64 value by name of each constant that normonnx made and rounded.
    """

    def __init__(self, model: ir.Model, *, frozen_inputs: bool = False) -> None:
        """Find the constants.

        Args:
            model: the model; it is only read.
            frozen_inputs: whether initializers that are also inputs of the graph, which a caller
                may override from IR version 4 on, are constants too.
        """
        self._frozen_inputs = frozen_inputs
        self._opsets = model.opset_imports  # which may still be raised
        self._functions = model.functions
        self._derived: set[ir.Value] = set()
        self._known: dict[ir.Value, Known] = {}
        self._unconfirmed: dict[ir.Value, Array] = {}
        self.exact: ExactValues = ExactValues()
        for graph in (model.graph, *model.functions.values()):
            for node in walk(graph):
                self.visit(node)

    def visit(self, node: ir.Node) -> None:
        """Note the outputs of a node as constant if its inputs are; inputs come first."""
        inputs = node.inputs
        if not inputs or not (inputs[0] is None or self.is_constant(inputs[0])):
            return
        if not node.outputs or node.outputs[0] in self._derived:
            return
        depends = None if node.op_identifier() in self._functions else depends_on(node)
        if depends is None or any(a.is_ref() for a in node.attributes.data.values()):
            return
        given = [value for value in depends if value is not None]
        if given and all(self.is_constant(value) for value in given):
            self._derived.update(node.outputs)

    def learn(self, value: ir.Value, array: Array) -> None:
        """Declare a value constant that only other knowledge shows to be so.

        Args:
            value: such as the Shape of a tensor whose dimensions are all known.
            array: its value, in its own type.
        """
        self._derived.add(value)
        self._known[value] = Known(array)
        self._unconfirmed[value] = array

    def confirm(self, seen: Callable[[ir.Value], Iterable[Array]]) -> None:
        """Forget what was learned since the last time and is something else where it was seen.

        Args:
            seen: what the model was found to have there, if that is known.
        """
        learned, self._unconfirmed = self._unconfirmed, {}
        for value, array in learned.items():
            if not all(np.array_equal(array, other) for other in seen(value)):
                self._forget([value])

    def is_constant(self, value: ir.Value | None) -> bool:
        """Whether the value is the same in every run; reads no data."""
        if value is None:
            return False
        if value in self._derived:
            return True
        producer = value.producer()
        if producer is not None:
            return is_constant_node(producer)
        if value.const_value is None or not value.is_initializer():
            return False
        return self._frozen_inputs or not value.is_graph_input()

    def array(self, value: ir.Value | None) -> Array | None:
        """The constant in its own type, or None if the value is no constant."""
        if value is not None and self._is_stored(value):
            return read_stored(value)
        known = self._evaluate(value)
        return None if known is None else known.native

    def float64(self, value: ir.Value | None) -> Array | None:
        """The constant as float64 before arithmetic rounded it, or None if it is no constant."""
        known = self._evaluate(value)
        return None if known is None else known.wide.astype(np.float64, copy=False)

    def unrounded(self, value: ir.Value | None) -> Array | None:
        """As `float64`, but what float32 holds is given in that type."""
        known = self._evaluate(value)
        if known is None or known.unrounded is not None or known.native.dtype != np.float32:
            return None if known is None else known.wide.astype(np.float64, copy=False)
        return known.native

    def maker(self, value: ir.Value) -> Maker | None:
        """What makes `float64(value)` again, None unless that is a weight as it is stored."""
        if value.name is not None and value.name in self.exact:
            return self.exact.maker(value.name)
        tensor = self._tensor(value)
        return None if tensor is None else lambda: tensor.numpy().astype(np.float64)

    def shape(self, value: ir.Value) -> ir.Shape | None:
        """The shape of an initializer or Constant, without reading its data."""
        tensor = self._tensor(value)
        if tensor is not None:
            return ir.Shape(tensor.shape.numpy())
        known = self._known.get(value)
        return None if known is None else ir.Shape(known.native.shape)

    def dtype(self, value: ir.Value) -> ir.DataType | None:
        """The type of a constant, without working out its value where that is avoidable."""
        tensor = self._tensor(value)
        if tensor is not None:
            return tensor.dtype
        if value.dtype is not None:
            return value.dtype
        producer = value.producer()
        if value not in self._known and producer is not None and value is producer.outputs[0]:
            source = producer.inputs[0] if producer.inputs else None
            if source is not None and keeps_type(producer.domain, producer.op_type):
                return self.dtype(source)
        array = self.array(value)
        return None if array is None else ir.DataType.from_numpy(array.dtype)

    def _tensor(self, value: ir.Value) -> ir.TensorProtocol | None:
        producer = value.producer()
        if producer is None:
            return value.const_value
        if not is_constant_node(producer) or "value" not in producer.attributes:
            return None
        tensor: ir.TensorProtocol = producer.attributes["value"].value
        return tensor

    def _evaluate(self, value: ir.Value | None) -> Known | None:
        """The value; what is stored is read again each time, what is worked out is kept."""
        if value is None or not self.is_constant(value):
            return None
        if value in self._known or self._is_stored(value):
            return self._read(value)
        passing: dict[ir.Value, Known] = {}
        needed = self._needed(value)
        for node in needed:
            if not self._work_out(node, passing):
                self._forget(node.outputs)
                return None
        kept = set(needed[-1].outputs)
        self._known.update(
            (v, known)
            for v, known in passing.items()
            if v in kept or known.native.nbytes <= _KEPT_BYTES
        )
        return passing[value]

    def _needed(self, value: ir.Value) -> list[ir.Node]:
        """The nodes that have to be worked out for a value, in order."""
        order: list[ir.Node] = []
        seen: set[ir.Node] = set()
        pending = [(value.producer(), False)]
        while pending:
            node, ready = pending.pop()
            if node is None or (node in seen and not ready):
                continue
            if ready:
                order.append(node)
                continue
            seen.add(node)
            pending.append((node, True))
            reads = [v for v in depends_on(node) or () if v in self._derived]
            pending.extend((v.producer(), False) for v in reads if v and v not in self._known)
        return order

    def _is_stored(self, value: ir.Value) -> bool:
        return value not in self._derived and self.is_constant(value)

    def _read(self, value: ir.Value) -> Known | None:
        """A constant that is stored, or was worked out before; its exact value counts."""
        known = self._known.get(value)
        if known is None and self._is_stored(value):
            native = read_stored(value)
            known = None if native is None else Known(native)
        if known is None or value.name is None or value.name not in self.exact:
            return known
        return Known(known.native, self.exact[value.name])

    def _work_out(self, node: ir.Node, passing: dict[ir.Value, Known]) -> bool:
        """Note the outputs of a node whose inputs are known; False where that cannot be."""
        reads = depends_on(node) or ()
        inputs = [None if v is None else passing.get(v) or self._read(v) for v in reads]
        if any(k is None and v is not None for k, v in zip(inputs, reads, strict=True)):
            return False
        natives = [None if known is None else known.native for known in inputs]
        opsets = self._opsets or {"": 21}
        try:
            with np.errstate(all="ignore"):
                if not is_affordable(node, natives, opsets):
                    return False
                found = worked_out(
                    node, inputs, lambda arrays, exact: compute(node, arrays, opsets, exact=exact)
                )
        except Exception:
            # An operator or a combination that nothing here computes: not a constant to us.
            return False
        passing.update(zip(node.outputs, found, strict=False))
        return len(found) >= len(node.outputs)

    def _forget(self, values: Iterable[ir.Value]) -> None:
        """What cannot be worked out is no constant, nor is what depends on it."""
        pending = list(values)
        while pending:
            value = pending.pop()
            if value in self._derived:
                self._derived.discard(value)
                pending.extend(out for user in value.consumers() for out in user.outputs)
