"""The verdict as people and programs read it."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from msgspec.structs import replace

from normonnx.judge.compared import OutputResult
from normonnx.judge.metrics import measure
from normonnx.judge.verdict import SCHEMA, FeedNote, Tier, Verdict


def result(output: str, noise: float, **changes: Any) -> OutputResult:
    truth = np.linspace(1, 2, 20).reshape(4, 5)
    unit = np.spacing(np.float32(1))
    original = (truth + unit * np.where(np.arange(20) % 2, 1, -1).reshape(4, 5)).astype(np.float32)
    optimized = original.copy()
    optimized[1, 3] += np.float32(noise * np.spacing(np.float32(2)))
    metrics = measure(original, optimized, truth)
    found = OutputResult(
        output, 0, "CPU, optimisations off", True, "", noise / 10, "", metrics, True
    )
    return replace(found, **changes)


def verdict(*results: OutputResult, **changes: Any) -> Verdict:
    feeds = tuple(
        FeedNote(i, "normal", {"batch": b}, {"x": (b, 4)}, i < 2) for i, b in enumerate((2, 3, 1))
    )
    found = Verdict(
        "pass",
        (Tier("T3", "rounding", "pass", "fine"),),
        results,
        feeds,
        providers=("cpu",),
        versions={"onnx": "1"},
    )
    return replace(found, **changes)


def test_the_line_of_a_pass() -> None:
    line = verdict(result("logits", 3)).line()
    assert line.startswith("parity PASS  logits: ")
    assert "× the original's own distance to float64 · worst 3 ulp at [1, 3]" in line
    assert line.endswith(" · 3 feeds, batch = 2, 3 · CPU")
    assert "\n" not in line


def test_the_line_of_several_outputs_names_the_farthest() -> None:
    line = verdict(result("a", 1), result("b", 4)).line()
    assert "b: " in line
    assert "(farthest of 2 outputs)" in line


def test_the_worst_element_may_be_another_outputs() -> None:
    line = verdict(result("a", 4, excess=0.1), result("b", 1, excess=0.9)).line()
    assert "b: " in line
    assert "worst 4 ulp at a [1, 3]" in line


def test_a_distance_of_too_many_ulp_is_told_as_it_is() -> None:
    assert "worst 0.0048 at [1, 3]" in verdict(result("y", 20_000)).line()


def test_equal_outputs_are_said_to_be_equal() -> None:
    assert "bitwise equal to the original" in verdict(result("y", 0)).line()
    discrete = result("k", 0, metrics=None)
    assert verdict(discrete).line().startswith("parity PASS  discrete outputs equal · ")


def test_the_line_of_a_failure_says_what_is_wrong() -> None:
    broken = result("y", 90, passed=False, flaw="rounding", excess=9.0, message="'y' is far")
    found = verdict(broken, status="fail", first_failure="'y' is far (CPU, feed 0)")
    assert found.line().startswith("parity FAIL  'y' is far (CPU, feed 0) · 3 feeds")
    assert not found.passed
    assert found.worst == broken
    undecided = Verdict("inconclusive", first_failure="no feed")
    assert undecided.line() == "parity INCONCLUSIVE  no feed"


def test_a_breach_is_worse_than_any_pass() -> None:
    broken = result("y", 1, passed=False, flaw="undefined", excess=2.0)
    assert verdict(result("x", 9, excess=5.0), broken).worst == broken


def test_tolerances_change_the_headline() -> None:
    assert "at most" in verdict(result("y", 3), approximate=True).line()


def test_json_has_no_bare_infinity_and_a_schema() -> None:
    found = verdict(
        result("y", 2, excess=math.inf), result("z", 0, metrics=None), notes=("a",), seed=4
    )
    content = found.to_dict()
    text = json.dumps(content, allow_nan=False)
    assert json.loads(text) == content
    assert content["schema"] == SCHEMA == "normonnx.verdict/1"
    assert content["outputs"][0]["excess"] == "inf"
    assert content["outputs"][1]["metrics"] is None
    histogram = content["outputs"][0]["metrics"]["ulp_histogram"]
    assert sum(histogram["counts"]) == 20
    assert len(histogram["counts"]) == len(histogram["up_to"]) + 1
    assert content["feeds"][0]["binding"] == {"batch": 2}
    assert content["seed"] == 4
    assert list(content)[:3] == ["schema", "status", "passed"]


def test_a_verdict_shows_itself_and_no_markup_of_names() -> None:
    verdict = Verdict("fail", first_failure="output '<b>x</b>' differs")
    assert repr(verdict) == "<Verdict: parity FAIL  output '<b>x</b>' differs>"
    page = verdict._repr_html_()
    assert "<b>" not in page
    assert "parity FAIL" in page
