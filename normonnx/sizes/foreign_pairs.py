"""The pairs of sizes that have to be equal for operators beside ONNX's own domain."""

from __future__ import annotations

from collections.abc import Mapping

from normonnx.operators.names import MACHINE_LEARNING, MICROSOFT
from normonnx.ops.operators import DEFAULT_AXIS, DOMAIN, OPERATORS, Operator
from normonnx.sizes.pairs import (
    Attributes,
    Pairs,
    Rule,
    Shapes,
    broadcast,
    convolved,
    gemm,
    integer,
    multiplied,
    scaled,
    with_quantised,
)


def _fused_product(shapes: Shapes, attributes: Attributes) -> Pairs:
    a, b = shapes[:2]
    moved = any(integer(attributes, name, 0) for name in ("transBatchA", "transBatchB"))
    if moved or min(len(a), len(b)) < 2:
        return []
    inner = a[-2] if integer(attributes, "transA", 0) else a[-1]
    return [(inner, b[-1] if integer(attributes, "transB", 0) else b[-2])]


def _columns(shapes: Shapes, attributes: Attributes) -> Pairs:
    """A weight that is packed, the rows of which an attribute counts."""
    return [(shapes[0][-1], integer(attributes, "K", 0))] if shapes[0] else []


def _skip(shapes: Shapes, attributes: Attributes) -> Pairs:
    """Two tensors against each other, and what spans the last axis."""
    x, skip, *vectors = shapes
    return [*broadcast((x, skip), {}), *scaled((x, *vectors), {})]


def _along_last(shapes: Shapes, attributes: Attributes) -> Pairs:
    """What spans the last axis."""
    return scaled(shapes, {})


def _own(operator: Operator) -> Rule:
    """The rule of an operator of ours: a scale from an axis on, a residual of the same shape."""

    def rule(shapes: Shapes, attributes: Attributes) -> Pairs:
        x, scale = shapes[0], shapes[operator.scale]
        first = integer(attributes, "axis", DEFAULT_AXIS) % max(len(x), 1)
        pairs = list(zip(x[first:], scale or (), strict=False))
        return [*zip(x, shapes[1], strict=False), *pairs] if operator.residual else pairs

    return rule


def _features(shapes: Shapes, attributes: Attributes) -> Pairs:
    """An offset or a scale for each feature, or one for all."""
    counts = {
        len(attributes[name].as_floats()) for name in ("offset", "scale") if name in attributes
    }
    return [(shapes[0][-1], count) for count in counts if count > 1 and shapes[0]]


def _coefficients(shapes: Shapes, attributes: Attributes) -> Pairs:
    """As many coefficients as features for each target."""
    given, targets = attributes.get("coefficients"), integer(attributes, "targets", 1)
    return [(shapes[0][-1], len(given.as_floats()) // targets)] if given and shapes[0] else []


FOREIGN_PAIRS: Mapping[tuple[str, str], Rule] = {
    (MICROSOFT, "Attention"): multiplied,
    (MICROSOFT, "BiasAdd"): _along_last,
    (MICROSOFT, "BiasGelu"): _along_last,
    (MICROSOFT, "DynamicQuantizeMatMul"): multiplied,
    (MICROSOFT, "FastGelu"): _along_last,
    (MICROSOFT, "FusedConv"): convolved,
    (MICROSOFT, "FusedGemm"): gemm,
    (MICROSOFT, "FusedMatMul"): _fused_product,
    (MICROSOFT, "MatMulBnb4"): _columns,
    (MICROSOFT, "MatMulIntegerToFloat"): multiplied,
    (MICROSOFT, "MatMulNBits"): _columns,
    (MICROSOFT, "QAttention"): multiplied,
    (MICROSOFT, "QLinearAdd"): with_quantised(broadcast),
    (MICROSOFT, "QLinearMul"): with_quantised(broadcast),
    (MICROSOFT, "SkipLayerNormalization"): _skip,
    (MICROSOFT, "SkipSimplifiedLayerNormalization"): _skip,
    (MACHINE_LEARNING, "LinearRegressor"): _coefficients,
    (MACHINE_LEARNING, "Scaler"): _features,
    **{(DOMAIN, name): _own(operator) for name, operator in OPERATORS.items()},
}
