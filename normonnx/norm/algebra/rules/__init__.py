"""One rule per operator: its output as a polynomial, from those of its inputs.

A rule returns the form of the node's first output; it raises `IntractableError` where the operator
leaves the algebra, with a sentence if that is worth telling.
"""

from __future__ import annotations

from normonnx.norm.algebra.interpret import PartRule, Rule
from normonnx.norm.algebra.rules import (
    arithmetic,
    clamps,
    normalisers,
    parts,
    products,
    reductions,
    views,
)

RULES: dict[str, Rule] = {
    "Abs": clamps.absolute,
    "Add": arithmetic.elementwise(arithmetic.sum_of),
    "AveragePool": reductions.average_pool,
    "BatchNormalization": normalisers.batch_normalization,
    "Cast": arithmetic.cast,
    "CastLike": arithmetic.cast,
    "Clip": clamps.clip,
    "Conv": products.convolution,
    "Div": arithmetic.elementwise(arithmetic.quotient),
    "ConstantOfShape": views.constant_of_shape,
    "Dropout": arithmetic.dropout,
    "Einsum": products.einsum,
    "Exp": arithmetic.exponential,
    "Expand": views.expand,
    "Flatten": views.reshape,
    "Gather": reductions.gather,
    "GlobalAveragePool": reductions.global_average_pool,
    "Identity": arithmetic.identity,
    "InstanceNormalization": normalisers.instance_normalization,
    "LayerNormalization": normalisers.layer_normalization,
    "Log": arithmetic.logarithm,
    "MatMul": products.matmul,
    "Max": clamps.maximum,
    "Mean": arithmetic.mean_of,
    "Min": clamps.minimum,
    "Mul": arithmetic.elementwise(arithmetic.product),
    "Neg": arithmetic.negative,
    "Pow": arithmetic.power,
    "RMSNormalization": normalisers.rms_normalization,
    "Reciprocal": arithmetic.reciprocal,
    "ReduceL1": reductions.reduce_l1,
    "ReduceL2": reductions.reduce_l2,
    "ReduceMean": reductions.reduce(total=False),
    "ReduceSum": reductions.reduce(total=True),
    "ReduceSumSquare": reductions.reduce(total=True, square=True),
    "Relu": clamps.relu,
    "Reshape": views.reshape,
    "Sqrt": arithmetic.sqrt,
    "Squeeze": views.squeeze,
    "Sub": arithmetic.elementwise(arithmetic.difference),
    "Sum": arithmetic.elementwise(arithmetic.sum_of),
    "Transpose": views.transpose,
    "Unsqueeze": views.unsqueeze,
    "Where": clamps.where,
}
"""The operators of the algebra."""

PART_RULES: dict[str, PartRule] = {"Split": parts.split}
"""Those with several outputs."""
