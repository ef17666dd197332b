"""Whether a fault changes what a model computes: both models in float64, element by element."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.judge.comparison import flattened
from normonnx.oracle.execution import LacksOperatorError, OracleFailedError
from normonnx.oracle.oracle import Oracle

Array = np.ndarray[Any, Any]
IN_FLOAT64 = 1e-12
"""What the truth itself may be off by, of an output's largest element."""


class Effect(Struct, frozen=True):
    """What a fault does, where it does most.

    Attributes:
        own: the change of an element over its own size, the largest of all; infinite where
            something discrete, finite or of another shape is changed.
        noise: the change over the rounding of float32 of that output's elements, the largest of
            all: what is below some ten is no more than another order of sums.
    """

    own: float = 0.0
    noise: float = 0.0


def effect_of(
    right: ir.Model,
    wrong: ir.Model,
    feeds: Iterable[Mapping[str, Any]],
    *,
    exact: Mapping[str, Array],
    readings: Mapping[str, Array],
    noises: Mapping[str, float],
) -> Effect | None:
    """What a fault does on any of the feeds; None if the wrong model does not run in float64.

    Args:
        right: the original.
        wrong: the faulty model.
        feeds: what both are given.
        exact: float64 values of the faulty model's weights.
        readings: float64 values of the original's, as its rewrites read them.
        noises: how far from the truth each output of the original is as it runs.
    """
    before, after = Oracle(right, exact=readings), Oracle(wrong, exact=exact)
    worst = Effect()
    try:
        for feed in feeds:
            truth = flattened(before.run(feed).outputs)
            made = flattened(after.run(feed).outputs)
            for name, t in truth.items():
                found = _between(t, made.get(name), noises.get(name, 0.0))
                worst = Effect(max(worst.own, found.own), max(worst.noise, found.noise))
    except (LacksOperatorError, OracleFailedError):
        return None
    return worst


def _between(t: Array, y: Array | None, noise: float) -> Effect:
    everything = Effect(np.inf, np.inf)
    if y is None or y.shape != t.shape:
        return everything
    if t.dtype.kind != "f":
        return Effect() if np.array_equal(t, y) else everything
    finite = np.isfinite(t)
    if not np.array_equal(t[~finite], y[~finite], equal_nan=True):
        return everything
    with np.errstate(invalid="ignore", divide="ignore"):
        far = np.abs(y[finite] - t[finite])
        seen = far > IN_FLOAT64 * np.abs(t[finite]).max(initial=0.0)
        own = np.where(seen, far / np.abs(t[finite]), 0.0)
    if not np.isfinite(far).all():
        return everything
    most = float(far.max(initial=0.0))
    over = most / noise if noise else np.inf if most else 0.0
    return Effect(float(own.max(initial=0.0)), over)
