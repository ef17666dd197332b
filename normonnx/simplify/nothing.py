"""NX203: nodes that give back what they read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from normonnx.graph.dims import Dims
from normonnx.operators.attributes import attribute_int, attribute_ints, normalized
from normonnx.rewrite import Context
from normonnx.simplify.rule import NOTHING, Found, begin, in_place_of
from normonnx.values.zeros import makes_plain

_WITH_RATIO_INPUT = 12
"""The opset from which on Dropout is told by an input whether it trains."""

_WITHOUT_ATTRIBUTE = 7
"""The opset from which on it never trains, until then."""


def gives_back(context: Context, node: ir.Node) -> Found | None:
    """The first input in the place of the output, if the operator does nothing to it here."""
    if node.op_type in _ONCE:
        return _once(context, node)
    if node.op_type in _NEUTRAL:
        return _beside_neutral(context, node)
    test = _TESTS.get(node.op_type)
    if test is None or not node.inputs or node.inputs[0] is None:
        return None
    if any(out.uses() or out.is_graph_output() for out in node.outputs[1:]):
        return None
    if context.constants.is_constant(node.outputs[0]) or not test(context, node):
        return None
    source, out = context.shapes.dtype(node.inputs[0]), context.shapes.dtype(node.outputs[0])
    if source is None or source != out:
        return None
    return in_place_of(context, NOTHING, node, node.inputs[0])


def keeps_dims(context: Context, node: ir.Node) -> bool:
    """Whether the output has the dimensions of the input, at every size."""
    source = context.shapes.dims(node.inputs[0])
    return source is not None and source == context.shapes.dims(node.outputs[0])


def _always(context: Context, node: ir.Node) -> bool:
    return True


def _is_at_inference(context: Context, node: ir.Node) -> bool:
    """Whether a Dropout drops nothing."""
    assert node.graph is not None
    opset = context.opset_of(node.graph)
    if opset < _WITHOUT_ATTRIBUTE:
        return bool(attribute_int(node, "is_test", 0))
    if opset < _WITH_RATIO_INPUT or len(node.inputs) < 3 or node.inputs[2] is None:
        return True
    training = context.constants.array(node.inputs[2])
    return training is not None and not training.any()


def _casts_nothing(context: Context, node: ir.Node) -> bool:
    source = context.shapes.dtype(node.inputs[0])
    return source is not None and source == attribute_int(node, "to", 0)


def _keeps_order(context: Context, node: ir.Node) -> bool:
    perm = attribute_ints(node, "perm")
    return perm is not None and perm == tuple(range(len(perm)))


def _slices_all(context: Context, node: ir.Node) -> bool:
    """Whether a Slice takes every element, in its order."""
    dims = context.shapes.dims(node.inputs[0])
    parts = _slice_parts(context, node)
    if dims is None or parts is None:
        return False
    starts, ends, axes, steps = parts
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        return False
    return all(
        start == 0 and step == 1 and isinstance(axis, int) and _is_end(dims, axis, end)
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True)
    )


_ANY_LENGTH = 1 << 31
"""No axis is as long as this; exporters write it, or more, for the end."""


def _is_end(dims: Dims, axis: int, end: object) -> bool:
    dim = dims[normalized(axis, len(dims))]
    if isinstance(end, int):
        return end >= _ANY_LENGTH - 1 or (isinstance(dim, int) and end >= dim)
    return end == dim


def _slice_parts(
    context: Context, node: ir.Node
) -> tuple[Dims, Dims, Dims | None, Dims | None] | None:
    """Starts, ends, axes and steps, the last two None where they are left out."""
    if len(node.inputs) == 1:
        starts, ends = attribute_ints(node, "starts"), attribute_ints(node, "ends")
        return (
            None
            if starts is None or ends is None
            else (starts, ends, attribute_ints(node, "axes"), None)
        )
    given = [*node.inputs[1:], None, None][:4]
    found = [context.shapes.vector(value) for value in given]
    if any(one is None and value is not None for one, value in zip(found, given, strict=True)):
        return None
    starts_, ends_, axes, steps = found
    return None if starts_ is None or ends_ is None else (starts_, ends_, axes, steps)


def _pads_nothing(context: Context, node: ir.Node) -> bool:
    pads = attribute_ints(node, "pads")
    if pads is None and len(node.inputs) > 1:
        array = context.constants.array(node.inputs[1])
        pads = None if array is None else tuple(int(n) for n in array.reshape(-1))
    return pads is not None and not any(pads)


def _is_alone(context: Context, node: ir.Node) -> bool:
    return sum(value is not None for value in node.inputs) == 1


def _is_in_one_part(context: Context, node: ir.Node) -> bool:
    return len(node.outputs) == 1 and keeps_dims(context, node)


_LOOKS_ELSEWHERE = ("tf_crop_and_resize", "tf_half_pixel_for_nn")
"""Modes of a Resize that take other elements than those that are there, by a scale of 1 too."""


def _scales_by_one(context: Context, node: ir.Node) -> bool:
    """Whether a Resize or Upsample keeps each axis, by scales of 1 or by its sizes."""
    mode = node.attributes.get("coordinate_transformation_mode")
    if mode is not None and mode.as_string() in _LOOKS_ELSEWHERE:
        return False
    if not keeps_dims(context, node):
        return False
    scales = [context.constants.array(value) for value in node.inputs[1:3] if value is not None]
    told = [array for array in scales if array is not None and array.size]
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        return True
    return bool(told) and bool(np.all(told[-1] == 1))


def _takes_all_in_order(context: Context, node: ir.Node) -> bool:
    dims, indices = context.shapes.dims(node.inputs[0]), context.constants.array(node.inputs[1])
    if not dims or indices is None or indices.ndim != 1:
        return False
    length = dims[normalized(attribute_int(node, "axis", 0), len(dims))]
    return length == indices.size and bool(np.array_equal(indices, np.arange(indices.size)))


def _repeats_once(context: Context, node: ir.Node) -> bool:
    repeats = context.constants.array(node.inputs[1]) if len(node.inputs) == 2 else None
    return repeats is not None and bool(np.all(repeats == 1))


_ONCE = frozenset({"Relu", "Abs", "Floor", "Ceil", "Round", "Sign"})
"""Operators that change nothing when they are applied once more."""


def _once(context: Context, node: ir.Node) -> Found | None:
    """Of an operator that is applied to its own result the one before."""
    source = node.inputs[0] if node.inputs else None
    before = None if source is None else source.producer()
    if before is None or before.graph is not node.graph:
        return None
    if before.op_identifier() != node.op_identifier():
        return None
    proposal = begin(context, NOTHING, node)
    proposal.replace(node.outputs[0], proposal.like(before, before.inputs))
    return Found(proposal, f"{node.op_type} twice → once")


_NEUTRAL: Mapping[str, tuple[int, tuple[int, ...]]] = {
    "Mul": (1, (1, 0)),
    "Div": (1, (1,)),
    "Add": (0, (1, 0)),
    "Sub": (0, (1,)),
}
"""By operator the number that changes nothing, and as which inputs."""

_MOST_NEUTRAL = 1 << 16
"""So many elements of a constant are looked at."""


def _beside_neutral(context: Context, node: ir.Node) -> Found | None:
    """The other operand of arithmetic with a constant that changes nothing."""
    number, places = _NEUTRAL[node.op_type]
    dims, dtype = context.shapes.dims(node.outputs[0]), context.shapes.dtype(node.outputs[0])
    if dims is None or dtype is None or len(node.inputs) != 2:
        return None
    for place in places:
        given, other = node.inputs[place], node.inputs[1 - place]
        if given is None or other is None or context.shapes.dims(other) != dims:
            continue
        if not _is_neutral(context, given, number, is_subtracted=node.op_type == "Sub"):
            continue
        if given.is_initializer():
            # What was rounded to it is in no file: a run on the result would not know it either.
            context.constants.exact.pop(str(given.name), None)
        return in_place_of(context, NOTHING, node, other)
    return None


def _is_neutral(context: Context, given: ir.Value, number: int, *, is_subtracted: bool) -> bool:
    """Whether a constant holds nothing but a number, of zeros in floats those that change no −0."""
    size = context.shapes.static(given)
    if size is None or math.prod(size) > _MOST_NEUTRAL or not context.constants.is_constant(given):
        return False
    array = context.constants.array(given)
    if array is None or array.dtype.kind not in "iuf" or not np.all(array == number):
        return False
    return array.dtype.kind != "f" or not makes_plain(-array if is_subtracted else array)


_TESTS: Mapping[str, Callable[[Context, ir.Node], bool]] = {
    "Identity": _always,
    "Dropout": _is_at_inference,
    "Cast": _casts_nothing,
    "Transpose": _keeps_order,
    **dict.fromkeys(("Reshape", "Expand", "Flatten", "Squeeze", "Unsqueeze"), keeps_dims),
    "Slice": _slices_all,
    "Pad": _pads_nothing,
    **dict.fromkeys(("Concat", "Sum", "Max", "Min", "Mean"), _is_alone),
    "Split": _is_in_one_part,
    **dict.fromkeys(("Resize", "Upsample"), _scales_by_one),
    "Gather": _takes_all_in_order,
    "Tile": _repeats_once,
}
"""When an operator of ONNX's gives back its first input."""
