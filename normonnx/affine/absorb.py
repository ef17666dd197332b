"""Which operators swallow an affine map of their output: the producers' side of a fold.

    y = a[c]·f(x, W, B) + b[c]   →   y = f(x, W′, B′)

    Conv, ConvTranspose    W′ = a·W,    B′ = a·B + b               over the output channels
    Gemm                   B′ = a·B,    C′ = a·β·C + b,  β′ = 1    over the columns
    MatMul, Einsum         W′ = a·W,    and an Add of b if b ≠ 0   over the constant's free axis
    LayerNormalization,    γ′ = a·γ,    β′ = a·β + b               over the scale's axis
    RMSNormalization,
    InstanceNormalization,
    GroupNormalization

Each function returns the new output, made in the proposal, or raises RefusedError with the fact
that stands in the way.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from normonnx.affine.map import AffineMap
from normonnx.affine.precision import must_not_cancel
from normonnx.affine.recognise import BROADCASTING
from normonnx.affine.weights import (
    dequantised,
    describe,
    float_type,
    is_quantised,
    is_weight,
    multiplied_weight,
    name_of,
    optional,
    parameter,
    per_group,
    scaled_weight,
    weight_of,
)
from normonnx.journal import RefusedError
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Proposal
from normonnx.values.constants import is_float
from normonnx.values.shapes import attribute_int

_PER_CHANNEL = 21
"""From which opset on a GroupNormalization has a scale for each channel."""

Absorb = Callable[[Proposal, ir.Node, AffineMap], ir.Value]


def _axis_must_be(m: AffineMap, axis: int, node: ir.Node) -> None:
    if m.axis not in (None, axis):
        raise RefusedError(
            f"the map varies along axis {m.axis}, the channels of {describe(node)} are axis {axis}"
        )


def _extent_must_be(m: AffineMap, extent: int, node: ir.Node) -> None:
    if m.axis is not None and m.a.shape[0] != extent:
        raise RefusedError(f"the map has {m.a.shape[0]} channels, {describe(node)} has {extent}")


def _must_not_cancel(proposal: Proposal, node: ir.Node, bias: np.ndarray, m: AffineMap) -> None:
    """What a bias adds may have been there to be taken off again, rounded."""
    inner = AffineMap.along(1, b=bias.reshape(-1))
    dtype = proposal.context.shapes.dtype(node.outputs[0])
    must_not_cancel(inner, m, dtype, of=f"{describe(node)} and the map behind it")


def _convolution(proposal: Proposal, node: ir.Node, m: AffineMap) -> ir.Value:
    _axis_must_be(m, 1, node)
    transposed = node.op_type == "ConvTranspose"
    weight = node.inputs[1]
    group = attribute_int(node, "group", 1)
    dtype = float_type(proposal, weight, node)
    dims = proposal.context.shapes.dims(weight)
    extent = None if dims is None else dims[1] if transposed else dims[0]
    if not isinstance(extent, int) or weight is None:
        raise RefusedError(f"the weight of {describe(node)} has no known shape")
    channels = extent * group if transposed else extent
    _extent_must_be(m, channels, node)
    a, b = m.full(channels)
    new_weight = weight if m.is_shift else _scaled_kernel(proposal, node, weight, a, group)
    bias = optional(node, 2)
    new_bias = bias
    if bias is not None and not m.is_identity:
        old = parameter(proposal, node, 2, "bias")
        _must_not_cancel(proposal, node, old, m)
        new_bias = proposal.constant(a * old + b, dtype, name_of(bias, node, "bias"))
    elif not m.is_scale:
        new_bias = proposal.constant(b, dtype, name_of(None, node, "bias"))
    inputs = [node.inputs[0], new_weight, *([new_bias] if new_bias is not None else [])]
    return proposal.like(node, inputs)


def _scaled_kernel(
    proposal: Proposal, node: ir.Node, weight: ir.Value, a: np.ndarray, group: int
) -> ir.Value:
    """The kernel with a factor for each channel that it gives."""
    transposed = node.op_type == "ConvTranspose"
    if not transposed or group == 1:
        return scaled_weight(proposal, node, 1, a, 1 if transposed else 0)
    if dequantised(proposal, weight) is not None:
        raise RefusedError(f"the quantised weight of {describe(node)} is in groups")
    w = weight_of(proposal, node, 1, "weight")
    return multiplied_weight(proposal, node, 1, w, per_group(a, w, group))


def _gemm(proposal: Proposal, node: ir.Node, m: AffineMap) -> ir.Value:
    left, right = node.inputs[0], node.inputs[1]
    beta = _float(node, "beta", 1.0)
    rows = m.axis == 0
    side = 0 if rows or (is_weight(proposal, left) and not is_weight(proposal, right)) else 1
    weight = node.inputs[side]
    dtype = float_type(proposal, weight, node)
    extents = weight_of(proposal, node, side, "weight").shape
    transposed = attribute_int(node, "transA" if side == 0 else "transB", 0)
    # The output axis of A′ is 0, of B′ is 1; stored transposed it is the other.
    axis = (0 if side == 0 else 1) ^ bool(transposed)
    _axis_must_be(m, side, node)
    _extent_must_be(m, extents[axis], node)
    a, b = m.full(extents[axis])
    new_weight = weight if m.is_shift else scaled_weight(proposal, node, side, a, axis)
    c = optional(node, 2)
    new_c = None
    if c is not None and beta != 0.0:
        old = parameter(proposal, node, 2, "bias")
        if side == 1 and old.ndim <= 1:
            _must_not_cancel(proposal, node, beta * old, m)
        columns = (a[:, None], b[:, None]) if side == 0 else (a, b)
        new_c = columns[0] * beta * old + columns[1]
    elif not m.is_scale:
        new_c = b[:, None] if side == 0 else b
    inputs = [new_weight if side == 0 else left, new_weight if side == 1 else right]
    if new_c is None and c is not None and proposal.context.opset_of(proposal.graph) < 11:
        # Before opset 11 a Gemm cannot do without C, not even where β = 0 takes no notice of it.
        return _with_attributes(proposal, node, [*inputs, c], drop=())
    if new_c is not None:
        inputs.append(proposal.constant(new_c, dtype, name_of(c, node, "bias")))
    return _with_attributes(proposal, node, inputs, drop=("beta",))


def _with_attributes(
    proposal: Proposal, node: ir.Node, inputs: list[ir.Value | None], *, drop: tuple[str, ...]
) -> ir.Value:
    kept = {name: attr for name, attr in node.attributes.items() if name not in drop}
    return proposal.node(node.op_type, inputs, kept, like=node.outputs[0], instead_of=node)


def _matmul(proposal: Proposal, node: ir.Node, m: AffineMap) -> ir.Value:
    shapes = proposal.context.shapes
    rank = shapes.rank(node.outputs[0])
    if rank is None and m.axis is not None:
        raise RefusedError(f"the rank of {describe(node)} is unknown")
    sides = [i for i in (1, 0) if is_weight(proposal, node.inputs[i])]
    if not sides:
        raise RefusedError(f"neither operand of {describe(node)} is a constant")
    side = sides[0]
    weight = node.inputs[side]
    dims = shapes.dims(weight)
    if dims is None or len(dims) < 2:
        raise RefusedError(f"the weight of {describe(node)} is a vector")
    # A weight on the right gives the last axis of the output, on the left the one before.
    axis = len(dims) - 1 if side == 1 else len(dims) - 2
    if m.axis is not None and rank is not None:
        _axis_must_be(m, rank - 1 if side == 1 else rank - 2, node)
    extent = dims[axis]
    if not isinstance(extent, int):
        raise RefusedError(f"the weight of {describe(node)} has no known shape")
    _extent_must_be(m, extent, node)
    float_type(proposal, weight, node)
    out = node.outputs[0]
    if not m.is_shift:
        new = scaled_weight(proposal, node, side, m.full(extent)[0], axis)
        out = proposal.like(node, [node.inputs[0], new] if side == 1 else [new, node.inputs[1]])
    if m.is_scale:
        return out
    return materialise(proposal, out, m.shift, node.outputs[0])


def einsum_labels(node: ir.Node) -> tuple[list[str], str]:
    """The labels of each operand and of the output."""
    attribute = node.attributes.get("equation")
    equation = "" if attribute is None else attribute.as_string().replace(" ", "")
    left, arrow, output = equation.partition("->")
    operands = left.split(",")
    if not arrow or "." in equation or len(operands) != len(node.inputs):
        raise RefusedError(f"the equation of {describe(node)} is not explicit")
    return operands, output


def _einsum(proposal: Proposal, node: ir.Node, m: AffineMap) -> ir.Value:
    operands, output = einsum_labels(node)
    label = "" if m.axis is None else output[m.axis]
    for side, value in enumerate(node.inputs):
        labels = operands[side]
        if not is_weight(proposal, value) or (label and labels.count(label) != 1):
            continue
        out = node.outputs[0]
        if not m.is_shift:
            inputs = list(node.inputs)
            if label:
                inputs[side] = scaled_weight(proposal, node, side, m.a, labels.index(label))
            else:
                w = weight_of(proposal, node, side, "operand")
                inputs[side] = multiplied_weight(proposal, node, side, w, m.a)
            out = proposal.like(node, inputs)
        return out if m.is_scale else materialise(proposal, out, m.shift, node.outputs[0])
    raise RefusedError(f"no constant operand of {describe(node)} has the map's label")


def _layer_normalization(proposal: Proposal, node: ir.Node, m: AffineMap) -> ir.Value:
    dims = proposal.context.shapes.dims(node.inputs[0])
    scale_dims = proposal.context.shapes.dims(node.inputs[1])
    if dims is None or scale_dims is None:
        raise RefusedError(f"the shape of {describe(node)} is unknown")
    if len(scale_dims) != 1 or dims[-1] != scale_dims[0]:
        raise RefusedError(f"the scale of {describe(node)} is not one value per channel")
    _axis_must_be(m, len(dims) - 1, node)
    return _scale_and_bias(proposal, node, m, bias_index=2)


def _rms_normalization(proposal: Proposal, node: ir.Node, m: AffineMap) -> ir.Value:
    if not m.is_scale:
        raise RefusedError(f"{describe(node)} has no bias to take the shift")
    return _layer_normalization(proposal, node, m)


def _instance_normalization(proposal: Proposal, node: ir.Node, m: AffineMap) -> ir.Value:
    _axis_must_be(m, 1, node)
    return _scale_and_bias(proposal, node, m, bias_index=2)


def _group_normalization(proposal: Proposal, node: ir.Node, m: AffineMap) -> ir.Value:
    if proposal.context.opset_of(proposal.graph) < _PER_CHANNEL:
        raise RefusedError(f"before opset 21 {describe(node)} has one scale per group")
    return _instance_normalization(proposal, node, m)


def _scale_and_bias(
    proposal: Proposal, node: ir.Node, m: AffineMap, *, bias_index: int
) -> ir.Value:
    scale = parameter(proposal, node, 1, "scale")
    _extent_must_be(m, scale.shape[0], node)
    dtype = float_type(proposal, node.inputs[1], node)
    a, b = m.full(scale.shape[0])
    inputs = [
        node.inputs[0],
        proposal.constant(a * scale, dtype, name_of(node.inputs[1], node, "scale")),
    ]
    bias = optional(node, bias_index)
    if bias is not None:
        old = parameter(proposal, node, bias_index, "bias")
        inputs.append(proposal.constant(a * old + b, dtype, name_of(bias, node, "bias")))
    elif not m.is_scale:
        inputs.append(proposal.constant(b, dtype, name_of(None, node, "bias")))
    return proposal.like(node, inputs)


def materialise(proposal: Proposal, value: ir.Value, m: AffineMap, like: ir.Value) -> ir.Value:
    """Write a map as the nodes it is where nothing swallows it.

    A constant becomes another. Where it takes the place of a BatchNormalization it is one (γ = a,
    β = b, μ = 0, σ² = 1, ε = 0), else a Mul and an Add, either of them only if it is needed.
    """
    if m.is_identity:
        return value
    shapes = proposal.context.shapes
    rank = shapes.rank(like)
    dtype = shapes.dtype(like)
    if dtype is None or not is_float(dtype) or (rank is None and m.axis is not None):
        raise RefusedError(f"the type and rank of '{like.name}' are not known")
    hint = str(like.name)
    producer = like.producer()
    if producer is not None and onnx_name(producer) == "BatchNormalization" and m.axis == 1:
        ones, zeros = np.ones_like(m.a), np.zeros_like(m.a)
        parts = {"scale": m.a, "bias": m.b, "mean": zeros, "variance": ones}
        inputs = [proposal.constant(v, dtype, f"{hint}_{k}") for k, v in parts.items()]
        old = {"is_test": 1} if proposal.context.opset_of(proposal.graph) < BROADCASTING else {}
        attributes = {"epsilon": 0.0, **old}
        return proposal.node("BatchNormalization", [value, *inputs], attributes, like=like)
    shape, at = m.shape_for(rank or 0), broadcast_from(proposal, m.axis)
    known = None if is_quantised(proposal, value) else proposal.context.constants.float64(value)
    if known is not None and known.ndim == rank:
        mapped = known * m.a.reshape(shape) + m.b.reshape(shape)
        return proposal.constant(mapped, dtype, str(value.name))
    if at:
        shape = m.a.shape
    if not m.is_shift:
        scale = proposal.constant(m.a.reshape(shape), dtype, f"{hint}_scale")
        value = proposal.node("Mul", [value, scale], at, like=like)
    if not m.is_scale:
        shift = proposal.constant(m.b.reshape(shape), dtype, f"{hint}_shift")
        value = proposal.node("Add", [value, shift], at, like=like)
    return value


def broadcast_from(proposal: Proposal, axis: int | None) -> dict[str, int]:
    """The attributes by which a second operand of fewer axes lies along an axis before opset 7."""
    if proposal.context.opset_of(proposal.graph) >= BROADCASTING:
        return {}
    return {"broadcast": 1} if axis is None else {"broadcast": 1, "axis": axis}


def _float(node: ir.Node, name: str, default: float) -> float:
    attribute = node.attributes.get(name)
    return default if attribute is None else float(np.float32(attribute.as_float()))


ABSORB: dict[str, Absorb] = {
    "Conv": _convolution,
    "ConvTranspose": _convolution,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Einsum": _einsum,
    "LayerNormalization": _layer_normalization,
    "RMSNormalization": _rms_normalization,
    "InstanceNormalization": _instance_normalization,
    "GroupNormalization": _group_normalization,
}
