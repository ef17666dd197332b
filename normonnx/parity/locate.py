"""Where two models part: the guilty rewrite by bisection, the first tensor by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.parity import rounding
from normonnx.parity.comparison import is_float
from normonnx.parity.execution import (
    LacksOperatorError,
    OracleFailedError,
    OverBudgetError,
)
from normonnx.parity.metrics import measure
from normonnx.parity.oracle import Oracle
from normonnx.parity.sessions import Host, SessionFailedError, Setting

# Tensors are fetched this many at a time, so that not all of them are in memory at once.
_AT_A_TIME = 200


def bisect(count: int, fails: Callable[[int], bool]) -> int | None:
    """Find the rewrite that breaks a model.

    Args:
        count: number of rewrites.
        fails: whether the model made with the first so many rewrites is wrong; it is called with
            1 to ``count``, about log2(count) + 1 times. No rewrites at all are taken to be right.

    Returns:
        The position from 0 of a rewrite with which the model is wrong and without which it is
        right, those after it left out; None if the model with all of them is right.
    """
    if count == 0 or not fails(count):
        return None
    right, wrong = 0, count
    while wrong - right > 1:
        middle = (right + wrong) // 2
        if fails(middle):
            wrong = middle
        else:
            right = middle
    return wrong - 1


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first tensor of a name that both models have at which they part.

    Attributes:
        tensor: its name.
        producer: the operator and the name of the node that makes it in the optimised model.
        excess: its distance over what is allowed.
        checked: how many tensors were compared up to there.
    """

    tensor: str
    producer: str
    excess: float
    checked: int


def first_divergence(
    original: ir.Model, optimized: ir.Model, feeds: Mapping[str, Any], setting: Setting
) -> Divergence | None:
    """Walk the tensors that both models name alike, in the optimised model's order.

    Args:
        original: the model that is right.
        optimized: the model that is wrong.
        feeds: the inputs on which it is wrong.
        setting: how the models are run.

    Returns:
        The first tensor that breaks the rounding rule, or None if none does or the models cannot
        be run with their tensors as outputs.
    """
    known = {v.name: v for node in original.graph for v in node.outputs if v.name}
    shared = [
        (v, known[v.name])
        for node in optimized.graph
        for v in node.outputs
        if v.name in known and v.dtype != ir.DataType.STRING
    ]
    for start in range(0, len(shared), _AT_A_TIME):
        batch = shared[start : start + _AT_A_TIME]
        try:
            found = _parted(original, optimized, batch, feeds, setting)
        except (SessionFailedError, LacksOperatorError, OracleFailedError, OverBudgetError):
            return None
        if found is not None:
            position, value, excess = found
            node = value.producer()
            title = "" if node is None else f"{node.op_type} '{node.name}'"
            return Divergence(str(value.name), title, excess, start + position + 1)
    return None


def _parted(
    original: ir.Model,
    optimized: ir.Model,
    batch: list[tuple[ir.Value, ir.Value]],
    feeds: Mapping[str, Any],
    setting: Setting,
) -> tuple[int, ir.Value, float] | None:
    names = [str(new.name) for new, _ in batch]
    truth = Oracle(original).run(feeds, also=[old for _, old in batch]).extras
    outputs = []
    for model in (original, optimized):
        present = {str(v.name) for v in model.graph.outputs}
        marked = {n: n for n in names if n not in present}
        with Host(model) as host:
            outputs.append(host.session(setting, marked=marked).run(feeds))
    before, after = outputs
    if any(name not in values for name in names for values in outputs):
        return None
    for position, (new, _) in enumerate(batch):
        o, y, t = (values[str(new.name)] for values in (before, after, truth))
        excess = _excess(np.asarray(o), np.asarray(y), np.asarray(t))
        if excess > 1:
            return position, new, excess
    return None


def _excess(o: Any, y: Any, t: Any) -> float:
    if o.dtype != y.dtype or o.shape != y.shape or t.shape != o.shape:
        return np.inf
    if not is_float(o):
        return 0.0 if np.array_equal(o, y) else np.inf
    if rounding.undefined_mismatch(o, y, t) is not None:
        return np.inf
    metrics = measure(o, y, t)
    pooled = rounding.pooled_distance([metrics])
    return rounding.excess(metrics, pooled, double=o.dtype == np.float64).worst
