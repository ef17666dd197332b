"""Which operators swallow an affine map of their input: the readers' side of a fold.

    f(a·x + b, W, B)   →   f(x, W′, B′)

    Conv      W′[o, i] = a[i]·W[o, i],   B′[o] = B[o] + Σ W[o, i, k]·b[i]   unpadded, or b = 0
    Gemm      B′ = a·B over the rows,    C′ = β·C + α·(b·B), β′ = 1
    MatMul    W′ = a·W over the contracted axis, and the shift b·W is left over

Each function returns what is left to apply to its output, nothing left being the identity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from normonnx.affine.absorb import describe, float_type, optional, weight_of
from normonnx.affine.map import AffineMap
from normonnx.affine.travel import Forward, Rest
from normonnx.rewrite import Proposal, RefusedError
from normonnx.shapes import attribute_int, attribute_ints

_IDENTITY = AffineMap.along(None)


def is_padded(node: ir.Node) -> bool:
    """Whether a convolution pads its input (auto_pad is taken to, unless it says VALID)."""
    auto = node.attributes.get("auto_pad")
    if auto is not None and auto.as_string() in ("SAME_UPPER", "SAME_LOWER"):
        return True
    return any(attribute_ints(node, "pads") or ())


def _check(m: AffineMap, axis: int, extent: int, node: ir.Node, index: int) -> None:
    if index != 0 and node.op_type != "MatMul":
        raise RefusedError(f"{describe(node)} reads it as a weight")
    if m.axis not in (None, axis):
        raise RefusedError(
            f"the map varies along axis {m.axis}, {describe(node)} sums over axis {axis}"
        )
    if m.axis is not None and m.a.shape[0] != extent:
        raise RefusedError(f"the map has {m.a.shape[0]} channels, {describe(node)} has {extent}")


def _name(value: ir.Value | None, node: ir.Node, suffix: str) -> str:
    return str(value.name) if value is not None else f"{node.name or node.outputs[0].name}_{suffix}"


def _convolution(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    if not m.is_scale and is_padded(node):
        raise RefusedError(f"the padding of {describe(node)} is added after it, and b is not 0")
    w = weight_of(proposal, node, 1, "weight")
    group = attribute_int(node, "group", 1)
    channels = w.shape[1] * group
    _check(m, 1, channels, node, index)
    dtype = float_type(proposal, node.inputs[1], node)
    a, b = m.full(channels)
    # Output channel o reads the input channels of group o // (out/group).
    spread = (group, 1, w.shape[1], *(1,) * (w.ndim - 2))
    grouped = w.reshape(group, -1, *w.shape[1:])
    scaled = (grouped * a.reshape(spread)).reshape(w.shape)
    shift = (grouped * b.reshape(spread)).reshape(w.shape[0], -1).sum(axis=1)
    weight = proposal.constant(scaled, dtype, _name(node.inputs[1], node, "weight"), channel_axis=0)
    inputs = [new, weight]
    bias = optional(node, 2)
    if bias is not None and not m.is_scale:
        old = weight_of(proposal, node, 2, "bias")
        inputs.append(proposal.constant(old + shift, dtype, _name(bias, node, "bias")))
    elif bias is not None:
        inputs.append(bias)
    elif not m.is_scale:
        inputs.append(proposal.constant(shift, dtype, _name(None, node, "bias")))
    return [(node.outputs[0], proposal.like(node, inputs), _IDENTITY)]


def _gemm(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    w = weight_of(proposal, node, 1, "weight")
    rows = 1 if attribute_int(node, "transB", 0) else 0
    channels = 0 if attribute_int(node, "transA", 0) else 1
    _check(m, channels, w.shape[rows], node, index)
    dtype = float_type(proposal, node.inputs[1], node)
    a, b = m.full(w.shape[rows])
    alpha, beta = (
        float(np.float32(node.attributes[name].as_float())) if name in node.attributes else 1.0
        for name in ("alpha", "beta")
    )
    scaled = w * (a[:, None] if rows == 0 else a[None, :])
    weight = proposal.constant(
        scaled, dtype, _name(node.inputs[1], node, "weight"), channel_axis=1 - rows
    )
    c = optional(node, 2)
    inputs = [new, weight]
    kept = dict(node.attributes)
    if m.is_scale:
        inputs.extend([c] if c is not None else [])
    else:
        kept.pop("beta", None)
        shift = alpha * (b @ (w if rows == 0 else w.T))
        if c is not None and beta != 0.0:
            shift = beta * weight_of(proposal, node, 2, "bias") + shift
        inputs.append(proposal.constant(shift, dtype, _name(c, node, "bias")))
    out = proposal.node("Gemm", inputs, kept, like=node.outputs[0])
    return [(node.outputs[0], out, _IDENTITY)]


def _matmul(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    shapes = proposal.context.shapes
    side = 1 - index
    w = weight_of(proposal, node, side, "other operand")
    rank, out_rank = shapes.rank(node.inputs[index]), shapes.rank(node.outputs[0])
    if w.ndim != 2 or rank is None or out_rank is None or rank < 2:
        raise RefusedError(f"the weight of {describe(node)} is not a matrix")
    contracted = 0 if index == 0 else 1
    _check(m, rank - 1 if index == 0 else rank - 2, w.shape[contracted], node, index)
    dtype = float_type(proposal, node.inputs[side], node)
    a, b = m.full(w.shape[contracted])
    out = node.outputs[0]
    kept = node.inputs[side]
    weight = kept
    if not m.is_shift:
        weight = proposal.constant(
            w * (a[:, None] if contracted == 0 else a[None, :]),
            dtype,
            _name(kept, node, "weight"),
            channel_axis=1 - contracted,
        )
    value = proposal.like(node, [new, weight] if index == 0 else [weight, new])
    shift = b @ w if contracted == 0 else w @ b
    left = AffineMap.along(out_rank - 1 if index == 0 else out_rank - 2, b=shift)
    return [(out, value, left)]


FEED: dict[str, Forward] = {"Conv": _convolution, "Gemm": _gemm, "MatMul": _matmul}
