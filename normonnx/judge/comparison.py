"""The outputs of both models on one feed in one setting, compared one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from normonnx.judge.compared import Flaw, OutputResult
from normonnx.judge.metrics import Metrics, measure
from normonnx.judge.options import VerifyOptions
from normonnx.judge.tiers import discrete, rounding
from normonnx.operators.kernels import Array
from normonnx.oracle.promotion import OF_EIGHT_BITS

_FLOATS_BESIDE_NUMPY = OF_EIGHT_BITS | {np.dtype(ml_dtypes.bfloat16)}


class Place(Struct, frozen=True):
    """Which comparison this is: the number of the feed, the setting, and whether it counts."""

    draw: int
    setting: str
    decisive: bool


def flattened(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs as arrays: one per element of a sequence, two for maps; absent ones go."""
    result: dict[str, Any] = {}
    for name, value in outputs.items():
        if isinstance(value, dict):
            result.update(_of_maps(name, [value]))
        elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            result.update(_of_maps(name, value))
        elif isinstance(value, list):
            result.update((f"{name}[{i}]", np.asarray(v)) for i, v in enumerate(value))
        elif value is not None:
            result[name] = np.asarray(value)
    return result


def _of_maps(name: str, maps: list[dict[Any, Any]]) -> dict[str, Any]:
    """The keys of all maps, and what they stand for, which the runtime gives as Python's floats."""
    keys = [key for each in maps for key in each]
    values = [v for each in maps for v in each.values()]
    plain = bool(values) and type(values[0]) is float
    return {
        f"{name} keys": np.array(keys, dtype=object if keys and isinstance(keys[0], str) else None),
        f"{name} values": np.array(values, dtype=np.float32 if plain else None),
    }


def is_float(array: Array) -> bool:
    """Whether rounding is what may differ."""
    return array.dtype.kind == "f" or array.dtype in _FLOATS_BESIDE_NUMPY


def compare_output(
    name: str,
    original: Array,
    optimized: Array | None,
    truth: Array | None,
    place: Place,
    options: VerifyOptions,
) -> OutputResult:
    """Compare one output, as far as it does not take other feeds to judge.

    The rounding rule needs the metrics of all feeds: see `judged`.
    """

    def wrong(flaw: Flaw, message: str, metrics: Metrics | None = None) -> OutputResult:
        return OutputResult(
            name,
            place.draw,
            place.setting,
            False,
            flaw,
            math.inf,
            message,
            metrics,
            place.decisive,
        )

    def right(metrics: Metrics | None = None) -> OutputResult:
        return OutputResult(
            name, place.draw, place.setting, True, "", 0.0, "", metrics, place.decisive
        )

    if optimized is None:
        return wrong("missing", f"output '{name}' is missing")
    if original.dtype != optimized.dtype:
        return wrong("interface", f"'{name}' was {original.dtype} and is {optimized.dtype}")
    if original.shape != optimized.shape:
        return wrong("interface", f"'{name}' had shape {original.shape} and has {optimized.shape}")
    if not is_float(original):
        differ = discrete.differences(original, optimized)
        return (
            wrong("discrete", _difference(name, original, optimized, differ))
            if differ.any()
            else right()
        )
    reference = original.astype(np.float64) if truth is None else truth
    if reference.shape != original.shape:
        return wrong("interface", f"the float64 value of '{name}' has shape {reference.shape}")
    bad = rounding.undefined_mismatch(original, optimized, reference)
    metrics = measure(original, optimized, reference)
    if bad is not None:
        values = f"{optimized[bad]!s} at {list(bad)}, the original {original[bad]!s}"
        return wrong("undefined", f"'{name}' is {values}", metrics)
    complaint = _intolerable(original, optimized, metrics, options, options.tolerance(name))
    if complaint:
        return wrong("tolerance", f"'{name}' {complaint}", metrics)
    return right(metrics)


def _difference(name: str, original: Array, optimized: Array, differ: Array) -> str:
    index = tuple(int(i) for i in np.argwhere(differ)[0])
    return (
        f"'{name}' differs in {int(differ.sum())} of {differ.size} elements, first at "
        f"{list(index)}: {original[index]!s} and {optimized[index]!s}"
    )


def _intolerable(
    original: Array,
    optimized: Array,
    metrics: Metrics,
    options: VerifyOptions,
    tolerance: tuple[float, float] | None,
) -> str:
    """What breaks a demand of the user, or "" where nothing does or nothing was demanded."""
    if options.strict and not np.array_equal(original, optimized, equal_nan=True):
        return f"is not bitwise equal, off by {metrics.max_abs:.3g}"
    if tolerance is not None:
        rtol, atol = tolerance
        o, y = original.astype(np.float64), optimized.astype(np.float64)
        if not np.allclose(y, o, rtol=rtol, atol=atol, equal_nan=True):
            return f"is off by {metrics.max_abs:.3g} (rtol {rtol:g}, atol {atol:g})"
    if options.sqnr_min is not None and metrics.sqnr_db < options.sqnr_min:
        found = f"{metrics.sqnr_db:.1f} dB of signal to noise"
        return f"has {found}, {options.sqnr_min:g} dB are demanded"
    return ""


def judged(
    result: OutputResult, rule: rounding.Rule, allowance: rounding.Allowance = rounding.NOTHING
) -> OutputResult:
    """Apply the rounding rule to a result that has passed so far.

    Args:
        result: what `compare_output` gave.
        rule: the rule of its output, which knows all feeds.
        allowance: what the original's own distance on this feed is raised to.
    """
    if result.metrics is None or not result.passed:
        return result
    excess = rule.excess(result.metrics.levels, allowance)
    result = replace(result, excess=excess.worst)
    if not result.decisive or excess.worst <= 1:
        return result
    message = f"'{result.output}' is at {excess.sentence}"
    return replace(result, passed=False, flaw="rounding", message=message)
