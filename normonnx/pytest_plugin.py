"""Parity as an assertion of pytest.

    def test_export(assert_onnx_parity):
        assert_onnx_parity("model.onnx", "model.optimized.onnx")

    from normonnx.pytest_plugin import assert_onnx_parity

pytest finds the fixture by itself once normonnx is installed. Nothing heavy is imported before a
test compares models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from normonnx.judge import Verdict
    from normonnx.judge.compared import OutputResult
    from normonnx.model_io import Source

_OUTPUTS_SHOWN = 5


def assert_onnx_parity(original: Source, optimized: Source, **options: Any) -> Verdict:
    """Assert that a model still computes what another one computes.

    Args:
        original: the model that is right by definition: a path, bytes, an ``onnx.ModelProto``, an
            ``onnx_ir.Model`` or a ``torch.onnx.ONNXProgram``.
        optimized: the model that is judged.
        options: as for `normonnx.verify`: ``rtol``, ``atol``, ``data``, ``seed``, ``strict`` …

    Returns:
        The verdict, for those who want its numbers.

    Raises:
        AssertionError: parity is violated, or too little could be compared to say; the message
            tells which outputs, by how much, where, and at which tensor the models part.
        NormonnxError: a model is unreadable, invalid or unsafe, or the options make no sense.
    """
    __tracebackhide__ = True
    from normonnx import api

    verdict = api.verify(original, optimized, **options)
    if not verdict.passed:
        raise AssertionError(message(verdict))
    return verdict


@pytest.fixture(name="assert_onnx_parity", scope="session")
def _assert_onnx_parity() -> Callable[..., Verdict]:
    """Assert that two ONNX models compute the same: `normonnx.pytest_plugin.assert_onnx_parity`."""
    return assert_onnx_parity


def message(verdict: Verdict) -> str:
    """Why the assertion does not hold, for a person.

    Args:
        verdict: one that is no pass.
    """
    from normonnx.report.names import safe_name

    heads = {"fail": "ONNX models do not compute the same", "inconclusive": "nothing was proved"}
    lines = [f"{heads[verdict.status]}: {verdict.first_failure}", ""]
    broken = [summary.decisive for summary in verdict.summaries if not summary.passed]
    for result in broken[:_OUTPUTS_SHOWN]:
        lines += _output(verdict, result)
    if len(broken) > _OUTPUTS_SHOWN:
        lines.append(f"and {len(broken) - _OUTPUTS_SHOWN} more outputs")
    if verdict.divergence is not None:
        told = verdict.divergence.sentence()
        lines.append(f"{told[:1].upper()}{told[1:]}")
    lines += [f"Note: {note}" for note in (*verdict.warnings, *verdict.notes)]
    feeds = {feed.draw: feed for feed in verdict.feeds}
    for result in broken[:1]:
        if result.draw in feeds:
            shapes = feeds[result.draw].shapes
            given = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
            lines.append(f"Inputs: {given} ({feeds[result.draw].title}, seed {verdict.seed})")
    return "\n".join(safe_name(line, longest=1000) for line in lines).rstrip()


def _output(verdict: Verdict, result: OutputResult) -> list[str]:
    from normonnx.report.parity_table import ulp_histogram

    rows = [r for r in verdict.outputs if r.output == result.output]
    failed = sum(not r.passed for r in rows)
    lines = [f"Output '{result.output}' ({result.setting}, feed {result.draw}):"]
    lines.append(f"  wrong in {failed} of {len(rows)} comparisons; {result.message}")
    metrics = result.metrics
    if metrics is not None:
        differing = metrics.elements - (metrics.histogram[0] if metrics.histogram else 0)
        share = 100 * differing / metrics.elements if metrics.elements else 0.0
        lines += [
            f"  elements that differ: {differing} of {metrics.elements} ({share:.1f} %)",
            f"  greatest absolute difference: {metrics.max_abs:.6g}",
            f"  greatest relative difference: {metrics.max_rel:.6g}",
            f"  in units of the last place: {ulp_histogram(metrics.histogram)}",
            f"  distance to float64 on this feed: {metrics.ratio:.3g} times the original's own",
            f"  signal to noise: {metrics.sqnr_db:.1f} dB, cosine {metrics.cosine:.6f}",
        ]
        if metrics.worst is not None:
            worst = metrics.worst
            lines.append(
                f"  worst at {list(worst.index)}: original {worst.original:.9g}, "
                f"optimised {worst.optimized:.9g}, float64 {worst.truth:.9g}"
            )
    return [*lines, ""]
