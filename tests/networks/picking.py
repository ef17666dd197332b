"""Slices, gathers, pads, pools, reductions and resizes."""

from __future__ import annotations

import numpy as np

from .draft import Draft, Value


def slice_(draft: Draft, x: Value) -> list[Value]:
    axis = draft.between(0, x.rank - 1)
    size = x.shape[axis]
    start = draft.between(0, size - 1)
    stop = draft.one_of([draft.between(start + 1, size), 2**40])
    step = draft.one_of([1, 1, 1, 2])
    if draft.opset < 10:
        return draft.node("Slice", [x], starts=[start], ends=[stop], axes=[axis])
    if draft.chance(0.1):
        start, stop, step = size - 1, -(2**40), -1
    named = axis - x.rank if draft.chance(0.3) else axis
    inputs = [draft.integers([start]), draft.integers([stop]), draft.integers([named])]
    if step != 1:
        inputs.append(draft.integers([step]))
    return draft.node("Slice", [x, *inputs])


def gather(draft: Draft, x: Value) -> list[Value]:
    axis = 1 if x.rank > 1 and draft.chance(0.5) else draft.between(0, x.rank - 1)
    size = x.shape[axis]
    kind = draft.rng.random()
    low = -size if draft.opset >= 11 and draft.chance(0.2) else 0
    if kind < 0.4:
        indices = draft.rng.permutation(size)[: draft.between(1, size)]
    elif kind < 0.7:
        indices = draft.rng.integers(low, size, draft.between(1, 4))
    elif kind < 0.9:
        draft.need(x.rank >= 2)
        indices = draft.rng.integers(low, size)
    else:
        draft.need(x.rank <= 3)
        indices = draft.rng.integers(low, size, (2, 2))
    return draft.node("Gather", [x, draft.integers(np.asarray(indices))], axis=axis)  # type: ignore[arg-type]


def pad(draft: Draft, x: Value) -> list[Value]:
    draft.need(x.rank >= 1)
    pads = [0] * (2 * x.rank)
    for axis in range(2 if x.rank > 2 and draft.chance(0.8) else 0, x.rank):
        pads[axis], pads[axis + x.rank] = draft.between(0, 2), draft.between(0, 1)
    mode = draft.one_of([None, None, "constant", "reflect", "edge"])
    if mode == "reflect":
        draft.need(all(max(pads[i], pads[i + x.rank]) < n for i, n in enumerate(x.shape)))
    value = draft.one_of([0.0, 0.0, 1.5])
    if draft.opset < 11:
        return draft.node("Pad", [x], pads=pads, mode=mode, value=value or None)
    inputs: list[Value | str] = [x, draft.integers(pads)]
    if mode not in ("reflect", "edge") and (value or draft.chance(0.3)):
        inputs.append(draft.constant(np.asarray(value), x.dtype))
    return draft.node("Pad", inputs, mode=mode)


def pool(draft: Draft, x: Value) -> list[Value]:
    draft.need(3 <= x.rank <= 5)
    op_type = draft.one_of(["AveragePool", "AveragePool", "MaxPool"])
    kernel = [draft.between(1, min(3, size)) for size in x.shape[2:]]
    strides = [draft.between(1, 2) for _ in kernel] if draft.chance(0.4) else None
    pads = None
    if draft.chance(0.4):
        pads = [min(k - 1, draft.between(0, 1)) for k in (*kernel, *kernel)]
    counted = int(draft.chance(0.4)) if op_type == "AveragePool" else None
    return draft.node(op_type, [x], kernel_shape=kernel, strides=strides, pads=pads,
                      count_include_pad=counted)  # fmt: skip


def global_pool(draft: Draft, x: Value) -> list[Value]:
    draft.need(3 <= x.rank <= 5)
    return draft.node(draft.one_of(["GlobalAveragePool", "GlobalMaxPool"]), [x])


def reduction(draft: Draft, x: Value) -> list[Value]:
    draft.need(x.rank >= 2)
    op_type = draft.one_of(["ReduceMean", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"])
    spatial = x.rank > 2 and draft.chance(0.6)
    axes = list(range(2, x.rank)) if spatial else [draft.between(0, x.rank - 1)]
    if draft.opset >= 11 and draft.chance(0.3):
        axes = [axis - x.rank for axis in axes]
    keepdims = draft.one_of([None, 0, 1])
    since = 13 if op_type == "ReduceSum" else 18
    return draft.with_axes(op_type, x, axes, since=since, keepdims=keepdims)


def resize(draft: Draft, x: Value) -> list[Value]:
    draft.need(x.rank == 4)
    scales = draft.constant(np.array([1, 1, 2, draft.one_of([1, 2])]), 1)
    mode = draft.one_of(["nearest", "linear"])
    if draft.opset == 9:
        return draft.node("Upsample", [x, scales], mode=mode)
    if draft.opset == 10:
        return draft.node("Resize", [x, scales], mode=mode)
    draft.need(x.dtype == 1)
    roi = "" if draft.opset >= 13 else draft.constant(np.zeros(0), 1)
    coordinates = draft.one_of([None, "asymmetric", "align_corners"])
    return draft.node("Resize", [x, roi, scales], mode=mode,
                      coordinate_transformation_mode=coordinates)  # fmt: skip


OPERATORS = {slice_: 3, gather: 2, pad: 2, pool: 4, global_pool: 1, reduction: 2, resize: 1}
