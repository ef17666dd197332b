"""What onnx's shape inference does not check: whether a node can run at such sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import onnx_ir as ir

from normonnx.operators.names import ONNX
from normonnx.operators.table import facts_of
from normonnx.sizes.tensor import ContradictionError, Tensors


def check(node: ir.Node, inputs: Tensors, attributes: Mapping[str, ir.Attr]) -> None:
    """Refuse sizes at which a node cannot run, where onnx's inference would not notice.

    Raises:
        ContradictionError: with the size that does not fit and the one that would.
    """
    rule = _CHECKS.get(node.op_type) if node.domain == ONNX else None
    if rule is None and facts_of(node).elementwise:
        rule = _broadcast
    if rule is None or not inputs or any(t is None for t in inputs[:2]):
        return
    shapes = [None if t is None else t.shape for t in inputs]
    for found, wanted in rule(shapes, attributes):
        if found != wanted:
            raise ContradictionError(
                f"{node.op_type} '{node.name}' takes {wanted} where it gets {found}", found, wanted
            )


Pairs: TypeAlias = "list[tuple[int, int]]"
_Shapes: TypeAlias = "Sequence[Any]"
_Attributes: TypeAlias = "Mapping[str, ir.Attr]"


def _int(attributes: _Attributes, name: str, default: int) -> int:
    attribute = attributes.get(name)
    return default if attribute is None else attribute.as_int()


def _conv(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    x, kernel = shapes[:2]
    if len(x) < 3 or len(kernel) != len(x):
        return []
    _refuse_too_small(x[2:], kernel[2:], attributes)
    return [(x[1], kernel[1] * _int(attributes, "group", 1))]


def _pool(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    kernel = attributes.get("kernel_shape")
    if kernel is not None and len(shapes[0]) == len(kernel.as_ints()) + 2:
        _refuse_too_small(shapes[0][2:], kernel.as_ints(), attributes)
    return []


def _refuse_too_small(sizes: _Shapes, kernel: _Shapes, attributes: _Attributes) -> None:
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


def _conv_transpose(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    x, kernel = shapes[:2]
    return [(x[1], kernel[0])] if len(x) > 2 and len(kernel) == len(x) else []


def _gemm(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    a, b = shapes[:2]
    if len(a) != 2 or len(b) != 2:
        return []
    rows, inner = reversed(a) if _int(attributes, "transA", 0) else a
    other, columns = reversed(b) if _int(attributes, "transB", 0) else b
    added = shapes[2] if len(shapes) > 2 and shapes[2] is not None else ()
    broadcast = zip((columns, rows), reversed(added), strict=False)
    return [(inner, other), *((m, n) for m, n in broadcast if n != 1)]


def _matmul(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    a, b = shapes[:2]
    return [(a[-1], b[-2 if len(b) > 1 else -1])] if a and b else []


def _per_channel(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    x, scale = shapes[:2]
    return [(x[1], scale[0])] if len(x) > 1 and len(scale) == 1 else []


def _broadcast(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    if "axis" in attributes:  # an opset that aligns in another way
        return []
    first, *others = [shape for shape in shapes if shape is not None]
    pairs = [
        pair for other in others for pair in zip(reversed(first), reversed(other), strict=False)
    ]
    return [(m, n) for m, n in pairs if 1 not in (m, n)]


def _norm(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    """Scale and bias span the axes that are normalised, or give way to them."""
    x, *others = shapes
    pairs = [
        pair
        for other in others
        if other is not None
        for pair in zip(reversed(x), reversed(other), strict=False)
    ]
    return [(m, n) for m, n in pairs if n != 1]


def _depth_to_space(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    block = _int(attributes, "blocksize", 1) ** 2
    return [(shapes[0][1], max(shapes[0][1] // block, 1) * block)] if len(shapes[0]) == 4 else []


def _space_to_depth(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    block = _int(attributes, "blocksize", 1)
    return [(n, max(n // block, 1) * block) for n in shapes[0][2:]]


def _einsum(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    terms = attributes["equation"].as_string().replace(" ", "").partition("->")[0].split(",")
    pairs, sizes = [], dict[str, int]()
    for term, shape in zip(terms, shapes, strict=False):
        if shape is None or len(term) != len(shape):  # with an ellipsis
            return []
        pairs += [(sizes.setdefault(letter, n), n) for letter, n in zip(term, shape, strict=True)]
    return [pair for pair in pairs if 1 not in pair]


def _recurrent(shapes: _Shapes, attributes: _Attributes) -> Pairs:
    x, weight = shapes[:2]
    return [(x[2], weight[2])] if len(x) == len(weight) == 3 else []


_CHECKS: Mapping[str, Callable[[_Shapes, _Attributes], Pairs]] = {
    "AveragePool": _pool,
    "BatchNormalization": _per_channel,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space,
    "Einsum": _einsum,
    "GRU": _recurrent,
    "Gemm": _gemm,
    "InstanceNormalization": _per_channel,
    "LSTM": _recurrent,
    "LayerNormalization": _norm,
    "LpPool": _pool,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "RMSNormalization": _norm,
    "RNN": _recurrent,
    "SpaceToDepth": _space_to_depth,
}
