"""Between affine maps: activations with corners, maxima, choices, sums of branches."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from . import layers
from .draft import Draft, Value


def _affine(draft: Draft, x: Value) -> Value:
    """A factor and a shift per channel or one of them, in one of several spellings."""
    kind = draft.one_of(["norm", "norm", "scale", "shift", "both", "number", "less", "part"])
    shape = (x.shape[1], *(1,) * (x.rank - 2))
    if kind == "norm":
        return layers.norm(draft, x)
    if kind == "scale":
        scale = draft.constant(draft.rng.uniform(0.4, 1.8, shape), x.dtype)
        return draft.node("Mul", [x, scale])[0]
    if kind == "shift":
        return draft.node("Add", [draft.weight(shape, x.dtype), x])[0]
    if kind == "both":
        scaled = draft.node("Mul", [x, draft.factor(shape, x.dtype)])[0]
        return draft.node("Add", [scaled, draft.weight(shape, x.dtype)])[0]
    if kind == "number":
        return draft.node("Mul", [draft.constant(draft.one_of([-1.5, 0.5]), x.dtype), x])[0]
    if kind == "less":
        return draft.node("Sub", [draft.weight(shape, x.dtype), x])[0]
    return draft.node("Div", [x, draft.factor(shape, x.dtype)])[0]


def bent(draft: Draft, x: Value) -> Value:
    """One activation or choice."""
    kind = draft.one_of(["Relu", "LeakyRelu", "PRelu", "Elu", "HardSigmoid", "Clip", "Abs", "Max",
                         "Where", "Softmax", "ThresholdedRelu", "Sign", "Neg"])  # fmt: skip
    if kind == "PRelu":
        shape = (x.shape[1], *(1,) * (x.rank - 2)) if draft.chance(0.7) else (1,)
        draft.need(x.dtype == TensorProto.FLOAT)
        return draft.node("PRelu", [x, draft.weight(shape, x.dtype)])[0]
    if kind == "Clip":
        ends = draft.one_of([(0.0, None), (None, 1.0), (-1.0, 1.0), (0.0, 6.0)])
        if draft.opset < 11:
            return draft.node("Clip", [x], min=ends[0], max=ends[1])[0]
        named = ["" if end is None else draft.constant(end, x.dtype) for end in ends]
        return draft.node("Clip", [x, *named])[0]
    if kind == "Max":
        op_type = draft.one_of(["Max", "Min"])
        other = draft.constant(draft.one_of([0.0, 0.3]), x.dtype)
        return draft.node(op_type, [x, other])[0]
    if kind == "Where":
        mask = draft.stored(draft.rng.random((x.shape[1], *(1,) * (x.rank - 2))) < 0.5)
        other = draft.constant(draft.one_of([0.0, -2.0]), x.dtype)
        return draft.node("Where", [mask, x, other])[0]
    if kind == "Softmax":
        return draft.node(draft.one_of(["Softmax", "LogSoftmax"]), [x],
                          axis=draft.one_of([None, 1, x.rank - 1]))[0]  # fmt: skip
    draft.need(kind not in ("Elu", "ThresholdedRelu", "HardSigmoid") or x.dtype == 1)
    return draft.node(kind, [x])[0]


def chain(draft: Draft, x: Value) -> list[Value]:
    """A layer, affine maps with something bent between them, and a layer."""
    layers.about_channels(draft, x)
    y = layers.conv(draft, x, draft.between(2, 4), draft.one_of([1, 3]))
    for _ in range(draft.between(1, 3)):
        y = _affine(draft, y)
        if draft.chance(0.7):
            y = bent(draft, y)
    y = _affine(draft, y)
    return [layers.conv(draft, y, 3, draft.one_of([1, 3])) if draft.chance(0.6) else y]


def branches(draft: Draft, x: Value) -> list[Value]:
    """Affine maps on the branches of a sum, a maximum, a product or a Concat, and behind it."""
    layers.about_channels(draft, x)
    out = draft.between(2, 4)
    parts = [_affine(draft, layers.conv(draft, x, out, draft.one_of([1, 3])))
             for _ in range(draft.between(2, 3))]  # fmt: skip
    if draft.chance(0.3):
        parts.append(draft.one_of(parts))
    op_type = draft.one_of(["Sum", "Sum", "Mean", "Max", "Concat", "Mul", "Sub"])
    if op_type == "Concat":
        whole = draft.node("Concat", parts, axis=draft.one_of([1, x.rank - 1]))[0]  # type: ignore[arg-type]
    elif op_type in ("Mul", "Sub"):
        whole = draft.node(op_type, parts[:2])[0]  # type: ignore[arg-type]
    else:
        whole = draft.node(op_type, parts)[0]  # type: ignore[arg-type]
    if draft.chance(0.5):
        whole = bent(draft, whole)
    whole = _affine(draft, whole)
    return [layers.conv(draft, whole, 3, 1) if draft.chance(0.5) else whole]


def recurrent(draft: Draft, x: Value) -> list[Value]:
    """Affine maps about an LSTM or a GRU, over the last axis."""
    draft.need(x.rank == 3 and x.dtype == TensorProto.FLOAT and draft.features_last)
    inner, hidden = x.shape[-1], 3
    op_type, gates = draft.one_of([("LSTM", 4), ("GRU", 3), ("RNN", 1)])
    x = draft.node("Mul", [x, draft.factor((inner,), x.dtype)])[0]
    x = draft.node("Add", [x, draft.weight((inner,), x.dtype)])[0]
    w = draft.weight((1, gates * hidden, inner), x.dtype, gain=0.4)
    r = draft.weight((1, gates * hidden, hidden), x.dtype, gain=0.4)
    inputs: list[Value | str] = [x, w, r]
    if draft.chance(0.6):
        inputs.append(draft.weight((1, 2 * gates * hidden), x.dtype, gain=0.3))
    y = draft.node(op_type, inputs, hidden_size=hidden)[0]
    y = draft.with_axes("Squeeze", y, [1])[0]
    y = draft.node("Mul", [y, draft.factor((hidden,), x.dtype)])[0]
    return [layers.linear(draft, y, 4)]


def tiled(draft: Draft, x: Value) -> list[Value]:
    """Copies along an axis, running sums and reversed parts between affine maps."""
    layers.about_channels(draft, x)
    y = _affine(draft, layers.conv(draft, x, 3, 1))
    kind = draft.one_of(["Tile", "CumSum", "Expand"])
    if kind == "Tile":
        times = [1, draft.between(1, 2), *(draft.between(1, 2) for _ in range(x.rank - 2))]
        y = draft.node("Tile", [y, draft.integers(times)])[0]
    elif kind == "CumSum":
        draft.need(draft.opset >= 11)
        axis = draft.stored(np.array(draft.between(1, x.rank - 1), np.int64))
        y = draft.node("CumSum", [y, axis], reverse=int(draft.chance(0.5)))[0]
    else:
        y = draft.with_axes("ReduceMean", y, [x.rank - 1], since=18, keepdims=1)[0]
        y = draft.node("Expand", [y, draft.integers([1, 1, *(1,) * (x.rank - 3), 4])])[0]
    y = _affine(draft, y)
    return [layers.conv(draft, y, 3, 1) if draft.chance(0.6) else y]


OPERATORS = {chain: 4, branches: 3, recurrent: 1.5, tiled: 1}
