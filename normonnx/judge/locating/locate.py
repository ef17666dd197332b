"""Where two models part: the guilty rewrite by bisection, the guilty nodes by their tensors.

Tensors are matched by name, and by value where names were lost. The first that parts is then
computed alone, from the float64 values of what is right before it, so that noise from upstream
cannot blame a node that is innocent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.judge.comparison import is_float
from normonnx.judge.divergence import Divergence
from normonnx.judge.locating.tensors import Match, Tensors, collect, named_tensors
from normonnx.judge.locating.windows import NoWindowError, cut
from normonnx.judge.metrics import measure
from normonnx.judge.options import VerifyOptions
from normonnx.judge.tiers import rounding
from normonnx.judge.tiers.algebra import PLAIN
from normonnx.oracle.execution import LacksOperatorError, OracleFailedError, OverBudgetError
from normonnx.oracle.oracle import Oracle
from normonnx.runtime.sessions import SessionFailedError, Setting

# How many tensors that part are computed alone before the first of them is believed.
_MOST_SUSPECTS = 8


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


def first_divergence(
    original: ir.Model,
    optimized: ir.Model,
    feeds: Mapping[str, Any],
    setting: Setting,
    options: VerifyOptions | None = None,
) -> Divergence | None:
    """Find the first tensor, in the optimised model's order, that parts from the original's.

    Args:
        original: the model that is right.
        optimized: the model that is wrong.
        feeds: the inputs on which it is wrong.
        setting: how the models are run.
        options: how sessions are made.

    Returns:
        The first tensor that breaks the rounding rule when it is computed alone; the first that
        breaks it at all if none does alone; None if none does, or nothing could be compared.
    """
    wanted = options or VerifyOptions()
    try:
        tensors = collect(original, optimized, feeds, setting, wanted)
    except (SessionFailedError, LacksOperatorError, OracleFailedError, OverBudgetError):
        return None
    parted = [match for match in tensors.named if distance(match) > 1]
    # A breach that small can be chance, as long as there is a larger one to blame.
    suspects = [match for match in parted if distance(match) > rounding.CHANCE] or parted
    first: Divergence | None = None
    for suspect in suspects[:_MOST_SUSPECTS]:
        found = _looked_at(suspect, tensors, setting, wanted)
        if found.isolated is not None and found.isolated > 1:
            return found
        first = first or found
    return first


def first_in_float64(
    original: ir.Model, optimized: ir.Model, feeds: Mapping[str, Any]
) -> Divergence | None:
    """Find the first tensor of a common name that differs in float64, where rounding hides it.

    It differs by what no rounding of weights in float32 explains, and by no less than a hundredth
    of what an output differs by: what is before it is rounded.
    """
    old, new = named_tensors(original), named_tensors(optimized)
    common = [name for name in new if name in old]
    try:
        before = Oracle(original).run(feeds, also=[old[n] for n in common]).extras
        after = Oracle(optimized).run(feeds, also=[new[n] for n in common]).extras
    except (LacksOperatorError, OracleFailedError):
        return None
    far = {n: _relative(before[n], after[n]) for n in common}
    ends = [far[str(v.name)] for v in optimized.graph.outputs if v.name in far]
    least = max(PLAIN, max(ends, default=0.0) / 100)
    first = next((n for n in common if far[n] > least), None)
    if first is None:
        return None
    node = new[first].producer()
    producer = "" if node is None else f"{node.op_type} '{node.name}'"
    return Divergence(first, producer, far[first] / least, None, (), (), len(common))


def _relative(t: Any, y: Any) -> float:
    """The largest difference over the largest element; 0 where that means nothing."""
    t, y = np.asarray(t), np.asarray(y)
    if t.shape != y.shape or not t.size or not (is_float(t) and is_float(y)):
        return 0.0
    with np.errstate(invalid="ignore"):
        far = np.abs(y - t)
    scale = float(np.abs(t[np.isfinite(t)]).max(initial=0.0))
    return float(far[np.isfinite(far)].max(initial=0.0)) / scale if scale else 0.0


def _looked_at(
    suspect: Match, tensors: Tensors, setting: Setting, options: VerifyOptions
) -> Divergence:
    agreed = {m.new: m for m in tensors.matches if distance(m) <= 1}
    node = suspect.new.producer()
    window, isolated = None, None
    try:
        window = cut(suspect, agreed, tensors, setting, options)
        isolated = _excess(window.original, window.optimized, window.truth)
    except (NoWindowError, SessionFailedError, LacksOperatorError, OracleFailedError):
        window = None
    return Divergence(
        str(suspect.new.name),
        "" if node is None else f"{node.op_type} '{node.name}'",
        distance(suspect),
        isolated,
        () if window is None else window.nodes,
        () if window is None else window.replaced,
        len(tensors.matches),
        window,
    )


def distance(match: Match) -> float:
    """How far a tensor is from the original's, over what is allowed."""
    return _excess(match.original, match.optimized, match.truth)


def _excess(o: Any, y: Any, t: Any) -> float:
    if o.dtype != y.dtype or o.shape != y.shape or t.shape != o.shape:
        return np.inf
    if not is_float(o):
        return 0.0 if np.array_equal(o, y) else np.inf
    if rounding.undefined_mismatch(o, y, t) is not None:
        return np.inf
    return rounding.alone(measure(o, y, t).levels, o.dtype)
