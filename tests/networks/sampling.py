"""Between a norm and a layer: pools, pads and resampling of every kind."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from . import layers
from .draft import Draft, Value


def pooled(draft: Draft, x: Value) -> Value:
    """Windows that reach over the edge, that are rounded up, that have holes."""
    count = x.rank - 2
    kinds = ["AveragePool", "AveragePool", "MaxPool", "LpPool", "GlobalMaxPool"]
    op_type = draft.one_of(kinds)
    if op_type == "GlobalMaxPool":
        return draft.node(op_type, [x])[0]
    kernel = [draft.between(2, 3) for _ in range(count)]
    strides = [draft.between(1, 2) for _ in range(count)]
    place: dict[str, object] = {"strides": strides}
    if draft.chance(0.2):
        place["auto_pad"] = draft.one_of(["SAME_UPPER", "SAME_LOWER"])
    else:
        place["pads"] = [draft.between(0, 1) for _ in range(2 * count)]
    draft.need(min(x.shape[2:]) >= 4)
    if op_type == "LpPool":
        return draft.node(op_type, [x], kernel_shape=kernel, p=draft.one_of([1, 2]), **place)[0]
    if draft.opset >= 10 and draft.chance(0.3) and "auto_pad" not in place:
        place["ceil_mode"] = 1
    holes = draft.opset >= (10 if op_type == "MaxPool" else 19)
    if holes and draft.chance(0.3) and "auto_pad" not in place:
        place["dilations"] = [draft.between(1, 2) for _ in range(count)]
    if op_type == "AveragePool":
        place["count_include_pad"] = draft.one_of([None, 0, 1])
    return draft.node(op_type, [x], kernel_shape=kernel, **place)[0]


def padded(draft: Draft, x: Value) -> Value:
    """Numbers, edges or mirror images around the places, or some of them cut off."""
    sides = [0, 0, *(draft.between(0, 2) for _ in range(x.rank - 2))]
    ends = [0, 0, *(draft.between(0, 2) for _ in range(x.rank - 2))]
    mode = draft.one_of(["constant", "constant", "reflect", "edge"])
    if mode == "constant" and draft.chance(0.2):
        sides[-1] = -1
    if draft.opset >= 19 and draft.chance(0.2):
        mode = "wrap"
    draft.need(mode == "constant" or min(x.shape[2:]) > 2)
    pads = [*sides, *ends]
    if draft.opset < 11:
        value = draft.one_of([None, 1.5])
        return draft.node("Pad", [x], pads=pads, mode=mode, value=value)[0]
    inputs: list[Value | str] = [x, draft.integers(pads)]
    if mode == "constant" and draft.chance(0.5):
        inputs.append(draft.constant(1.5, x.dtype))
    return draft.node("Pad", inputs, mode=mode)[0]


def resampled(draft: Draft, x: Value) -> Value:
    """Resize with what it can be told beyond factors."""
    draft.need(x.rank == 4 and x.dtype == TensorProto.FLOAT and draft.opset >= 11)
    mode = draft.one_of(["cubic", "linear", "nearest"])
    told: dict[str, object] = {"mode": mode}
    coordinates = ["half_pixel", "asymmetric", "align_corners", "tf_crop_and_resize"]
    told["coordinate_transformation_mode"] = at = draft.one_of(coordinates)
    if mode == "cubic":
        told["exclude_outside"] = int(draft.chance(0.5)) if at != "tf_crop_and_resize" else None
        told["cubic_coeff_a"] = draft.one_of([None, -0.5])
    roi = "" if draft.opset >= 13 else draft.stored(np.zeros(0, np.float32))
    if at == "tf_crop_and_resize":
        roi = draft.stored(np.array([0, 0, -0.2, 0.1, 1, 1, 0.9, 1.3], np.float32))
        told["extrapolation_value"] = draft.one_of([None, 2.0])
    factors = draft.one_of([(2, 2), (0.5, 0.5), (1.5, 2)])
    if draft.opset >= 18 and draft.chance(0.4) and at != "tf_crop_and_resize":
        told["axes"] = [2, 3]
        told["antialias"] = int(mode != "nearest" and draft.chance(0.5))
        scales = draft.stored(np.array(factors, np.float32))
    else:
        scales = draft.stored(np.array([1, 1, *factors], np.float32))
    return draft.node("Resize", [x, roi, scales], **told)[0]


def grid_sampled(draft: Draft, x: Value) -> Value:
    """Places of a grid, some of them outside."""
    draft.need(x.rank == 4 and x.dtype == TensorProto.FLOAT and draft.opset >= 16)
    grid = draft.constant(draft.rng.uniform(-1.2, 1.2, (x.shape[0], 3, 4, 2)), x.dtype)
    padding = draft.one_of(["zeros", "border", "reflection"])
    mode = "bilinear" if draft.opset < 20 else "linear"
    aligned = int(draft.chance(0.5))
    return draft.node("GridSample", [x, grid], mode=mode, padding_mode=padding,
                      align_corners=aligned)[0]  # fmt: skip


def normalised(draft: Draft, x: Value) -> Value:
    """Without channels that hold nearly nothing but rounding."""
    scale, variance = (draft.constant(draft.rng.uniform(0.4, 1.8, x.shape[1]), x.dtype)
                       for _ in range(2))  # fmt: skip
    shift, mean = (draft.weight(x.shape[1:2], x.dtype) for _ in range(2))
    return draft.node("BatchNormalization", [x, scale, shift, mean, variance])[0]


def between(draft: Draft, x: Value) -> list[Value]:
    """A layer, one of these, and a norm before or behind it; or two of these."""
    layers.about_channels(draft, x)
    draft.need(x.rank <= 4)
    if draft.chance(0.6):
        x = layers.conv(draft, x, draft.between(2, 4), 3)
    x = normalised(draft, x) if draft.chance(0.6) else x
    for _ in range(draft.one_of([1, 1, 2])):
        x = draft.one_of([pooled, pooled, padded, resampled, grid_sampled])(draft, x)
    if draft.chance(0.6):
        return [normalised(draft, x)]
    return [layers.conv(draft, x, 3, draft.one_of([1, 3]))]


OPERATORS = {between: 1}
