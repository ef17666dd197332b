"""Which operators swallow an affine map of their input: the readers' side of a fold.

    f(a·x + b, W, B)   →   f(x, W′, B′)

    Conv      W′[o, i] = a[i]·W[o, i],   B′[o] = B[o] + Σ W[o, i, k]·b[i]
              padded with 0, of which a·0 + b = 0 only if b = 0: else the bias is a map over the
              places, smaller at the border, or a Pad puts −b/a there, if that is one number
    Einsum    W′ = a·W over the label, where b = 0
    Gemm      B′ = a·B over the rows,    C′ = β·C + α·(b·B), β′ = 1
    MatMul    W′ = a·W over the contracted axis, and the shift b·W is left over

Each function returns what is left to apply to its output, nothing left being the identity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.affine.absorb import broadcast_from, einsum_labels
from normonnx.affine.map import AffineMap
from normonnx.affine.travel import Forward, Rest
from normonnx.affine.weights import (
    constant_weight,
    describe,
    float_type,
    multiplied_weight,
    name_of,
    optional,
    parameter,
    per_group,
)
from normonnx.journal import RefusedError
from normonnx.rewrite import Proposal
from normonnx.values.shapes import Shapes, attribute_int, attribute_ints

MAX_BIAS_MAP_BYTES = 1 << 20
"""A bias that depends on the place is written down up to this size."""

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


def _convolution(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    w = constant_weight(proposal, node, 1, "weight")
    group = attribute_int(node, "group", 1)
    channels = w.shape[1] * group
    _check(m, 1, channels, node, index)
    dtype = float_type(proposal, node.inputs[1], node)
    a, b = m.full(channels)
    factor = per_group(a, w, group)
    out = node.outputs[0]
    old_bias = optional(node, 2)
    if m.is_scale:
        weight = multiplied_weight(proposal, node, 1, w, factor, channel_axis=0)
        bias = [old_bias] if old_bias is not None else []
        return [(out, proposal.like(node, [new, weight, *bias]), _IDENTITY)]
    # What each tap of the kernel adds where it reads the shift: shape (out, *kernel).
    taps = (w * per_group(b, w, group)).sum(axis=1)
    if is_padded(node):
        return _padded_convolution(proposal, node, new, m, taps, w, factor)
    weight = multiplied_weight(proposal, node, 1, w, factor, channel_axis=0)
    shift = taps.reshape(w.shape[0], -1).sum(axis=1)
    if old_bias is not None:
        shift = shift + parameter(proposal, node, 2, "bias")
    bias_value = proposal.constant(shift, dtype, name_of(old_bias, node, "bias"))
    return [(out, proposal.like(node, [new, weight, bias_value]), _IDENTITY)]


def _padded_convolution(
    proposal: Proposal,
    node: ir.Node,
    new: ir.Value,
    m: AffineMap,
    taps: np.ndarray,
    w: np.ndarray,
    factor: np.ndarray,
) -> Sequence[Rest]:
    dtype = float_type(proposal, node.inputs[1], node)
    out = node.outputs[0]
    geometry = geometry_of(proposal.context.shapes, node)
    is_sure = geometry is None or _is_as_large_as_it_seems(proposal, out, geometry)
    bias_map = _bias_map(taps, geometry, dtype.itemsize) if geometry and is_sure else None
    bias = [value for value in (optional(node, 2),) if value is not None]
    if bias_map is not None:
        weight = multiplied_weight(proposal, node, 1, w, factor, channel_axis=0)
        value = proposal.like(node, [new, weight, *bias])
        at = broadcast_from(proposal, 1)
        full = bias_map if at else bias_map[None]
        added = proposal.constant(full, dtype, f"{out.name}_shift")
        return [(out, proposal.node("Add", [value, added], at, like=out), _IDENTITY)]
    with np.errstate(all="ignore"):
        filler = np.atleast_1d(-m.b / m.a)
    pads = attribute_ints(node, "pads")
    source_type = proposal.context.shapes.dtype(new)
    if not np.isfinite(filler).all() or (filler != filler[0]).any() or pads is None:
        raise RefusedError(
            f"{describe(node)} pads with zeros behind it, where the map gives other numbers",
            _why_no_bias_map(geometry, is_sure=is_sure),
        )
    if source_type is None or proposal.context.opset_of(proposal.graph) < 11:
        raise RefusedError(f"the padding of {describe(node)} cannot be written at this opset")
    spatial = len(pads) // 2
    around = [0, 0, *pads[:spatial], 0, 0, *pads[spatial:]]
    filled = proposal.constant(filler[0], source_type, f"{out.name}_padding")
    padded = proposal.node("Pad", [new, proposal.integers(around, f"{out.name}_pads"), filled])
    weight = multiplied_weight(proposal, node, 1, w, factor, channel_axis=0)
    shift = taps.reshape(taps.shape[0], -1).sum(axis=1)
    if bias:
        shift = shift + parameter(proposal, node, 2, "bias")
    shifted = proposal.constant(shift, dtype, name_of(bias[0] if bias else None, node, "bias"))
    kept = {key: attr for key, attr in node.attributes.items() if key != "pads"}
    value = proposal.node("Conv", [padded, weight, shifted], kept, like=out, instead_of=node)
    return [(out, value, _IDENTITY)]


class Geometry(Struct, frozen=True):
    """Where a convolution with static extents reads, per spatial axis."""

    extents: tuple[int, ...]
    outputs: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begins: tuple[int, ...]


def _is_as_large_as_it_seems(proposal: Proposal, value: ir.Value, geometry: Geometry) -> bool:
    """Whether a walk finds the size that onnx infers, which a runtime checks when it loads."""
    walked = (walk.tensor(value) for walk in proposal.context.recorded.walks)
    return all(tensor is None or tensor.shape[2:] == geometry.outputs for tensor in walked)


def _why_no_bias_map(geometry: Geometry | None, *, is_sure: bool) -> str:
    if geometry is None:
        return "fix the height and width of the input, for a bias map over the places"
    if is_sure:
        return f"the bias map over the places would be over {MAX_BIAS_MAP_BYTES >> 10} KiB"
    return (
        "onnx counts the windows of a pool before it otherwise than runtimes do, so that no bias "
        "map over the places fits both"
    )


def geometry_of(shapes: Shapes, node: ir.Node) -> Geometry | None:
    """The geometry of a Conv, None where an extent is not a number."""
    source, target = shapes.dims(node.inputs[0]), shapes.dims(node.outputs[0])
    kernel = shapes.static(node.inputs[1])
    if source is None or target is None or kernel is None:
        return None
    extents = tuple(dim for dim in source[2:] if isinstance(dim, int))
    outputs = tuple(dim for dim in target[2:] if isinstance(dim, int))
    count = len(kernel) - 2
    if len(extents) != count or len(outputs) != count:
        return None
    strides = attribute_ints(node, "strides") or (1,) * count
    dilations = attribute_ints(node, "dilations") or (1,) * count
    each = zip(extents, outputs, strides, dilations, kernel[2:], strict=True)
    missing = [
        (out - 1) * stride + step * (size - 1) + 1 - extent
        for extent, out, stride, step, size in each
    ]
    return Geometry(extents, outputs, strides, dilations, _begins(node, missing))


def _begins(node: ir.Node, missing: Sequence[int]) -> tuple[int, ...]:
    """The padding in front along each axis, where so much is missing for a padding of SAME."""
    auto = node.attributes.get("auto_pad")
    mode = "NOTSET" if auto is None else auto.as_string()
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        totals = [max(0, size) for size in missing]
        return tuple(t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in totals)
    pads = (attribute_ints(node, "pads") or ()) if mode == "NOTSET" else ()
    return tuple(pads[: len(missing)]) or (0,) * len(missing)


def _bias_map(taps: np.ndarray, geometry: Geometry, itemsize: float) -> np.ndarray | None:
    """Σ over the taps that read inside the image: shape (out, *outputs), None if too large.

    Whether a tap is inside is decided axis by axis, so the sum is one product per axis.
    """
    if taps.shape[0] * math.prod(geometry.outputs) * itemsize > MAX_BIAS_MAP_BYTES:
        return None
    result = taps
    for axis, extent in enumerate(geometry.extents):
        tap = np.arange(taps.shape[1 + axis])[:, None] * geometry.dilations[axis]
        place = np.arange(geometry.outputs[axis])[None, :] * geometry.strides[axis]
        read = place + tap - geometry.begins[axis]
        inside = ((read >= 0) & (read < extent)).astype(np.float64)
        # Contract the first axis of the kernel that is left; its place joins at the end.
        result = np.tensordot(result, inside, axes=(1, 0))
    return result


def _gemm(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    w = constant_weight(proposal, node, 1, "weight")
    rows = 1 if attribute_int(node, "transB", 0) else 0
    channels = 0 if attribute_int(node, "transA", 0) else 1
    _check(m, channels, w.shape[rows], node, index)
    dtype = float_type(proposal, node.inputs[1], node)
    a, b = m.full(w.shape[rows])
    alpha, beta = (
        float(np.float32(node.attributes[name].as_float())) if name in node.attributes else 1.0
        for name in ("alpha", "beta")
    )
    factor = a[:, None] if rows == 0 else a[None, :]
    weight = multiplied_weight(proposal, node, 1, w, factor, channel_axis=1 - rows)
    c = optional(node, 2)
    inputs = [new, weight]
    kept = dict(node.attributes)
    if m.is_scale:
        inputs.extend([c] if c is not None else [])
    else:
        kept.pop("beta", None)
        shift = alpha * (b @ (w if rows == 0 else w.T))
        if c is not None and beta != 0.0:
            shift = beta * parameter(proposal, node, 2, "bias") + shift
        inputs.append(proposal.constant(shift, dtype, name_of(c, node, "bias")))
    out = proposal.node("Gemm", inputs, kept, like=node.outputs[0], instead_of=node)
    return [(node.outputs[0], out, _IDENTITY)]


def _matmul(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    shapes = proposal.context.shapes
    side = 1 - index
    w = constant_weight(proposal, node, side, "other operand")
    rank, out_rank = shapes.rank(node.inputs[index]), shapes.rank(node.outputs[0])
    if w.ndim != 2 or rank is None or out_rank is None or rank < 2:
        raise RefusedError(f"the weight of {describe(node)} is not a matrix")
    contracted = 0 if index == 0 else 1
    _check(m, rank - 1 if index == 0 else rank - 2, w.shape[contracted], node, index)
    a, b = m.full(w.shape[contracted])
    out = node.outputs[0]
    kept = node.inputs[side]
    weight = kept
    if not m.is_shift:
        factor = a[:, None] if contracted == 0 else a[None, :]
        weight = multiplied_weight(proposal, node, side, w, factor, channel_axis=1 - contracted)
    value = proposal.like(node, [new, weight] if index == 0 else [weight, new])
    shift = b @ w if contracted == 0 else w @ b
    left = AffineMap.along(out_rank - 1 if index == 0 else out_rank - 2, b=shift)
    return [(out, value, left)]


def _einsum(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    if not m.is_scale:
        raise RefusedError(f"{describe(node)} would spread the shift over its sum")
    labels = einsum_labels(node)
    constants = proposal.context.constants
    label = "" if m.axis is None else labels[0][index][m.axis]
    for side, value in enumerate(node.inputs):
        if side == index or not constants.is_constant(value) or label not in labels[0][side]:
            continue
        w = constant_weight(proposal, node, side, "operand")
        axis = labels[0][side].index(label) if label else 0
        a = m.a.reshape(-1, *(1,) * (w.ndim - 1 - axis)) if label else m.a
        inputs = list(node.inputs)
        inputs[index] = new
        inputs[side] = multiplied_weight(proposal, node, side, w, a)
        return [(node.outputs[0], proposal.like(node, inputs), _IDENTITY)]
    raise RefusedError(f"no constant operand of {describe(node)} has the map's label")


FEED: dict[str, Forward] = {
    "Conv": _convolution,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Einsum": _einsum,
}
