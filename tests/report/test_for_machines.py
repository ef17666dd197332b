"""JUnit, Markdown and GitHub: what they say, and that no name in a model can say anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from normonnx.cli import main
from normonnx.errors import UsageError
from normonnx.report import Inspection, ModelReport, RunReport, Verification, render
from normonnx.report.github import MOST_ANNOTATIONS, annotated, summary
from normonnx.report.junit import render_junit
from normonnx.report.markdown import escaped, render_markdown
from tests.report.results import BEFORE, report, verdict
from tests.report.test_parity_table import verification

NASTY = "x\x00\x1b[31m\r\n::error::<b>|`@all`%0A&]]>\ud800"


def suites(result: Any) -> list[ElementTree.Element]:
    return ElementTree.fromstring(render_junit(result)).findall("testsuite")


def test_junit_has_a_case_per_output_feed_and_setting() -> None:
    result = verification(1.5)
    (suite,) = suites(result)
    cases = suite.findall("testcase")
    assert suite.get("name") == "a.onnx → b.onnx"
    assert int(suite.get("tests") or 0) == len(cases) == len(result.verdict.outputs) + 2
    broken = [case for case in cases if case.find("failure") is not None]
    assert int(suite.get("failures") or 0) == len(broken)
    whole = [t for t in result.verdict.tiers if t.code in ("T0", "T1", "T2") and t.status == "fail"]
    assert len(broken) == sum(not r.passed for r in result.verdict.outputs) + len(whole)
    assert len(broken) > len(whole)
    first = broken[len(whole)]
    assert (first.get("name") or "").startswith("y | x=2x3 | normal | feed 0 | seed 0 | CPU, ")
    failure = first.find("failure")
    assert failure is not None
    assert failure.get("type") == "rounding"
    assert "float64" in (failure.text or "")
    names = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert names["seed"] == "0"
    assert names["providers"] == "cpu"


def test_junit_of_models_that_were_not_judged() -> None:
    refused = ModelReport("bad.onnx", "refused", error="no model")
    run = RunReport((report(), report(status="unverified", verdict=None), refused))
    first, second, third = suites(run)
    assert (first.get("failures"), first.get("errors")) == ("0", "0")
    assert second.get("skipped") == "1"
    assert third.get("errors") == "1"
    error = third.find("testcase/error")
    assert error is not None
    assert error.get("message") == "no model"


def test_inconclusive_is_skipped_and_never_passed() -> None:
    result = verification(1.0)
    undecided = replace(
        result.verdict,
        status="inconclusive",
        tiers=tuple(replace(t, status="inconclusive") for t in result.verdict.tiers),
    )
    (suite,) = suites(replace(result, verdict=undecided))
    assert int(suite.get("skipped") or 0) == len(undecided.tiers)


@pytest.mark.parametrize("form", ["junit", "markdown"])
def test_foreign_names_stay_text(form: str) -> None:
    text = render(RunReport((ModelReport(NASTY, "refused", error=NASTY),)), form)
    assert not {"\x00", "\x1b", "\ud800"} & set(text)
    text.encode()
    if form == "junit":
        ElementTree.fromstring(text)
    else:
        assert "<b>" not in text.replace("\\<", "")
        assert "@all" not in text
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert len({line.replace("\\|", "").count("|") for line in rows}) == 1


def test_markdown_has_the_line_a_table_and_the_numbers() -> None:
    text = render_markdown(verification(1.5))
    assert text.startswith("### normonnx: FAIL 1 model")
    assert "| a.onnx → b.onnx | FAIL |" in text
    assert "- **y** worst at " in text
    assert "the models first differ at 'y'" in text
    both = render_markdown(RunReport((report(), report(name="b.onnx"))))
    assert "| resnet50.onnx | PASS | 53 | 176 → 123 |" in both
    assert escaped("a_b|c") == "a\\_b\\|c"


def test_annotations_tell_what_failed_and_nothing_else() -> None:
    (line,) = annotated(verification(1.5))
    assert line.startswith("::error title=normonnx%3A a.onnx → b.onnx::'y' is at ")
    assert "%0Athe models first differ at 'y'" in line
    assert annotated(verification(1.0)) == []
    undecided = replace(verdict("inconclusive"), first_failure="100 %\r\nfinite")
    (line,) = annotated(Verification("a:,b", "c", undecided))
    assert line == "::warning title=normonnx%3A a%3A%2Cb → c::100 %25%0Afinite"
    for line in annotated(RunReport((ModelReport(NASTY, "refused", error=NASTY),))):
        assert len(line.splitlines()) == 1
        assert line.count("::") == 3


def test_annotations_and_summary_are_capped() -> None:
    run = RunReport(tuple(ModelReport(f"{i}", "error", error="no") for i in range(30)))
    lines = annotated(run)
    assert len(lines) == MOST_ANNOTATIONS
    assert lines[-1] == "::error title=normonnx::and 21 more models, see the summary"
    full = summary(run)
    assert full == render_markdown(run)
    cut = summary(run, room=500)
    assert len(cut.encode()) <= 500
    assert cut.endswith("GitHub takes no more)\n")
    assert summary(run, room=3) == ""


def test_other_results_have_other_formats() -> None:
    for form in (render_junit, render_markdown):
        with pytest.raises(UsageError, match="for what was judged"):
            form(Inspection("m.onnx", BEFORE, ()))


def test_on_github_the_run_is_annotated_and_summed_up(
    models_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "summary.md"
    target.write_text("before\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    models = [
        str(models_dir / f"tutorial_dense_{kind}.onnx") for kind in ("batchnorm", "layernorm")
    ]
    with pytest.raises(SystemExit) as ended:
        main(["verify", *models, "-q", "--report", f"junit={tmp_path / 'parity.xml'}"])
    assert ended.value.code == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("::error title=normonnx%3A tutorial_dense_batchnorm.onnx → ")
    assert len(out) == 2
    assert out[1].startswith("normonnx: FAIL 1 model")
    assert target.read_text().startswith("before\n### normonnx: FAIL 1 model")
    assert int(ElementTree.parse(tmp_path / "parity.xml").getroot().get("failures") or 0) > 0
