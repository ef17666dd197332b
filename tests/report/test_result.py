"""The result model: outcomes, exit codes, the stable line, JSON."""

from __future__ import annotations

import json

import pytest
from results import miss, report, rewrite, verdict

from normonnx.errors import ExitCode
from normonnx.report import RunReport, Verification, render_json, worst
from normonnx.report.grouping import grouped, site_of


def test_stable_line() -> None:
    assert report().line() == "normonnx: PASS 1 model, 53 rewrites, distance to float64 0.91x"
    one = report(rewrites=(rewrite(),), verdict=None, status="unverified")
    assert one.line() == "normonnx: UNVERIFIED 1 model, 1 rewrite"
    refused = report(rewrites=(), verdict=None, status="refused")
    both = RunReport((report(), refused))
    assert (
        both.line()
        == "normonnx: REFUSED 2 models, 53 rewrites, distance to float64 0.91x, 1 not done"
    )
    assert RunReport((report(verdict=verdict(ratio=float("inf"))),)).ratio is None


OUTCOMES = {
    ("pass",): (ExitCode.OK, "PASS"),
    ("pass", "unverified"): (ExitCode.OK, "UNVERIFIED"),
    ("pass", "fail", "refused", "inconclusive"): (ExitCode.VIOLATED, "FAIL"),
    ("inconclusive", "refused"): (ExitCode.REFUSED, "REFUSED"),
    ("error", "pass"): (ExitCode.INCONCLUSIVE, "ERROR"),
    ("error", "inconclusive"): (ExitCode.INCONCLUSIVE, "INCONCLUSIVE"),
}


@pytest.mark.parametrize("statuses", OUTCOMES)
def test_the_worst_outcome_speaks_for_all(statuses: tuple[str, ...]) -> None:
    run = RunReport(tuple(report(status=status) for status in statuses))
    assert (run.exit_code, run.word()) == OUTCOMES[statuses]


def test_interruption_is_worse_than_anything() -> None:
    assert RunReport((report(status="fail"),), interrupted=True).exit_code == 130
    assert worst([]) is ExitCode.OK


def test_rules_are_counted() -> None:
    first, second = report().rules()
    assert (first.code, first.name, len(first.fired), first.sites) == (
        "NX001",
        "fold-into-convolution",
        53,
        53,
    )
    assert (second.code, len(second.fired), second.sites) == ("NX003", 0, 2)


def test_json_is_versioned_finite_and_complete() -> None:
    hostile = report(name="\x1b[31m\udcff.onnx", near_misses=(miss(reason="no \x00 good"),))
    text = render_json(RunReport((hostile,), command=("optimize", "m.onnx"), versions={"a": "1"}))
    assert text.isascii()
    data = json.loads(text, parse_constant=pytest.fail)
    assert data["schema"] == "normonnx.report/1"
    assert data["summary"]["line"] == hostile.line()
    (model,) = data["models"]
    assert model["name"] == hostile.name
    assert model["rewrites"][0]["removed"] == [["Conv", "conv_0"], ["BatchNormalization", "bn_0"]]
    assert model["rules"][1] == {
        "code": "NX003",
        "name": "fold-forward",
        "fired": 0,
        "near_misses": 1,
    }
    assert model["verdict"]["outputs"][0]["metrics"]["cosine"] in (None, "nan")
    assert model["error"] is None
    assert list(model) == sorted(model, key=list(model).index)


def test_verification() -> None:
    good = Verification("a.onnx", "b.onnx", verdict())
    assert (good.exit_code, good.line()) == (0, "normonnx: PASS 1 model, distance to float64 0.91x")
    bad = Verification("a.onnx", "b.onnx", verdict("fail"))
    assert bad.exit_code == 1
    assert bad.line().startswith("normonnx: FAIL 1 model")
    assert json.loads(render_json(bad))["status"] == "fail"


def test_near_misses_are_grouped_by_what_is_said_about_them() -> None:
    misses = [miss(1), miss(2), miss(3, "the weight '{0}' is not a constant"), miss(4)]
    groups = grouped(map(site_of, misses))
    assert [(len(g.sites), g.outcome) for g in groups] == [
        (3, "'…' is also read by '…'"),
        (1, "the weight '3' is not a constant"),
    ]
