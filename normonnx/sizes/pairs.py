"""Pairs of sizes of what a node reads that have to be equal, for the operators of ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import onnx_ir as ir

from normonnx.sizes.tensor import ContradictionError

Pairs: TypeAlias = "list[tuple[int, int]]"
"""Each a size that is found and the one that is wanted."""

Shapes: TypeAlias = "Sequence[Any]"
"""Of the inputs, None for one that is absent or not known, but for the first two."""

Attributes: TypeAlias = "Mapping[str, ir.Attr]"


def integer(attributes: Attributes, name: str, default: int) -> int:
    attribute = attributes.get(name)
    return default if attribute is None else attribute.as_int()


def convolved(shapes: Shapes, attributes: Attributes) -> Pairs:
    x, kernel = shapes[:2]
    if len(x) < 3 or len(kernel) != len(x):
        return []
    _refuse_too_small(x[2:], kernel[2:], attributes)
    return [(x[1], kernel[1] * integer(attributes, "group", 1))]


def _pool(shapes: Shapes, attributes: Attributes) -> Pairs:
    kernel = attributes.get("kernel_shape")
    if kernel is not None and len(shapes[0]) == len(kernel.as_ints()) + 2:
        _refuse_too_small(shapes[0][2:], kernel.as_ints(), attributes)
    return []


def _refuse_too_small(sizes: Shapes, kernel: Shapes, attributes: Attributes) -> None:
    """A window that is larger than what it slides over, which onnx counts as one."""
    axes = len(sizes)
    pads, steps = attributes.get("pads"), attributes.get("dilations")
    auto = attributes.get("auto_pad")
    if auto is not None and auto.as_string().startswith("SAME"):
        return
    padded = (0,) * (2 * axes) if pads is None else pads.as_ints()
    dilated = (1,) * axes if steps is None else steps.as_ints()
    for axis in range(axes):
        span = (kernel[axis] - 1) * dilated[axis] + 1
        if sizes[axis] + padded[axis] + padded[axis + axes] < span:
            raise ContradictionError(f"a window of {span} over {sizes[axis]}", sizes[axis], span)


def with_quantised(rule: Rule) -> Rule:
    """The rule for an operator that has scale and zero point behind each of its two tensors."""

    def both(shapes: Shapes, attributes: Attributes) -> Pairs:
        known = len(shapes) > 3 and shapes[3] is not None
        return rule((shapes[0], shapes[3]), attributes) if known else []

    return both


def _conv_transpose(shapes: Shapes, attributes: Attributes) -> Pairs:
    x, kernel = shapes[:2]
    return [(x[1], kernel[0])] if len(x) > 2 and len(kernel) == len(x) else []


def gemm(shapes: Shapes, attributes: Attributes) -> Pairs:
    a, b = shapes[:2]
    if len(a) != 2 or len(b) != 2:
        return []
    rows, inner = reversed(a) if integer(attributes, "transA", 0) else a
    other, columns = reversed(b) if integer(attributes, "transB", 0) else b
    added = shapes[2] if len(shapes) > 2 and shapes[2] is not None else ()
    broadcast = zip((columns, rows), reversed(added), strict=False)
    return [(inner, other), *((m, n) for m, n in broadcast if n != 1)]


def multiplied(shapes: Shapes, attributes: Attributes) -> Pairs:
    a, b = shapes[:2]
    return [(a[-1], b[-2 if len(b) > 1 else -1])] if a and b else []


def per_channel(shapes: Shapes, attributes: Attributes) -> Pairs:
    x, scale = shapes[:2]
    return [(x[1], scale[0])] if len(x) > 1 and len(scale) == 1 else []


def broadcast(shapes: Shapes, attributes: Attributes) -> Pairs:
    if "axis" in attributes:  # an opset that aligns in another way
        return []
    first, *others = [shape for shape in shapes if shape is not None]
    pairs = [
        pair for other in others for pair in zip(reversed(first), reversed(other), strict=False)
    ]
    return [(m, n) for m, n in pairs if 1 not in (m, n)]


def _joined(shapes: Shapes, attributes: Attributes) -> Pairs:
    """All but the joined axis are alike."""
    first, *others = [shape for shape in shapes if shape is not None]
    joined = integer(attributes, "axis", 1) % max(len(first), 1)
    return [
        pair
        for other in others
        if len(other) == len(first)
        for axis, pair in enumerate(zip(first, other, strict=True))
        if axis != joined
    ]


def _per_group_or_channel(shapes: Shapes, attributes: Attributes) -> Pairs:
    """A scale for each group, before opset 21, or for each channel; groups of one size."""
    x, scale = shapes[:2]
    groups = integer(attributes, "num_groups", 1)
    if len(x) < 2 or len(scale) != 1:
        return []
    whole = max(x[1] // groups, 1) * groups
    return [(x[1], whole if scale[0] == groups else scale[0])]


def _per_axis(shapes: Shapes, attributes: Attributes) -> Pairs:
    """A scale for each element along an axis."""
    x, scale = shapes[:2]
    axis = integer(attributes, "axis", 1)
    along = len(scale) == 1 and -len(x) <= axis < len(x) and scale[0] != 1
    return [(x[axis], scale[0])] if along else []


def scaled(shapes: Shapes, attributes: Attributes) -> Pairs:
    """Scale and bias span the axes that are normalised, or give way to them."""
    x, *others = shapes
    pairs = [
        pair
        for other in others
        if other is not None
        for pair in zip(reversed(x), reversed(other), strict=False)
    ]
    return [(m, n) for m, n in pairs if n != 1]


def _depth_to_space(shapes: Shapes, attributes: Attributes) -> Pairs:
    block = integer(attributes, "blocksize", 1) ** 2
    return [(shapes[0][1], max(shapes[0][1] // block, 1) * block)] if len(shapes[0]) == 4 else []


def _space_to_depth(shapes: Shapes, attributes: Attributes) -> Pairs:
    block = integer(attributes, "blocksize", 1)
    return [(n, max(n // block, 1) * block) for n in shapes[0][2:]]


def _einsum(shapes: Shapes, attributes: Attributes) -> Pairs:
    terms = attributes["equation"].as_string().replace(" ", "").partition("->")[0].split(",")
    pairs, sizes = [], dict[str, int]()
    for term, shape in zip(terms, shapes, strict=False):
        head, _, tail = term.partition("...")
        if shape is None or len(shape) < len(head + tail):
            return []
        named = [*zip(head, shape, strict=False), *zip(tail[::-1], shape[::-1], strict=False)]
        pairs += [(sizes.setdefault(letter, n), n) for letter, n in named]
    return [pair for pair in pairs if 1 not in pair]


def _recurrent(shapes: Shapes, attributes: Attributes) -> Pairs:
    x, weight = shapes[:2]
    return [(x[2], weight[2])] if len(x) == len(weight) == 3 else []


Rule: TypeAlias = "Callable[[Shapes, Attributes], Pairs]"

ONNX_PAIRS: Mapping[str, Rule] = {
    "AveragePool": _pool,
    "BatchNormalization": per_channel,
    "Concat": _joined,
    "Conv": convolved,
    "ConvInteger": convolved,
    "ConvTranspose": _conv_transpose,
    "DeformConv": convolved,
    "DepthToSpace": _depth_to_space,
    "DequantizeLinear": _per_axis,
    "Einsum": _einsum,
    "GRU": _recurrent,
    "Gemm": gemm,
    "GroupNormalization": _per_group_or_channel,
    "InstanceNormalization": per_channel,
    "LSTM": _recurrent,
    "LayerNormalization": scaled,
    "LpPool": _pool,
    "MatMul": multiplied,
    "MatMulInteger": multiplied,
    "MaxPool": _pool,
    "PRelu": scaled,
    "QLinearConv": with_quantised(convolved),
    "QLinearMatMul": with_quantised(multiplied),
    "QuantizeLinear": _per_axis,
    "RMSNormalization": scaled,
    "RNN": _recurrent,
    "SimplifiedLayerNormalization": scaled,
    "SpaceToDepth": _space_to_depth,
}
