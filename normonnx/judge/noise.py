"""How far a model moves by itself: its inputs or weights moved by an ulp, and its runs compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.graph.ulps import ulps_at
from normonnx.judge.comparison import is_float
from normonnx.judge.tiers.magnitudes import (
    NOWHERE,
    BySize,
    Distance,
    Level,
    Levels,
    by_size,
    groups,
    together,
)
from normonnx.judge.tiers.rounding import MOST_PROMISED
from normonnx.operators.kernels import Array


def moved_weights(model: ir.Model) -> ir.Model:
    """A copy with every float weight of the main graph moved by an ulp, up or down by chance."""
    clone = model.clone()
    for name, value in clone.graph.initializers.items():
        stored = None if value.const_value is None else np.asarray(value.const_value.numpy())
        if stored is not None and value not in clone.graph.inputs and stored.ndim:
            given = nudged({name: stored}, seed=len(name))
            if given is not None:
                value.const_value = ir.tensor(given[name], name=name)
    return clone


def grouped(found: Levels) -> list[Level]:
    """The groups of one output on one feed, each with the size of its largest elements."""
    grouping = groups([found])
    return [
        together([level for level in found if grouping[level.size] == group])
        for group in dict.fromkeys(grouping.values())
    ]


def is_beyond(group: Level, promised: BySize) -> bool:
    """Whether elements are farther from the truth than what rounding does to any of them."""
    most = max((d.rms for d in promised.values()), default=0.0)
    return group.original.rms > MOST_PROMISED * most


def nudged(inputs: Mapping[str, Any], *, seed: int) -> dict[str, Any] | None:
    """The inputs with every float moved by an ulp, up or down by chance; zeros stay.

    None where there is none to be moved.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    result, any_moved = dict(inputs), False
    for name, value in inputs.items():
        if not isinstance(value, np.ndarray) or not is_float(value) or not value.size:
            continue
        wide = value.astype(np.float64)
        signs = random.choice((-1.0, 1.0), value.shape) * (wide != 0)
        result[name] = np.asarray(wide + signs * ulps_at(np.abs(wide), value.dtype), value.dtype)
        any_moved = True
    return result if any_moved else None


def comparable(outputs: Mapping[str, Any]) -> dict[str, Array]:
    """The float outputs that have elements, in float64."""
    return {n: a.astype(np.float64) for n, a in outputs.items() if is_float(a) and a.size}


def moved(
    t: Array, other: Any, scale: float, beyond: Distance, base: Array | None = None
) -> BySize:
    """How far another run is from a base, by the levels of t; ``beyond`` where it is not finite."""
    o = t if base is None else base
    if other is None or np.shape(other) != o.shape or t.shape != o.shape:
        return {}
    with np.errstate(invalid="ignore"):
        far = np.abs(np.asarray(other, np.float64) - o) / scale
    defined = np.isfinite(far) & np.isfinite(t)
    found = by_size(t[defined], far[defined])
    lost = np.isfinite(t) & np.isfinite(o) & ~np.isfinite(far)
    return found | dict.fromkeys(by_size(t[lost], np.zeros(int(lost.sum()))), beyond)


def mean(runs: Sequence[BySize]) -> dict[int, Distance]:
    """The distances of several runs as those of one."""
    sizes = {size for run in runs for size in run}
    found = {size: [run.get(size, NOWHERE) for run in runs] for size in sizes}
    count = max(1, len(runs))
    return {
        size: Distance(
            math.hypot(*(d.rms for d in all_)) / math.sqrt(count),
            sum(d.largest for d in all_) / count,
        )
        for size, all_ in found.items()
    }


def widest(runs: Sequence[BySize]) -> dict[int, Distance]:
    """For each level the largest distance of several runs."""
    sizes = {size for run in runs for size in run}
    return {
        size: Distance(
            max(run.get(size, NOWHERE).rms for run in runs),
            max(run.get(size, NOWHERE).largest for run in runs),
        )
        for size in sizes
    }
