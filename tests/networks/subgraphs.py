"""If and Loop with layers and norms inside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from . import keeping, layers
from .draft import Draft, Value


def _graph(
    draft: Draft, point: tuple[int, int], name: str, inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[tuple[Value | str, int]],
) -> onnx.GraphProto:  # fmt: skip
    """What was drawn since, as a graph of its own; now and then with its weights."""
    nodes = draft.cut(point)
    weights = draft.cut_weights(point) if draft.chance(0.5) else []
    given = [
        helper.make_tensor_value_info(v.name if isinstance(v, Value) else v, dtype, None)
        for v, dtype in outputs
    ]
    return helper.make_graph(nodes, name, inputs, given, weights)


def _condition(draft: Draft, x: Value) -> str:
    """A truth that depends on the data, on a size, or on nothing."""
    kind = draft.rng.random()
    if kind < 0.2:
        return draft.stored(np.array(draft.chance(0.5)))
    if kind < 0.6 and draft.opset >= 13:
        whole = draft.known("Size", [x], np.array(int(np.prod(x.shape)), np.int64))
        limit = draft.integers(draft.one_of([1, 10**6]))
        return draft.node("Greater", [whole, limit])[0].name
    mean = draft.with_axes("ReduceMean", x, list(range(x.rank)), since=18, keepdims=0)[0]
    limit = draft.constant(draft.one_of([-0.3, 0.3]), x.dtype)
    return draft.node("Greater", [mean, limit])[0].name


def choice(draft: Draft, x: Value) -> list[Value]:
    """A block or another, behind a layer whose norm one branch may hold."""
    draft.need(x.rank >= 2)
    condition = _condition(draft, x)
    if draft.chance(0.4) and 3 <= x.rank <= 5:
        x = layers.conv(draft, x, x.shape[1], 1)
    branches = {}
    for name in ("then_branch", "else_branch"):
        point = draft.checkpoint()
        y = keeping.block(draft, x)
        branches[name] = _graph(draft, point, name, [], [(y, y.dtype)])
    y = draft.stated("If", [condition], x.shape, dtype=x.dtype, **branches)
    return [layers.norm(draft, y) if draft.chance(0.4) else y]


def loop(draft: Draft, x: Value) -> list[Value]:
    """A block a few times over, on what the last turn made."""
    draft.need(x.rank >= 2)
    point = draft.checkpoint()
    turn, go = draft.placeholder((), TensorProto.INT64), draft.placeholder((), TensorProto.BOOL)
    carried = draft.placeholder(x.shape, x.dtype)
    y = keeping.block(draft, carried)
    again = draft.known("Identity", [go], np.array(True))
    inputs = [
        helper.make_tensor_value_info(turn.name, TensorProto.INT64, []),
        helper.make_tensor_value_info(go.name, TensorProto.BOOL, []),
        helper.make_tensor_value_info(carried.name, x.dtype, None),
    ]
    body = _graph(draft, point, "body", inputs, [(again, TensorProto.BOOL), (y, y.dtype)])
    count = draft.integers(draft.between(1, 3))
    inputs_of_loop: list[Value | str] = [count, draft.stored(np.array(True)), x]
    return [draft.stated("Loop", inputs_of_loop, x.shape, dtype=x.dtype, body=body)]


OPERATORS = {choice: 2, loop: 1}
