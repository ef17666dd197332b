"""Operators that move elements, or average and select within a channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec.structs import replace

from normonnx.operators.attributes import attribute_int
from normonnx.operators.table import facts_of
from normonnx.proof.linear.arithmetic import Rule
from normonnx.proof.linear.form import Array, Form, OtherOperatorError, Source, compact
from normonnx.proof.linear.operand import Operator
from normonnx.proof.linear.products import padded_with_zeros, shortened

_MOST_ELEMENTS = 1 << 22
"""Elements of a scale that is spread out to be moved."""


def moved(operator: Operator) -> Form | None:
    """An operator that moves the elements of one operand by what the others, constants, say."""
    facts = facts_of(operator.node)
    forms = [i for i, operand in enumerate(operator.operands) if isinstance(operand, Form)]
    if facts.moves != (0,) or forms != [0] or len(operator.node.outputs) > 1:
        return None
    form = operator.operands[0]
    assert isinstance(form, Form)
    others = operator.constants(1)
    source = _source(operator, [form], others)
    scale, shift, terms = (_moved_array(operator, form, part, others) for part in _numbers(form))
    return Form(source, scale, shift, terms, operator.shape)


def _source(operator: Operator, forms: Sequence[Form], others: Sequence[Array | None]) -> Source:
    shapes = (None if array is None else array.shape for array in others)
    key = (*operator.key, *((form.source, form.shape) for form in forms), operator.shape, *shapes)
    return operator.table.source(key, [array for array in others if array is not None])


def _numbers(form: Form) -> tuple[Array, Array, Array]:
    if form.is_short:
        raise OtherOperatorError("a value with a border is moved")
    return form.scale, form.shift, form.terms


def _moved_array(
    operator: Operator, form: Form, array: Array, others: Sequence[Array | None]
) -> Array:
    """What becomes of a scale or shift, spread out where it is not the same everywhere."""
    if (array is form.scale and array.size == 1) or not array.any():
        # What fills a gap is a zero of the source, and stays one whatever its scale.
        array = array.ravel()[:1]
        return array.reshape((1,) * len(operator.shape))
    if np.prod(form.shape) > _MOST_ELEMENTS:
        raise OtherOperatorError("a large value is moved")
    operator.table.rests_on_sizes = True
    spread = np.broadcast_to(array, form.shape)
    return compact(operator.compute([spread, *others]))


def _transpose(operator: Operator) -> Form | None:
    form = operator.operands[0]
    if not isinstance(form, Form):
        return None
    source = _source(operator, [form], [])
    scale, shift, terms = (operator.compute([part]) for part in _numbers(form))
    return Form(source, scale, shift, terms, operator.shape)


def _concat(operator: Operator) -> Form | None:
    forms = [operand for operand in operator.operands if isinstance(operand, Form)]
    if len(forms) < len(operator.operands):
        return None
    rank = len(operator.shape)
    axis = operator.node.attributes["axis"].as_int() % rank
    scale, shift, terms = (
        _joined(parts, forms, axis)
        for parts in zip(*(_numbers(form) for form in forms), strict=True)
    )
    operator.table.rests_on_sizes = True
    return Form(_source(operator, forms, []), scale, shift, terms, operator.shape)


def _joined(parts: Sequence[Array], forms: Sequence[Form], axis: int) -> Array:
    """The numbers of several values one after the other, each as long as its value."""
    flat = [part.take([0], axis=axis) for part in parts]
    extents = list(np.broadcast_shapes(*(part.shape for part in flat)))
    spread = []
    for part, form in zip(parts, forms, strict=True):
        extents[axis] = form.shape[axis]
        spread.append(np.broadcast_to(part, extents))
    return compact(np.concatenate(spread, axis=axis))


def _pad(operator: Operator) -> Form | None:
    """Padding with a constant; scales stay, as the source is zero there."""
    form, attributes = operator.operands[0], operator.node.attributes
    constant = "mode" not in attributes or attributes["mode"].as_string() == "constant"
    if not isinstance(form, Form) or not constant or "pads" in attributes:
        return None
    if form.is_short:
        raise OtherOperatorError("a value with a border is padded")
    pads, *rest = operator.constants(1)
    assert pads is not None
    spatial = None if len(rest) > 1 else _spatial_pads(form, pads)
    if spatial is None:
        return None
    source, _ = padded_with_zeros(operator, form, spatial)
    fill = rest[0] if rest else None
    if form.is_unshifted and (fill is None or not fill.any()):
        return replace(form, source=source, shape=operator.shape)
    shift, terms = (shortened(part, form) for part in (form.shift, form.terms))
    filled = None if fill is None else np.abs(fill)
    return Form(
        source,
        form.scale,
        operator.compute([shift, pads, fill]),
        operator.compute([terms, pads, filled]),
        operator.shape,
        is_short=True,
    )


def _spatial_pads(form: Form, pads: Array) -> tuple[int, ...] | None:
    """What is added in front of and behind the spatial axes, if it is these alone."""
    rank = len(form.shape)
    if pads.size != 2 * rank or (pads < 0).any() or any(n > 1 for n in form.scale.shape[2:]):
        return None
    if pads[:2].any() or pads[rank : rank + 2].any():
        return None
    return tuple(int(n) for n in (*pads[2:rank], *pads[rank + 2 :]))


def _within_channels(operator: Operator, *, selects: bool) -> Form | None:
    """Averages, selections and interpolations along axes along which the numbers are the same."""
    form = operator.operands[0]
    if not isinstance(form, Form) or len(operator.node.outputs) > 1:
        return None
    others = operator.constants(1)
    scale, shift, terms = _numbers(form)
    if any(n > 1 for part in (scale, shift) for n in part.shape[2:]):
        return None
    if selects and not (scale >= 0).all():
        return None
    source = _source(operator, [form], others)
    return Form(source, scale, shift, terms, operator.shape)


def _max_pool(operator: Operator) -> Form | None:
    return _within_channels(operator, selects=True)


def _global(operator: Operator) -> Form | None:
    return _within_channels(operator, selects=operator.node.op_type == "GlobalMaxPool")


def _average_pool(operator: Operator) -> Form | None:
    form = operator.operands[0]
    counted = attribute_int(operator.node, "count_include_pad", 0)
    if not isinstance(form, Form) or (counted and not form.is_unshifted):
        return None
    return _within_channels(operator, selects=False)


def _resize(operator: Operator) -> Form | None:
    """Interpolation, whose weights add up to one unless it looks beyond the borders."""
    form, attributes = operator.operands[0], operator.node.attributes
    beyond = attributes.get("coordinate_transformation_mode")
    if beyond is not None and beyond.as_string() == "tf_crop_and_resize":
        return None
    if not isinstance(form, Form) or "axes" in attributes:
        return None
    return _within_channels(operator, selects=False) if _keeps_channels(operator, form) else None


def _keeps_channels(operator: Operator, form: Form) -> bool:
    """Whether a Resize leaves the first two axes as they are: by factors of 1, or equal sizes."""
    stated = operator.node.attributes.get("scales")
    told = [] if stated is None else [np.array(stated.as_floats())]
    rank = len(form.shape)
    told += [a for a in operator.constants(1) if a is not None and a.shape == (rank,)]
    wanted = {"f": (1.0, 1.0), "i": form.shape[:2]}
    policy = operator.node.attributes.get("keep_aspect_ratio_policy")
    stretches = policy is None or policy.as_string() == "stretch"
    return bool(told) and stretches and all(tuple(a[:2]) == wanted[a.dtype.kind] for a in told)


RULES: Mapping[str, Rule] = {
    "AveragePool": _average_pool,
    "Concat": _concat,
    "GlobalAveragePool": _global,
    "GlobalMaxPool": _global,
    "MaxPool": _max_pool,
    "Pad": _pad,
    "Resize": _resize,
    "Transpose": _transpose,
    "Upsample": _resize,
}
