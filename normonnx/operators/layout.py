"""What lays elements out anew: reshapes, transposes, joins and cuts, and casts."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from normonnx.graph.dims import Dim, Dims, divide, times, unknown
from normonnx.operators import vectors
from normonnx.operators.attributes import (
    attribute_int,
    attribute_ints,
    axes_of,
    normalized,
    slices_of,
)
from normonnx.operators.broadcasting import broadcast_dims, same
from normonnx.operators.facts import EVERY, Facts, Indices
from normonnx.operators.kernels import arithmetic, placement
from normonnx.operators.kernels.call import Kernel
from normonnx.operators.known import Known, Rule

_WHOLE = 1 << 30
"""An end this far means all that there is."""


def reshaped(known: Known, node: ir.Node) -> Dims | None:
    """The target, 0 being the dimension that was there and −1 what is left over."""
    if len(node.inputs) < 2:
        return None
    target = vectors.vector_or_unknowns(known, node.inputs[1])
    if target is None:
        return None
    source = known.dims(node.inputs[0])
    name = node.outputs[0].name
    # An element of which nothing is known may itself be 0 or −1, so it is not the size there.
    target = tuple(
        dim if isinstance(dim, int) or vectors.is_size(dim) else unknown(name, axis)
        for axis, dim in enumerate(target)
    )
    if not attribute_int(node, "allowzero", 0):
        target = _with_kept(target, source)
    return None if target is None else _with_inferred(target, source, node)


def _with_kept(target: Dims, source: Dims | None) -> Dims | None:
    """The target with the dimensions of the source where it says 0."""
    result = list(target)
    for axis, dim in enumerate(target):
        if dim == 0:
            if source is None or axis >= len(source):
                return None
            result[axis] = source[axis]
    return tuple(result)


def _with_inferred(target: Dims, source: Dims | None, node: ir.Node) -> Dims:
    """The target with what is left of the source where it says −1."""
    if -1 not in target:
        return target
    place = target.index(-1)
    rest = times([dim for axis, dim in enumerate(target) if axis != place])
    inferred = None if source is None else divide(times(source), rest)
    if inferred is None:
        inferred = unknown(node.outputs[0].name, place)
    return (*target[:place], inferred, *target[place + 1 :])


def expanded(known: Known, node: ir.Node) -> Dims | None:
    """The input's dimensions and the target's, of which one is 1 where they differ."""
    source, target = known.dims(node.inputs[0]), known.vector(node.inputs[1])
    if source is None or target is None:
        return None
    name = f"{node.outputs[0].name} as told"
    target = tuple(
        dim if vectors.is_size(dim) else unknown(name, axis) for axis, dim in enumerate(target)
    )
    return broadcast_dims(source, target, node)


def transposed(known: Known, node: ir.Node) -> Dims | None:
    """The dimensions in another order."""
    dims = known.dims(node.inputs[0])
    if dims is None:
        return None
    perm = attribute_ints(node, "perm") or tuple(reversed(range(len(dims))))
    return tuple(dims[axis] for axis in perm) if len(perm) == len(dims) else None


def unsqueezed(known: Known, node: ir.Node) -> Dims | None:
    """The dimensions with 1 at the axes."""
    dims, axes = known.dims(node.inputs[0]), axes_of(node, known)
    if dims is None or axes is None:
        return None
    rank = len(dims) + len(axes)
    places = {normalized(axis, rank) for axis in axes}
    if len(places) != len(axes) or not places <= set(range(rank)):
        return None
    rest = iter(dims)
    return tuple(1 if axis in places else next(rest) for axis in range(rank))


def squeezed(known: Known, node: ir.Node) -> Dims | None:
    """The dimensions without those of the axes, which have to be told."""
    dims, axes = known.dims(node.inputs[0]), axes_of(node, known)
    if dims is None or axes is None:
        return None
    places = {normalized(axis, len(dims)) for axis in axes}
    return tuple(dim for axis, dim in enumerate(dims) if axis not in places)


def flattened(known: Known, node: ir.Node) -> Dims | None:
    """What is before the axis as one dimension, what is behind it as another."""
    dims = known.dims(node.inputs[0])
    if dims is None:
        return None
    axis = normalized(attribute_int(node, "axis", 1), len(dims))
    return times(dims[:axis]), times(dims[axis:])


def sliced(known: Known, node: ir.Node) -> Dims | None:
    """As many elements as the slices take, unknown where they count from a symbol."""
    dims = known.dims(node.inputs[0])
    cuts = None if dims is None else slices_of(node, known, len(dims))
    if dims is None or cuts is None:
        return None
    result = list(dims)
    for axis, cut in cuts.items():
        dim = dims[axis]
        if isinstance(dim, int):
            result[axis] = len(range(*cut.indices(dim)))
        elif cut != slice(0, cut.stop, 1) or (cut.stop or 0) < _WHOLE:
            result[axis] = unknown(node.outputs[0].name, axis)
    return tuple(result)


def split(known: Known, node: ir.Node) -> list[Dims | None]:
    """The dimensions of each part."""
    dims = known.dims(node.inputs[0])
    if dims is None:
        return []
    axis = normalized(attribute_int(node, "axis", 0), len(dims))
    sizes: Sequence[Dim] | None = attribute_ints(node, "split")
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        sizes = known.vector(node.inputs[1])
    elif sizes is None:
        each = divide(dims[axis], len(node.outputs))
        sizes = None if each is None else (each,) * len(node.outputs)
    if sizes is None:
        return []
    return [(*dims[:axis], size, *dims[axis + 1 :]) for size in sizes]


def padded(known: Known, node: ir.Node) -> Dims | None:
    """The dimensions and what is put before and behind them."""
    dims = known.dims(node.inputs[0])
    pads: Sequence[Dim] | None = attribute_ints(node, "pads")
    if pads is None and len(node.inputs) > 1:
        pads = known.vector(node.inputs[1])
    if dims is None or (len(node.inputs) > 3 and node.inputs[3] is not None):
        return None
    result: list[Dim] = []
    for axis, dim in enumerate(dims):
        ends = (0, 1) if pads is None else (pads[axis], pads[axis + len(dims)])
        grown = vectors.total(*ends)
        if grown == 0:
            result.append(dim)
        elif isinstance(dim, int) and isinstance(grown, int) and pads is not None:
            result.append(dim + grown)
        else:
            result.append(unknown(node.outputs[0].name, axis))
    return tuple(result)


def joined(known: Known, node: ir.Node) -> Dims | None:
    """The dimensions of the first part, along the axis the sum of all of them."""
    parts = [known.dims(value) for value in node.inputs]
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


def _moved(
    name: str,
    dims: Rule | None = None,
    kernel: Kernel | None = None,
    *,
    moves: Indices = (0,),
    vector: Rule | None = None,
) -> Facts:
    return Facts(
        name=name,
        moves=moves,
        linear_in=moves,
        linear_jointly=True,
        dims=dims,
        vector=vector,
        kernel=kernel,
    )


FACTS = (
    Facts(
        name="Identity",
        elementwise=True,
        moves=(0,),
        linear_in=(0,),
        dims=same,
        vector=vectors.same,
        kernel=arithmetic.identity,
    ),
    Facts(name="Cast", elementwise=True, dims=same, vector=vectors.cast),
    Facts(name="CastLike", dims=same),
    _moved("Reshape", reshaped, placement.reshape, vector=vectors.same),
    _moved("Flatten", flattened, placement.flatten),
    _moved("Squeeze", squeezed, placement.squeeze, vector=vectors.same),
    _moved("Unsqueeze", unsqueezed, placement.unsqueeze, vector=vectors.same),
    _moved("Transpose", transposed, placement.transpose),
    _moved("Expand", expanded, placement.expand),
    _moved("Tile"),
    _moved("Slice", sliced, placement.slice_of, vector=vectors.slice_of),
    _moved("Pad", padded, placement.pad, moves=(0, 2)),
    _moved("Concat", joined, placement.concat, moves=EVERY, vector=vectors.concat),
    Facts(name="Split", moves=(0,), linear_in=(0,), dims_of_each=split),
    _moved("CenterCropPad"),
    _moved("DepthToSpace"),
    _moved("SpaceToDepth"),
    _moved("ReverseSequence"),
    _moved("Trilu"),
)
