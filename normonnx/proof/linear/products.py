"""Convolutions and matrix products: W′ = A·W for each tap, and the constant part at each border."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from normonnx.operators.attributes import attribute_int, attribute_ints
from normonnx.proof.linear.arithmetic import Rule
from normonnx.proof.linear.form import Array, Form, OtherOperatorError, Source
from normonnx.proof.linear.operand import Operator

_PERIOD = 24
"""What an axis is shortened by whole multiples of: a multiple of the usual strides."""

_REACH = 12
"""How far a kernel or a stride may reach: a shortened axis has at least twice as much, so that
every border, and a place without one, is there.
"""


def _conv(operator: Operator) -> Form:
    form, weight, bias, group = _parts(operator)
    scale = _per_channel(form)
    outputs, each = weight.shape[0], weight.shape[1]
    per_group = scale.reshape(group, 1, each, *(1,) * (weight.ndim - 2))
    split = weight.reshape(group, outputs // group, *weight.shape[1:])
    rows = (split * per_group).reshape(outputs, -1)
    key = (
        "Conv",
        *_padded(operator, form),
        weight.shape,
        group,
        *_steps(operator, weight.ndim - 2),
    )
    shift, terms, short = _constant_part(operator, form, weight, bias)
    return _product(operator, key, rows, shift, terms, short)


def _conv_transpose(operator: Operator) -> Form:
    form, weight, bias, group = _parts(operator)
    scale = _per_channel(form)
    inputs, each = weight.shape[:2]
    scaled = weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))
    split = scaled.reshape(group, inputs // group, *weight.shape[1:])
    rows = np.moveaxis(split, 2, 1).reshape(group * each, -1)
    key = (*operator.key, form.source, form.shape, weight.shape)
    shift, terms, short = _constant_part(operator, form, weight, bias)
    return _product(operator, key, rows, shift, terms, short)


def _parts(operator: Operator) -> tuple[Form, Array, Array | None, int]:
    """What a convolution slides over, its kernel, bias and number of groups."""
    form = operator.operands[0]
    weight, bias = (*operator.constants(1), None)[:2]
    assert isinstance(form, Form)
    assert weight is not None
    return form, weight, bias, attribute_int(operator.node, "group", 1)


def _product(
    operator: Operator,
    key: Any,
    rows: Array,
    shift: Array,
    terms: Array,
    short: bool,
) -> Form:
    source, factor = operator.table.multiple(key, np.ascontiguousarray(rows))
    scale = factor.reshape(1, -1, *(1,) * (len(operator.shape) - 2))
    return Form(source, scale, shift, terms, operator.shape, short, is_past_kernel=short)


def _per_channel(form: Form) -> Array:
    """The scale of each channel, where it is the same everywhere else."""
    others = (form.scale.shape[0], *form.scale.shape[2:])
    if any(n > 1 for n in others):
        raise OtherOperatorError("a scale that differs from place to place in front of a kernel")
    found: Array = np.broadcast_to(form.scale.ravel(), (form.shape[1],))
    return found


def _steps(operator: Operator, axes: int) -> tuple[Any, ...]:
    node = operator.node
    strides = attribute_ints(node, "strides") or (1,) * axes
    dilations = attribute_ints(node, "dilations") or (1,) * axes
    return strides, dilations


def _padded(operator: Operator, form: Form) -> tuple[Any, ...]:
    """The source with its padding, its shape, and what else says how a convolution pads.

    A Conv that pads is a Pad with zeros and a Conv that does not.
    """
    mode, pads = _padding(operator, len(form.shape) - 2)
    return (*padded_with_zeros(operator, form, pads), mode)


def _padding(operator: Operator, axes: int) -> tuple[str, tuple[int, ...]]:
    """How an operator pads, "" if by numbers; and the numbers."""
    attribute = operator.node.attributes.get("auto_pad")
    auto = "NOTSET" if attribute is None else attribute.as_string()
    none = (0, 0) * axes
    if auto == "NOTSET":
        return "", attribute_ints(operator.node, "pads") or none
    return "" if auto == "VALID" else auto, none


def padded_with_zeros(
    operator: Operator, form: Form, pads: tuple[int, ...]
) -> tuple[Source, tuple[int, ...]]:
    """A source that is padded along its spatial axes, and its shape."""
    if not any(pads):
        return form.source, form.shape
    axes = len(form.shape) - 2
    spatial = zip(form.shape[2:], pads[:axes], pads[axes:], strict=True)
    shape = (*form.shape[:2], *(sum(parts) for parts in spatial))
    return operator.table.source(("Pad", form.source, form.shape, pads)), shape


def _constant_part(
    operator: Operator, form: Form, weight: Array, bias: Array | None
) -> tuple[Array, Array, bool]:
    """What a convolution makes of the shift, its terms, and whether that is of a shorter input."""
    axes = len(form.shape) - 2
    per_channel = (1, -1, *(1,) * axes)
    group = attribute_int(operator.node, "group", 1)
    slid = operator.node.op_type == "Conv"
    outputs = weight.shape[0] if slid else weight.shape[1] * group
    added = np.zeros(outputs) if bias is None else bias
    if form.is_unshifted:
        return added.reshape(per_channel), np.abs(added).reshape(per_channel), False
    mode, pads = _padding(operator, axes)
    if slid and not mode and not any(pads) and all(n == 1 for n in form.shift.shape[2:]):
        parts = (
            _at_every_tap(part, form, kernel, group)
            for part, kernel in ((form.shift, weight), (form.terms, np.abs(weight)))
        )
        shift, terms = parts
        return (
            (shift + added).reshape(per_channel),
            (terms + np.abs(added)).reshape(per_channel),
            False,
        )
    shift, terms = (shortened(part, form) for part in (form.shift, form.terms))
    _refuse_far_reach(operator, weight)
    moved = operator.compute([shift, weight, bias])
    sizes = operator.compute([terms, np.abs(weight), None if bias is None else np.abs(bias)])
    moved, sizes = _uniform(moved, sizes)
    return moved, sizes, any(n > 1 for n in moved.shape[2:])


def _at_every_tap(shift: Array, form: Form, weight: Array, group: int) -> Array:
    """What a convolution without padding makes of a constant per channel."""
    if shift.shape[0] > 1:
        raise OtherOperatorError("a shift that differs from sample to sample in front of a kernel")
    channels = np.broadcast_to(shift.ravel(), (form.shape[1],)).reshape(group, 1, -1)
    taps = weight.sum(axis=tuple(range(2, weight.ndim))).reshape(group, -1, weight.shape[1])
    found: Array = (taps * channels).sum(axis=2).ravel()
    return found


def _uniform(array: Array, terms: Array) -> tuple[Array, Array]:
    """The array of one element along an axis along which rounding alone makes it differ."""
    for axis in range(2, array.ndim):
        first = array.take([0], axis=axis)
        if (np.abs(array - first) <= 1e-14 * terms).all():
            array, terms = first, terms.max(axis=axis, keepdims=True)
    return array, terms


def shortened(array: Array, form: Form) -> Array:
    """A shift over axes that are shorter than the true ones, and have the same borders.

    What a kernel makes of a constant differs at the borders alone, and there by the remainder of
    the size by the stride.
    """
    if form.is_past_kernel:
        raise OtherOperatorError("two kernels, one behind the border of the other")
    if form.is_short:
        return array
    sizes = [min(n, _PERIOD + n % _PERIOD) for n in form.shape[2:]]
    if any(have > 1 for have in array.shape[2:]):
        raise OtherOperatorError("a shift that differs from place to place in front of a kernel")
    found: Array = np.broadcast_to(array, (1, form.shape[1], *sizes))
    return found


def _refuse_far_reach(operator: Operator, weight: Array) -> None:
    strides, dilations = _steps(operator, weight.ndim - 2)
    pads = attribute_ints(operator.node, "pads") or ()
    reach = max((k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilations, strict=True))
    far = max(reach, *pads, *strides) > _REACH or any(_PERIOD % stride for stride in strides)
    if far or "output_shape" in operator.node.attributes:
        raise OtherOperatorError("a kernel that reaches far into a padded input")


# -- matrices ---------------------------------------------------------------------------------


def _matmul(operator: Operator) -> Form | None:
    left, right = operator.operands
    if isinstance(left, Form) and isinstance(right, np.ndarray) and right.ndim >= 2:
        return _times_matrix(operator, left, right)
    return None


def _times_matrix(
    operator: Operator, form: Form, weight: Array, bias: Array | None = None
) -> Form | None:
    if form.is_short:
        return None
    if any(n > 1 for n in form.scale.shape[:-1]):
        raise OtherOperatorError("a scale that differs from row to row in front of a matrix")
    scale = np.broadcast_to(form.scale.ravel(), (form.shape[-1],))
    rows = np.swapaxes(weight * scale[:, None], -1, -2)
    key = ("MatMul", form.source, form.shape, weight.shape)
    source, factor = operator.table.multiple(key, np.ascontiguousarray(rows))
    rank = len(operator.shape)
    factor = factor[..., None, :] if len(form.shape) > 1 else factor
    shape = (*form.shift.shape[:-1], form.shape[-1])
    shift = np.matmul(np.broadcast_to(form.shift, shape), weight)
    terms = np.matmul(np.broadcast_to(form.terms, shape), np.abs(weight))
    if bias is not None:
        shift, terms = shift + bias, terms + np.abs(bias)
    shift, terms, factor = (
        part.reshape((1,) * (rank - part.ndim) + part.shape) for part in (shift, terms, factor)
    )
    return Form(source, factor, shift, terms, operator.shape)


def _gemm(operator: Operator) -> Form | None:
    form = operator.operands[0]
    weight, bias = (*operator.constants(1), None)[:2]
    if not isinstance(form, Form) or weight is None or attribute_int(operator.node, "transA", 0):
        return None
    if attribute_int(operator.node, "transB", 0):
        weight = weight.T
    alpha, beta = operator.number("alpha", 1.0), operator.number("beta", 1.0)
    added = None if bias is None else beta * bias
    return _times_matrix(operator, form, alpha * weight, added)


RULES: Mapping[str, Rule] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
}
