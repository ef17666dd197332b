"""The parameters of a norm: over which axes, how many channels, which epsilon, which type."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.affine.recognise import Affine, recognise
from normonnx.journal import RefusedError
from normonnx.norm.match.site import NormSite
from normonnx.operators.names import norm_name, onnx_name
from normonnx.ops.operators import OPERATORS
from normonnx.rewrite import Context
from normonnx.values.shapes import Dim, attribute_int, axes_of, normalized

_MOST_STEPS = 12
_AVERAGES = frozenset({"ReduceMean", "ReduceSum", "ReduceSumSquare", "ReduceL2"})


class Parameters(Struct, frozen=True):
    """What a norm is over.

    Attributes:
        axes: the normalised axes, or the axis that an affine map varies along; None if unknown.
        channels: elements per statistic, or of the map; None if not static.
        epsilon: what is added under the root; None where there is no root, or none is known.
        dtype: in which it is computed, or "".
    """

    axes: tuple[int, ...] | None = None
    channels: int | None = None
    epsilon: float | None = None
    dtype: str = ""


def of_site(context: Context, site: NormSite) -> Parameters:
    """Those of a norm that was recognised."""
    dims = context.shapes.dims(site.x)
    return Parameters(
        site.axes, _extent(dims, site.axes), _short(site.epsilon), _name(site.source.dtype)
    )


def of_node(context: Context, node: ir.Node) -> Parameters:
    """Those of a norm that is one operator, of an affine node, or of what is around a root."""
    reader = _READERS.get(norm_name(node))
    if reader is not None:
        return reader(context, node)
    return _affine(context, node) or _around_root(context, node)


def _dtype(context: Context, value: ir.Value | None) -> str:
    dtype = None if value is None else context.shapes.dtype(value)
    return "" if dtype is None else _name(dtype)


def _name(dtype: ir.DataType) -> str:
    return str(dtype.numpy().name)


def _short(number: float) -> float:
    """The shortest decimal that is the same number in float32: 1e-05, not 9.99999974e-06."""
    return float(str(np.float32(number)))


def _extent(dims: Sequence[Dim] | None, axes: Sequence[int] | None) -> int | None:
    if dims is None or axes is None or any(not -len(dims) <= axis < len(dims) for axis in axes):
        return None
    extents = [dims[axis] for axis in axes]
    sizes = [extent for extent in extents if isinstance(extent, int)]
    return math.prod(sizes) if len(sizes) == len(extents) else None


def _float(node: ir.Node, name: str, default: float) -> float:
    attribute = node.attributes.get(name)
    return default if attribute is None or attribute.is_ref() else _short(attribute.as_float())


def _layer(context: Context, node: ir.Node) -> Parameters:
    """LayerNormalization and RMSNormalization: over all axes from `axis` on."""
    dims = context.shapes.dims(node.inputs[0])
    axes = None
    if dims is not None:
        axes = tuple(range(normalized(attribute_int(node, "axis", -1), len(dims)), len(dims)))
    epsilon = _float(node, "epsilon", 1e-5)
    return Parameters(axes, _extent(dims, axes), epsilon, _dtype(context, node.inputs[0]))


def _own(context: Context, node: ir.Node) -> Parameters:
    """The operators of the domain normonnx: over as many axes as the scale has."""
    dims = context.shapes.dims(node.inputs[0])
    scale = OPERATORS[node.op_type].scale
    length = context.shapes.rank(node.inputs[scale]) if len(node.inputs) > scale else None
    axes = None
    if dims is not None and length is not None:
        first = normalized(attribute_int(node, "axis", -1), len(dims))
        axes = tuple(range(first, first + length))
    epsilon = _float(node, "epsilon", 1e-5)
    return Parameters(axes, _extent(dims, axes), epsilon, _dtype(context, node.inputs[0]))


def _last_axis(context: Context, node: ir.Node) -> Parameters:
    """ONNX Runtime's Skip operators, over the last axis."""
    dims = context.shapes.dims(node.inputs[0])
    axes = None if dims is None else (len(dims) - 1,)
    epsilon = _float(node, "epsilon", 1e-5)
    return Parameters(axes, _extent(dims, axes), epsilon, _dtype(context, node.inputs[0]))


def _batch(context: Context, node: ir.Node) -> Parameters:
    scale = context.shapes.dims(node.inputs[1]) if len(node.inputs) > 1 else None
    epsilon = _float(node, "epsilon", 1e-5)
    return Parameters((1,), _extent(scale, (0,)), epsilon, _dtype(context, node.inputs[0]))


def _spatial(context: Context, node: ir.Node) -> Parameters:
    """InstanceNormalization, and GroupNormalization, whose groups are not an axis of their own."""
    dims = context.shapes.dims(node.inputs[0])
    axes = None if dims is None else tuple(range(2, len(dims)))
    if onnx_name(node) != "InstanceNormalization" and axes is not None:
        axes = (1, *axes)
    epsilon = _float(node, "epsilon", 1e-5)
    return Parameters(axes, _extent(dims, (1,)), epsilon, _dtype(context, node.inputs[0]))


_READERS: dict[str, Callable[[Context, ir.Node], Parameters]] = {
    "BatchNormalization": _batch,
    **dict.fromkeys(OPERATORS, _own),
    "GroupNormalization": _spatial,
    "InstanceNormalization": _spatial,
    "LayerNormalization": _layer,
    "RMSNormalization": _layer,
    "SimplifiedLayerNormalization": _layer,
    "SkipLayerNormalization": _last_axis,
    "SkipSimplifiedLayerNormalization": _last_axis,
}


def _affine(context: Context, node: ir.Node) -> Parameters | None:
    try:
        found = recognise(context, node)
    except RefusedError:
        return None
    if not isinstance(found, Affine):
        return None
    axis = found.map.axis
    channels = None if axis is None else int(found.map.a.shape[0])
    axes = () if axis is None else (axis,)
    return Parameters(axes, channels, None, _dtype(context, node.outputs[0]))


def _around_root(context: Context, root: ir.Node) -> Parameters:
    """What a root and the averages above it tell of a norm that was not recognised."""
    axes: tuple[int, ...] | None = None
    channels = epsilon = None
    for node in _above(root):
        if onnx_name(node) == "Add" and epsilon is None:
            epsilon = _number(context, node)
        if onnx_name(node) in _AVERAGES:
            axes = _reduced(context, node)
            channels = _extent(context.shapes.dims(node.inputs[0]), axes)
            break
    return Parameters(axes, channels, epsilon, _dtype(context, root.outputs[0]))


def _above(root: ir.Node) -> Iterator[ir.Node]:
    """The nodes above, the nearest first."""
    level, seen = [root], {root}
    while level and len(seen) <= _MOST_STEPS:
        node = level.pop(0)
        yield node
        for value in node.inputs:
            producer = None if value is None else value.producer()
            if producer is not None and producer not in seen and producer.graph is root.graph:
                seen.add(producer)
                level.append(producer)


def _number(context: Context, node: ir.Node) -> float | None:
    for value in node.inputs:
        if value is None or not context.constants.is_constant(value):
            continue
        array = context.constants.array(value)
        if array is not None and array.size == 1 and array.dtype.kind == "f":
            return _short(float(array.reshape(-1)[0]))
    return None


def _reduced(context: Context, node: ir.Node) -> tuple[int, ...] | None:
    rank = context.shapes.rank(node.inputs[0])
    given = axes_of(node, context.shapes)
    if rank is None:
        return given
    return tuple(sorted(axis % rank for axis in (range(rank) if given is None else given)))
