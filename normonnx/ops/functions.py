"""Function bodies of the operators: what runs where the library is not registered.

    function_for(op_type, opset, *, dtype, trailing=True,
                 last=False, has_bias=True, has_x_bias=False, has_sum=False) -> onnx_ir.Function

A model carries one function per operator, so all nodes of an operator in a model share these
properties; ONNX Runtime takes the library's kernel instead as soon as the library is registered.

    op_type      one of `operators.OPERATORS`
    opset        the default-domain opset of the model, 7 or higher
    dtype        the type of X; parameters may have it too, or float
    trailing     every node normalises the last axes; else axes in the middle are possible too
    last         every node normalises the last axis alone; then the body below opset 17 (23) is
                 spelled as ONNX Runtime's own fusions want it, which make one operator of it
    has_bias     FusedLayerNormalization: the nodes have a Bias
    has_x_bias   the nodes have an XBias
    has_sum      the nodes may ask for the output Sum

Below opset 11 a node must state its axis without a minus sign. A model with functions needs IR
version 8; the model imports ``normonnx`` version 1 and, in it, so does nothing else.
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from onnxscript import OpBuilder, build_function

from normonnx.errors import UsageError
from normonnx.ops.operators import (
    DEFAULT_AXIS,
    DEFAULT_EPSILON,
    DOMAIN,
    OPERATORS,
    Operator,
)

FIRST_OPSET = 7
FIRST_IR_VERSION = 8

_HALF = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
_TYPES = (ir.DataType.FLOAT, *_HALF, ir.DataType.DOUBLE)

# Since when the default domain has what a body would like to use.
_LAYER_NORMALIZATION = 17
_RMS_NORMALIZATION = 23
_REDUCE_MEAN_TAKES_AXES = 18
_CONSTANT_FROM_ATTRIBUTE = 12
_CONSTANT_OF_INTEGERS = 9
_RESHAPE_TO_NOTHING = 14


def function_for(
    op_type: str,
    opset: int,
    *,
    dtype: ir.DataType,
    trailing: bool = True,
    last: bool = False,
    has_bias: bool = True,
    has_x_bias: bool = False,
    has_sum: bool = False,
) -> ir.Function:
    """The operator as a function of standard operators; see the top of this file.

    Raises:
        UsageError: if there is no such operator, or none of this type or opset.
    """
    operator = OPERATORS.get(op_type)
    if operator is None:
        raise UsageError(f"there is no operator {op_type}", hint=f"one of {', '.join(OPERATORS)}")
    if opset < FIRST_OPSET:
        raise UsageError(f"no function body for opset {opset}", hint=f"from {FIRST_OPSET} on")
    if dtype not in _TYPES or operator.dtype not in ("", dtype.name.lower()):
        raise UsageError(f"{op_type} is not defined for {dtype}")
    names = [
        slot.name
        for slot in operator.inputs
        if not slot.optional or (has_bias if slot.name == "Bias" else has_x_bias)
    ]
    body = _Body(operator, opset, dtype, trailing=trailing, last=last, has_sum=has_sum)

    def trace(op: OpBuilder, *values: ir.Value) -> list[ir.Value]:
        return body.write(op, dict(zip(names, values, strict=True)))

    function = build_function(
        trace,
        [ir.Value(name=name) for name in names],
        domain=DOMAIN,
        name=op_type,
        attributes=[
            ir.AttrInt64("axis", DEFAULT_AXIS),
            ir.AttrFloat32("epsilon", DEFAULT_EPSILON),
        ],
        opset_imports={"": opset},
    )
    for node in function:
        node.metadata_props.clear()
    for value, slot in zip(function.outputs, operator.outputs, strict=False):
        value.name = slot.name
    return function


class _Body:
    """The nodes of one function."""

    def __init__(
        self,
        operator: Operator,
        opset: int,
        dtype: ir.DataType,
        *,
        trailing: bool,
        last: bool,
        has_sum: bool,
    ) -> None:
        self.operator = operator
        self.opset = opset
        self.dtype = dtype
        self.statistics = ir.DataType.FLOAT if dtype in _HALF else dtype
        self.trailing = trailing
        # ONNX Runtime's fusion of a spelled RMSNorm loses epsilon in float64: it must see none.
        self.last = last and not (operator.rms and dtype == ir.DataType.DOUBLE)
        self.has_sum = has_sum
        # ONNX Runtime's CPU provider has LayerNormalization for bfloat16, and nothing else.
        bfloat16 = dtype == ir.DataType.BFLOAT16
        self.arithmetic = ir.DataType.FLOAT if bfloat16 else dtype
        if operator.rms:
            self.native = opset >= _RMS_NORMALIZATION and not bfloat16
        else:
            self.native = opset >= _LAYER_NORMALIZATION

    def write(self, op: OpBuilder, inputs: dict[str, ir.Value]) -> list[ir.Value]:
        """Y, and Sum if it is wanted."""
        x = self._sum(op, inputs)
        normalise = self._native if self.native else self._decomposed
        y = normalise(op, x, inputs["Scale"], inputs.get("Bias"))
        return [y, x] if self.has_sum and self.operator.residual else [y]

    def _sum(self, op: OpBuilder, inputs: dict[str, ir.Value]) -> Any:
        """X + XBias + Residual."""
        x = inputs["X"]
        if not self.operator.residual:
            return x
        total = self._cast(op, x, self.arithmetic, self.dtype)
        if "XBias" in inputs:
            bias = self._cast(op, inputs["XBias"], self.arithmetic, self.dtype)
            if self.trailing:
                total = op.Add(total, bias)
            else:
                column = op.Reshape(bias, self._integers(op, -1, 1))
                total = op.Add(self._folded(op, total, bias), column)
                total = self._unfolded(op, total, x)
        residual = self._cast(op, inputs["Residual"], self.arithmetic, self.dtype)
        return self._cast(op, op.Add(total, residual), self.dtype, self.arithmetic)

    def _native(self, op: OpBuilder, x: ir.Value, scale: ir.Value, bias: ir.Value | None) -> Any:
        """With the standard operator, of which the parameters have the type of X."""
        parameters = [self._cast(op, one, self.dtype) for one in (scale, bias) if one is not None]
        normalise = op.RMSNormalization if self.operator.rms else op.LayerNormalization
        epsilon = ir.RefAttr("epsilon", "epsilon", ir.AttributeType.FLOAT)
        # The operator computes in float32 unless told otherwise.
        stash = int(ir.DataType.DOUBLE if self.dtype == ir.DataType.DOUBLE else ir.DataType.FLOAT)
        if self.trailing:
            axis = ir.RefAttr("axis", "axis", ir.AttributeType.INT)
            return normalise(x, *parameters, axis=axis, epsilon=epsilon, stash_type=stash)
        last = op.Transpose(self._folded(op, x, scale), perm=[0, 2, 1])
        flat = [self._flat(op, one) for one in parameters]
        y = normalise(last, *flat, axis=-1, epsilon=epsilon, stash_type=stash)
        return self._unfolded(op, op.Transpose(y, perm=[0, 2, 1]), x)

    def _decomposed(
        self, op: OpBuilder, x: ir.Value, scale: ir.Value, bias: ir.Value | None
    ) -> Any:
        """As arithmetic: d = x − E[x];  y = d / √(E[d²] + epsilon) · γ + β."""
        if self.last:
            return self._by_rows(op, x, scale, bias)
        wide = self._cast(op, self._folded(op, x, scale), self.statistics, self.dtype)
        d = wide if self.operator.rms else op.Sub(wide, self._mean(op, wide))
        deviation = op.Sqrt(op.Add(self._mean(op, op.Mul(d, d)), self._epsilon(op)))
        y = op.Mul(op.Div(d, deviation), self._along(op, scale))
        if bias is not None:
            y = op.Add(y, self._along(op, bias))
        return self._unfolded(op, self._cast(op, y, self.dtype, self.statistics), x)

    def _by_rows(self, op: OpBuilder, x: ir.Value, scale: ir.Value, bias: ir.Value | None) -> Any:
        """The same over the last axis, in the spelling of torch's exporter."""
        wide = self._cast(op, x, self.statistics, self.dtype)
        d = wide if self.operator.rms else op.Sub(wide, self._mean(op, wide, axis=-1))
        two = self._cast(op, op.Constant(value=ir.tensor(2.0)), self.statistics, ir.DataType.FLOAT)
        square = self._mean(op, op.Pow(d, two), axis=-1)
        y = op.Div(d, op.Sqrt(op.Add(square, self._epsilon(op))))
        y = op.Mul(y, self._cast(op, scale, self.statistics))
        if bias is not None:
            y = op.Add(y, self._cast(op, bias, self.statistics))
        return self._cast(op, y, self.dtype, self.statistics)

    def _folded(self, op: OpBuilder, x: ir.Value, scale: ir.Value) -> Any:
        """X as outer × N, or as outer × N × inner, where N elements are in Scale."""
        flat = op.Flatten(x, axis=ir.RefAttr("axis", "axis", ir.AttributeType.INT))
        if self.trailing:
            return flat
        length = op.Shape(self._flat(op, scale))
        shape = op.Concat(self._integers(op, 0), length, self._integers(op, -1), axis=0)
        return op.Reshape(flat, shape)

    def _flat(self, op: OpBuilder, parameter: ir.Value) -> Any:
        return op.Reshape(parameter, self._integers(op, -1))

    def _unfolded(self, op: OpBuilder, y: ir.Value, like: ir.Value) -> Any:
        shape = op.Shape(like)
        if self.opset >= _RESHAPE_TO_NOTHING:
            return op.Reshape(y, shape, allowzero=1)
        return op.Reshape(y, shape)

    def _mean(self, op: OpBuilder, value: ir.Value, axis: int = 1) -> Any:
        if self.opset >= _REDUCE_MEAN_TAKES_AXES:
            return op.ReduceMean(value, self._integers(op, axis), keepdims=1)
        return op.ReduceMean(value, axes=[axis], keepdims=1)

    def _epsilon(self, op: OpBuilder) -> Any:
        epsilon = "epsilon", ir.AttributeType.FLOAT
        if self.opset >= _CONSTANT_FROM_ATTRIBUTE:
            constant = op.Constant(value_float=ir.RefAttr("value_float", *epsilon))
        else:
            # LeakyRelu is alpha·x for negative x: the old operator that hands an attribute out.
            minus_one = op.Constant(value=ir.tensor(-1.0, dtype=ir.DataType.FLOAT))
            constant = op.Neg(op.LeakyRelu(minus_one, alpha=ir.RefAttr("alpha", *epsilon)))
        return self._cast(op, constant, self.statistics, ir.DataType.FLOAT)

    def _along(self, op: OpBuilder, parameter: ir.Value) -> Any:
        """A parameter that broadcasts against the folded X."""
        shape = (1, -1) if self.trailing else (1, -1, 1)
        return self._cast(op, op.Reshape(parameter, self._integers(op, *shape)), self.statistics)

    def _integers(self, op: OpBuilder, *values: int) -> Any:
        if self.opset >= _CONSTANT_OF_INTEGERS:
            return op.Constant(value=ir.tensor(values, dtype=ir.DataType.INT64))
        floats = op.Constant(value=ir.tensor(values, dtype=ir.DataType.FLOAT))
        return op.Cast(floats, to=int(ir.DataType.INT64))

    def _cast(
        self,
        op: OpBuilder,
        value: ir.Value,
        to: ir.DataType,
        known: ir.DataType | None = None,
    ) -> Any:
        """`value` in type `to`; no node if it is known to have it."""
        return value if known == to else op.Cast(value, to=int(to))
