"""What is constant in a model, and its value: in its own type, and exactly in float64.

A value is constant when it is an initializer that no caller can override, the output of a
Constant node, or the output of a deterministic operator all of whose inputs are constant. Raw
exporter output hides parameters behind Identity, Cast, CastLike, Expand, ConstantOfShape and
arithmetic; nothing is folded into the model for that, the value is worked out where it is asked
for.

In float64 every cast between floating types is the identity: that is the real arithmetic which
both the certificates and the judge's oracle take for the truth.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from normonnx.graph.exact import ExactValues, Maker
from normonnx.graph.nesting import walk
from normonnx.operators.kernels import Array
from normonnx.operators.names import onnx_name
from normonnx.oracle.planner import compute
from normonnx.values.growth import largest_result
from normonnx.values.stored import is_constant_node, read_stored

_MAX_FOLDED_BYTES = 64 << 20
"""No constant larger than this, and than twice its inputs, is worked out (expansion bombs)."""

_FLOATS = frozenset(
    {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}
)

_PASS_THROUGH = frozenset({"Identity", "Cast", "CastLike"})

_FOLDABLE = _PASS_THROUGH | frozenset(
    """Abs Add And Ceil Clip Concat ConstantOfShape Div Equal Erf Exp Expand Flatten Floor Gather
    Greater GreaterOrEqual Less LessOrEqual Log Max Min Mod Mul Neg Not Or Pow Range Reciprocal
    ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Reshape Round Sign Slice Split Sqrt Squeeze
    Sub Sum Tile Transpose Unsqueeze Where""".split()
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
        self._derived: set[ir.Value] = set()
        self._arrays: dict[ir.Value, Array] = {}
        self._float64: dict[ir.Value, Array] = {}
        self.exact: ExactValues = ExactValues()
        for graph in (model.graph, *model.functions.values()):
            for node in walk(graph):
                self.visit(node)

    def visit(self, node: ir.Node) -> None:
        """Note the outputs of a node as constant if its inputs are; inputs come first."""
        if onnx_name(node) in _FOLDABLE and node.outputs[0] not in self._derived:
            if any(attribute.is_ref() for attribute in node.attributes.data.values()):
                return
            inputs = [value for value in node.inputs if value is not None]
            if inputs and all(self.is_constant(value) for value in inputs):
                self._derived.update(node.outputs)

    def learn(self, value: ir.Value, array: Array, exact: Array | None = None) -> None:
        """Declare a value constant that only other knowledge shows to be so.

        Args:
            value: such as the Shape of a tensor whose dimensions are all known.
            array: its value, in its own type.
            exact: its value in float64, if that is not simply `array`.
        """
        self._derived.add(value)
        self._arrays[value] = array
        self._float64[value] = array if exact is None else exact

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
        return self._evaluate(value, exactly=False) if value is not None else None

    def float64(self, value: ir.Value | None) -> Array | None:
        """The constant as float64, never rounded on the way, or None if it is no constant."""
        if value is None:
            return None
        if value.name is not None and value.name in self.exact and self.is_constant(value):
            return self.exact[value.name]
        array = self._evaluate(value, exactly=True)
        return None if array is None else array.astype(np.float64, copy=False)

    def unrounded(self, value: ir.Value | None) -> Array | None:
        """As `float64`, but a weight that is stored in float32 is given in that type."""
        if value is None:
            return None
        tensor = self._tensor(value)
        stored = tensor is not None and tensor.dtype == ir.DataType.FLOAT
        if not stored or value.name in self.exact or not self.is_constant(value):
            return self.float64(value)
        return self._evaluate(value, exactly=False)

    def maker(self, value: ir.Value) -> Maker | None:
        """What makes `float64(value)` again, None unless that is a weight as it is stored."""
        if value.name is not None and value.name in self.exact:
            return self.exact.maker(value.name)
        tensor = self._tensor(value)
        return None if tensor is None else lambda: tensor.numpy().astype(np.float64)

    def shape(self, value: ir.Value) -> ir.Shape | None:
        """The shape of an initializer or Constant, without reading its data."""
        tensor = self._tensor(value)
        return None if tensor is None else ir.Shape(tensor.shape.numpy())

    def dtype(self, value: ir.Value) -> ir.DataType | None:
        """The type of a constant, without working out its value where that is avoidable."""
        tensor = self._tensor(value)
        if tensor is not None:
            return tensor.dtype
        if value.dtype is not None:
            return value.dtype
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

    def _evaluate(self, value: ir.Value, *, exactly: bool) -> Array | None:
        """The value, worked out of what it derives from; weights are not kept."""
        memo = self._float64 if exactly else self._arrays
        if value not in memo and self.is_constant(value) and not self._derives(value):
            return read_stored(value, exactly=exactly)  # it can be read again
        pending = [value]
        while pending:
            current = pending[-1]
            if current in memo:
                pending.pop()
                continue
            missing = self._missing(current, memo)
            if missing:
                pending.extend(missing)
            elif not self._work_out(current, memo, exactly=exactly):
                return None
        return memo[value]

    def _derives(self, value: ir.Value) -> bool:
        """Whether a constant is the output of a node that is no Constant."""
        producer = value.producer()
        return producer is not None and not is_constant_node(producer)

    def _missing(self, value: ir.Value, memo: Mapping[ir.Value, Array]) -> list[ir.Value]:
        """The inputs of what makes a constant that are not worked out yet."""
        producer = value.producer()
        if producer is None or not self.is_constant(value) or not self._derives(value):
            return []
        return [v for v in producer.inputs if v is not None and v not in memo]

    def _work_out(self, value: ir.Value, memo: dict[ir.Value, Array], *, exactly: bool) -> bool:
        """Note a value whose inputs are known; False if it is no constant, or not for us."""
        if not self.is_constant(value):
            return False
        producer = value.producer()
        if producer is None or not self._derives(value):
            array = read_stored(value, exactly=exactly)
            if array is not None:
                memo[value] = array
            return array is not None
        inputs = [memo[v] for v in producer.inputs if v is not None]
        results = self._run(producer, inputs, exactly=exactly)
        if results is None:
            self._derived.difference_update(producer.outputs)
            return False
        memo.update(zip(producer.outputs, results, strict=False))
        return True

    def _run(self, node: ir.Node, inputs: list[Array], *, exactly: bool) -> list[Array] | None:
        passed = _passed_on(node, inputs) if exactly else None
        if passed is not None:
            return [passed]
        if largest_result(node, inputs) > max(_MAX_FOLDED_BYTES, 2 * sum(a.nbytes for a in inputs)):
            return None
        arrays = iter(inputs)
        padded = [None if value is None else next(arrays) for value in node.inputs]
        try:
            with np.errstate(all="ignore"):
                results = compute(node, padded, self._opsets or {"": 21})
        except Exception:
            # An operator or a combination that nothing here computes: not a constant to us.
            return None
        return [np.asarray(result) for result in results]


def _passed_on(node: ir.Node, inputs: list[Array]) -> Array | None:
    """What an Identity, or a cast to a float type, gives in real arithmetic; None for all else."""
    if onnx_name(node) not in _PASS_THROUGH:
        return None
    target = _cast_target(node, inputs)
    if target is None:
        return inputs[0]
    if not is_float(target):
        return None
    return inputs[0].astype(np.float64) if inputs[0].dtype.kind in "iub" else inputs[0]


def _cast_target(node: ir.Node, inputs: list[Array]) -> ir.DataType | None:
    """The type a Cast or CastLike gives; None for Identity."""
    if node.op_type == "Cast":
        return ir.DataType(node.attributes["to"].as_int())
    if node.op_type == "CastLike":
        return ir.DataType.from_numpy(inputs[1].dtype)
    return None
