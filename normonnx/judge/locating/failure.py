"""What a failed comparison is followed by: where the models part, and files to replay it."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from normonnx.judge.compared import OutputResult
from normonnx.judge.divergence import Divergence
from normonnx.judge.locating.locate import first_divergence, first_in_float64
from normonnx.judge.locating.repro import save_models, save_window
from normonnx.judge.options import VerifyOptions
from normonnx.judge.outcomes import Outcomes


def located(
    original: ir.Model,
    optimized: ir.Model,
    outcomes: Outcomes,
    options: VerifyOptions,
    *,
    repro: Path | None,
    differs: bool = False,
) -> tuple[Divergence | None, list[str]]:
    """Look for the first tensor that diverges where an output is farthest from what is allowed.

    Args:
        original: the model that is right.
        optimized: the model that is wrong.
        outcomes: the comparison of their outputs.
        options: how sessions are made.
        repro: where to write the nodes that diverge, or the models whole where these are not found.
        differs: whether the models differ in float64, which rounding may hide.

    Returns:
        The tensor, and remarks; nothing of either where all is well.

    Raises:
        WriteError: if the files cannot be written.
    """
    broken = [r for r in outcomes.results if not r.passed]
    if not broken and differs:
        return _by_algebra(original, optimized, outcomes, repro)
    if not broken:
        return None, []
    result = max(broken, key=_telling)
    case = next(c for c in outcomes.cases if c.feed.draw == result.draw)
    setting = next(s for s in case.originals if s.label == result.setting)
    found = first_divergence(original, optimized, case.feed.inputs, setting, options)
    if repro is None:
        return found, []
    if found is not None and found.window is not None and (found.isolated or 0.0) > 1:
        save_window(found.window, repro)
    else:
        outputs = case.originals[setting]
        save_models(original, optimized, case.feed.inputs, outputs, repro)
    return found, [f"to replay the failure: {repro}"]


def _by_algebra(
    original: ir.Model, optimized: ir.Model, outcomes: Outcomes, repro: Path | None
) -> tuple[Divergence | None, list[str]]:
    """The first tensor that differs in float64 on any feed, and both models whole."""
    for case in outcomes.cases:
        found = first_in_float64(original, optimized, case.feed.inputs)
        if found is not None:
            break
    else:
        found, case = None, outcomes.cases[0]
    if repro is None:
        return found, []
    outputs = next(iter(case.originals.values()))
    save_models(original, optimized, case.feed.inputs, outputs, repro)
    return found, [f"to replay the failure: {repro}"]


def _telling(result: OutputResult) -> tuple[bool, bool, float]:
    """What shows most: the runtime's optimisations off, a decisive feed, a great distance."""
    return "optimisations off" in result.setting, result.decisive, result.excess
