"""Dimensions of the outputs of operators, where onnx's own inference leaves them open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import onnx_ir as ir

from normonnx.graph.dims import Dim, Dims, divide, times, unknown
from normonnx.values.shapes.attributes import (
    attribute_int,
    attribute_ints,
    axes_of,
    normalized,
    slices_of,
)
from normonnx.values.shapes.vectors import total, vector_or_unknowns

if TYPE_CHECKING:
    from normonnx.values.shapes.table import Shapes


def _d_same(shapes: Shapes, node: ir.Node) -> Dims | None:
    return shapes.dims(node.inputs[0])


def _d_broadcast(shapes: Shapes, node: ir.Node) -> Dims | None:
    known = [shapes.dims(value) for value in node.inputs if value is not None]
    result: Dims | None = ()
    for dims in known:
        if dims is None or result is None:
            return None
        result = _broadcast(result, dims, node)
    return result


def _broadcast(left: Dims, right: Dims, node: ir.Node) -> Dims:
    """Two shapes against each other; where neither is known to give way, something unknown."""
    rank = max(len(left), len(right))
    a = (1,) * (rank - len(left)) + tuple(left)
    b = (1,) * (rank - len(right)) + tuple(right)
    result: list[Dim] = []
    for axis, (x, y) in enumerate(zip(a, b, strict=True)):
        numbers = [dim for dim in (x, y) if isinstance(dim, int) and dim != 1]
        if x == y or y == 1:
            result.append(x)
        elif x == 1:
            result.append(y)
        elif numbers:
            result.append(numbers[0])
        else:
            result.append(unknown(node.outputs[0].name, axis))
    return tuple(result)


def _d_reshape(shapes: Shapes, node: ir.Node) -> Dims | None:
    if len(node.inputs) < 2:
        return None
    target = vector_or_unknowns(shapes, node.inputs[1])
    if target is None:
        return None
    source = shapes.dims(node.inputs[0])
    result = list(target)
    if not attribute_int(node, "allowzero", 0):
        for axis, dim in enumerate(result):
            if dim == 0:
                if source is None or axis >= len(source):
                    return None
                result[axis] = source[axis]
    if -1 in result:
        place = result.index(-1)
        rest = times([dim for axis, dim in enumerate(result) if axis != place])
        inferred = None if source is None else divide(times(source), rest)
        result[place] = unknown(node.outputs[0].name, place) if inferred is None else inferred
    return tuple(result)


def _d_expand(shapes: Shapes, node: ir.Node) -> Dims | None:
    source, target = shapes.dims(node.inputs[0]), shapes.vector(node.inputs[1])
    if source is None or target is None:
        return None
    rank = max(len(source), len(target))
    padded = [(1,) * (rank - len(dims)) + tuple(dims) for dims in (source, target)]
    result: list[Dim] = []
    for a, b in zip(*padded, strict=True):
        if a != b and 1 not in (a, b):
            return None
        result.append(b if a == 1 else a)
    return tuple(result)


def _d_transpose(shapes: Shapes, node: ir.Node) -> Dims | None:
    dims = shapes.dims(node.inputs[0])
    if dims is None:
        return None
    perm = attribute_ints(node, "perm") or tuple(reversed(range(len(dims))))
    return tuple(dims[axis] for axis in perm) if len(perm) == len(dims) else None


def _d_unsqueeze(shapes: Shapes, node: ir.Node) -> Dims | None:
    dims, axes = shapes.dims(node.inputs[0]), axes_of(node, shapes)
    if dims is None or axes is None:
        return None
    rank = len(dims) + len(axes)
    places = {normalized(axis, rank) for axis in axes}
    if len(places) != len(axes) or not places <= set(range(rank)):
        return None
    rest = iter(dims)
    return tuple(1 if axis in places else next(rest) for axis in range(rank))


def _d_squeeze(shapes: Shapes, node: ir.Node) -> Dims | None:
    dims, axes = shapes.dims(node.inputs[0]), axes_of(node, shapes)
    if dims is None or axes is None:
        return None
    places = {normalized(axis, len(dims)) for axis in axes}
    return tuple(dim for axis, dim in enumerate(dims) if axis not in places)


def _d_matmul(shapes: Shapes, node: ir.Node) -> Dims | None:
    left, right = shapes.dims(node.inputs[0]), shapes.dims(node.inputs[1])
    if left is None or right is None or len(left) < 2 or len(right) < 2:
        return None
    return (*_broadcast(left[:-2], right[:-2], node), left[-2], right[-1])


def _d_reduce(shapes: Shapes, node: ir.Node) -> Dims | None:
    dims = shapes.dims(node.inputs[0])
    if dims is None:
        return None
    axes = axes_of(node, shapes)
    if axes is None:
        if len(node.inputs) > 1 or attribute_int(node, "noop_with_empty_axes", 0):
            return None
        axes = tuple(range(len(dims)))
    places = {normalized(axis, len(dims)) for axis in axes}
    if attribute_int(node, "keepdims", 1):
        return tuple(1 if axis in places else dim for axis, dim in enumerate(dims))
    return tuple(dim for axis, dim in enumerate(dims) if axis not in places)


def _d_global_pool(shapes: Shapes, node: ir.Node) -> Dims | None:
    dims = shapes.dims(node.inputs[0])
    return None if dims is None else (*dims[:2], *(1 for _ in dims[2:]))


def _d_flatten(shapes: Shapes, node: ir.Node) -> Dims | None:
    dims = shapes.dims(node.inputs[0])
    if dims is None:
        return None
    axis = normalized(attribute_int(node, "axis", 1), len(dims))
    return times(dims[:axis]), times(dims[axis:])


def _d_shape(shapes: Shapes, node: ir.Node) -> Dims | None:
    vector = shapes.vector(node.outputs[0])
    return None if vector is None else (len(vector),)


def _d_slice(shapes: Shapes, node: ir.Node) -> Dims | None:
    dims = shapes.dims(node.inputs[0])
    cuts = None if dims is None else slices_of(node, shapes, len(dims))
    if dims is None or cuts is None:
        return None
    result = list(dims)
    for axis, cut in cuts.items():
        dim = dims[axis]
        if isinstance(dim, int):
            result[axis] = len(range(*cut.indices(dim)))
        elif cut != slice(0, cut.stop, 1) or (cut.stop or 0) < 1 << 30:
            result[axis] = unknown(node.outputs[0].name, axis)
    return tuple(result)


def split(shapes: Shapes, node: ir.Node) -> list[Dims | None]:
    dims = shapes.dims(node.inputs[0])
    if dims is None:
        return []
    axis = normalized(attribute_int(node, "axis", 0), len(dims))
    sizes: Sequence[Dim] | None = attribute_ints(node, "split")
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        sizes = shapes.vector(node.inputs[1])
    elif sizes is None:
        each = divide(dims[axis], len(node.outputs))
        sizes = None if each is None else (each,) * len(node.outputs)
    if sizes is None:
        return []
    return [(*dims[:axis], size, *dims[axis + 1 :]) for size in sizes]


def _d_pad(shapes: Shapes, node: ir.Node) -> Dims | None:
    dims = shapes.dims(node.inputs[0])
    pads: Sequence[Dim] | None = attribute_ints(node, "pads")
    if pads is None and len(node.inputs) > 1:
        pads = shapes.vector(node.inputs[1])
    if dims is None or (len(node.inputs) > 3 and node.inputs[3] is not None):
        return None
    result: list[Dim] = []
    for axis, dim in enumerate(dims):
        ends = (0, 1) if pads is None else (pads[axis], pads[axis + len(dims)])
        grown = total(*ends)
        if grown == 0:
            result.append(dim)
        elif isinstance(dim, int) and isinstance(grown, int) and pads is not None:
            result.append(dim + grown)
        else:
            result.append(unknown(node.outputs[0].name, axis))
    return tuple(result)


def _d_concat(shapes: Shapes, node: ir.Node) -> Dims | None:
    parts = [shapes.dims(value) for value in node.inputs]
    first = parts[0]
    if first is None:
        return None
    axis = normalized(attribute_int(node, "axis", 1), len(first))
    sizes = [part[axis] for part in parts if part is not None and len(part) == len(first)]
    whole: Dim = unknown(node.outputs[0].name, axis)
    if len(sizes) == len(parts):
        numbers = [size for size in sizes if isinstance(size, int)]
        if len(numbers) == len(sizes):
            whole = sum(numbers)
    return (*first[:axis], whole, *first[axis + 1 :])


def _d_gather(shapes: Shapes, node: ir.Node) -> Dims | None:
    data, indices = shapes.dims(node.inputs[0]), shapes.dims(node.inputs[1])
    if data is None or indices is None:
        return None
    axis = normalized(attribute_int(node, "axis", 0), len(data))
    return (*data[:axis], *indices, *data[axis + 1 :])


def _d_weighted(channel: int) -> Callable[[Shapes, ir.Node], Dims | None]:
    """Conv and ConvTranspose: rank and channels follow from the weight, extents for Conv."""

    def rule(shapes: Shapes, node: ir.Node) -> Dims | None:
        weight = shapes.dims(node.inputs[1])
        if weight is None:
            return None
        source = shapes.dims(node.inputs[0])
        name = node.outputs[0].name
        group = attribute_int(node, "group", 1)
        channels = weight[0] if channel == 0 else times((weight[1], group))
        batch: Dim = source[0] if source else unknown(name, 0)
        extents = _window_extents(node, source, weight[2:]) if channel == 0 and source else None
        if extents is None:
            extents = tuple(unknown(name, axis) for axis in range(2, len(weight)))
        return batch, channels, *extents

    return rule


def _d_pool(shapes: Shapes, node: ir.Node) -> Dims | None:
    """Batch and channels stay, extents follow from the window."""
    source, kernel = shapes.dims(node.inputs[0]), attribute_ints(node, "kernel_shape")
    if source is None or kernel is None:
        return None
    extents = _window_extents(node, source, kernel)
    if extents is None:
        extents = tuple(unknown(node.outputs[0].name, axis) for axis in range(2, len(source)))
    return (*source[:2], *extents)


def _window_extents(node: ir.Node, source: Dims, kernel: Dims) -> Dims | None:
    """Extents of what a window of this kernel slides over, None where one is no number.

    ⌊(in + pads − dilation·(kernel − 1) − 1) / stride⌋ + 1, padded to be the same ⌈in / stride⌉.
    A window that may begin in the padding (ceil_mode) is left to onnx's inference.
    """
    spatial = len(kernel)
    auto_pad = node.attributes.get("auto_pad")
    mode = "NOTSET" if auto_pad is None else auto_pad.as_string()
    pads = attribute_ints(node, "pads") or (0,) * (2 * spatial)
    strides = attribute_ints(node, "strides") or (1,) * spatial
    dilations = attribute_ints(node, "dilations") or (1,) * spatial
    if attribute_int(node, "ceil_mode", 0) or len(source) != spatial + 2:
        return None
    result: list[Dim] = []
    for axis in range(spatial):
        extent, size = source[2 + axis], kernel[axis]
        if not isinstance(extent, int) or not isinstance(size, int):
            return None
        if mode.startswith("SAME"):
            result.append(-(-extent // strides[axis]))
            continue
        around = 0 if mode == "VALID" else pads[axis] + pads[axis + spatial]
        room = extent + around - dilations[axis] * (size - 1) - 1
        result.append(room // strides[axis] + 1)
    return tuple(result)


def _d_gemm(shapes: Shapes, node: ir.Node) -> Dims | None:
    a, b = shapes.dims(node.inputs[0]), shapes.dims(node.inputs[1])
    name = node.outputs[0].name
    rows: Dim = unknown(name, 0)
    columns: Dim = unknown(name, 1)
    if a is not None and len(a) == 2:
        rows = a[1] if attribute_int(node, "transA", 0) else a[0]
    if b is not None and len(b) == 2:
        columns = b[0] if attribute_int(node, "transB", 0) else b[1]
    return rows, columns


DIM_RULES: dict[str, Callable[[Shapes, ir.Node], Dims | None]] = {
    **dict.fromkeys(
        """Abs BatchNormalization Cast CastLike Clip Dropout Elu Erf Exp Gelu HardSigmoid HardSwish
        Identity InstanceNormalization LayerNormalization LeakyRelu Log LogSoftmax Mish Neg
        PRelu Reciprocal Relu RMSNormalization Selu Sigmoid Sin Cos Softmax Softplus Softsign
        Sqrt Tanh ThresholdedRelu""".split(),
        _d_same,
    ),
    **dict.fromkeys(
        "Add Sub Mul Div Pow Max Min Sum Where Equal Less Greater".split(), _d_broadcast
    ),
    **dict.fromkeys(
        """ReduceMean ReduceSum ReduceSumSquare ReduceL2 ReduceMax ReduceMin ReduceProd""".split(),
        _d_reduce,
    ),
    "Reshape": _d_reshape,
    "Expand": _d_expand,
    "Shape": _d_shape,
    "Slice": _d_slice,
    "Pad": _d_pad,
    "Concat": _d_concat,
    "Gather": _d_gather,
    "Transpose": _d_transpose,
    "Unsqueeze": _d_unsqueeze,
    "Squeeze": _d_squeeze,
    "MatMul": _d_matmul,
    "Gemm": _d_gemm,
    "AveragePool": _d_pool,
    "LpPool": _d_pool,
    "MaxPool": _d_pool,
    "GlobalAveragePool": _d_global_pool,
    "GlobalMaxPool": _d_global_pool,
    "Flatten": _d_flatten,
    "Conv": _d_weighted(0),
    "ConvTranspose": _d_weighted(1),
}
