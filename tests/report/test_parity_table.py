"""The numbers of a verdict as people see them."""

from __future__ import annotations

import io

import numpy as np
import onnx_ir as ir
import pytest

from normonnx.judge import Verdict, VerifyOptions, verify
from normonnx.judge.compared import OutputResult
from normonnx.judge.metrics import measure
from normonnx.report import Verification
from normonnx.report.html.parity_section import parity
from normonnx.report.markdown import render_markdown
from normonnx.report.parity_table import COLUMNS, rows, ulp_histogram, worst_element
from normonnx.report.terminal import console_for, show_verification
from tests.judge.building import graph_model, replace_weight, respelled

TEXT = """(float[2, 3] x) => (float[2, 3] y, float[2, 3] z, int64[2] k) {
    y = Mul(x, w)
    z = Mul(x, v)
    k = ArgMax <axis = 1, keepdims = 0> (z)
}"""


def verification(factor: float) -> Verification:
    w = np.array([1, 2, 3], np.float32)
    before = graph_model(TEXT, w=w, v=w)
    after = replace_weight(before, "w", w * np.float32(factor))
    if factor == 1:
        after = respelled(after)  # what is equal by structure is not run
    models = (ir.from_proto(model) for model in (before, after))
    verdict = verify(*models, options=VerifyOptions())
    return Verification("a.onnx", "b.onnx", verdict)


def shown(result: Verification, verbosity: int = 0) -> list[str]:
    stream = io.StringIO()
    show_verification(result, console_for(stream), verbosity=verbosity)
    return stream.getvalue().splitlines()


def test_there_is_a_row_per_output_and_the_broken_one_is_told() -> None:
    verdict = verification(1.5).verdict
    told = verdict.summaries
    cells = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in rows(told)}
    assert list(cells) == ["y", "z", "k"]
    assert [row[""] for row in cells.values()] == ["FAIL", "ok", "ok"]
    assert cells["z"]["max abs"] == "0"
    # Equal to the original: as far from the truth as that one, which counts as what its types
    # promise where another output broke the rule.
    assert float(cells["z"]["ratio"].removesuffix("×")) <= 1
    assert float(cells["y"]["SQNR dB"]) < 10
    assert cells["k"]["max abs"] == "equal"
    numbers = told[0].numbers
    assert numbers is not None
    worst = worst_element(numbers.farthest)
    metrics = numbers.farthest.metrics
    assert metrics is not None
    assert metrics.worst is not None
    assert worst.startswith(f"{list(metrics.worst.index)} was {metrics.worst.original:.8g}, is ")
    assert ulp_histogram(numbers.histogram).endswith("%")
    assert "> 4096 ulp" in ulp_histogram(numbers.histogram)


def test_the_terminal_shows_metrics_where_and_the_stable_line_last() -> None:
    lines = shown(verification(1.5))
    assert lines[-1].startswith("normonnx: FAIL 1 model")
    assert any(
        line.strip().startswith("the models first differ at 'y' (Mul 'Mul_0')") for line in lines
    )
    assert any("y: worst at [" in line for line in lines)
    assert any("two runs of the original give the same numbers" in line for line in lines)
    assert shown(verification(1.0))[-1] == "normonnx: PASS 1 model, distance to float64 1.00x"


def test_verbosity_lists_every_comparison() -> None:
    result = verification(1.0)
    few, all_ = (
        [line for line in shown(result, verbosity) if "  ok  " in line] for verbosity in (0, 1)
    )
    assert len(few) == 3
    assert len(all_) == len(result.verdict.outputs) > 9
    assert "CPU, optimisations on" in all_[-1]


def result(draw: int, noise: float, far: float, *, excess: float) -> OutputResult:
    """An output of the size 1024 whose first element is `far` ulp away from the original's."""
    truth = np.full(64, 1024.0)
    unit = float(np.spacing(np.float32(1024)))
    original = (truth + noise * unit * np.resize([1, -1], 64)).astype(np.float32)
    optimized = original.copy()
    optimized[0] += np.float32(far * unit)
    metrics = measure(original, optimized, truth)
    return OutputResult("y", draw, "CPU, optimisations off", True, "", excess, "", metrics, True)


def test_one_number_has_one_meaning_wherever_it_is_told() -> None:
    # The feed that is nearest to the limit is not the one where the models differ.
    outputs = (result(0, 3, 0, excess=0.9), result(1, 1, 5, excess=0.1))
    verdict = Verdict("pass", outputs=outputs)
    (told,) = verdict.summaries
    numbers = told.numbers
    assert numbers is not None
    # By hand: the mean squares of both feeds in ulp, one over the other.
    squares = [(m.rms_original / m.ulp) ** 2 for r in outputs if (m := r.metrics)]
    assert numbers.original == pytest.approx(np.sqrt(np.mean(squares)))
    squares = [(m.rms_optimized / m.ulp) ** 2 for r in outputs if (m := r.metrics)]
    assert numbers.optimized == pytest.approx(np.sqrt(np.mean(squares)))
    assert numbers.ratio == pytest.approx(numbers.optimized / numbers.original)
    (row,) = rows(verdict.summaries)
    cells = dict(zip(COLUMNS, row, strict=True))
    assert (cells["ulp"], cells["ratio"]) == ("5", f"{numbers.ratio:.2f}×")
    assert float(cells["max abs"]) > 0
    ratio, ulps = f"{numbers.ratio:.2f}×", "worst 5 ulp at [0]"
    assert ratio in verdict.line()
    assert ulps in verdict.line()
    verification = Verification("a.onnx", "b.onnx", verdict)
    assert (
        verification.line() == f"normonnx: PASS 1 model, distance to float64 {numbers.ratio:.2f}x"
    )
    page = str(parity(verdict, most_outputs=9))
    for cell in (cells["ratio"], cells["original"], cells["optimised"], cells["max abs"]):
        assert f">{cell}<" in page
        assert cell in render_markdown(verification)
        assert cell in " ".join(shown(verification))
    # What each feed says alone is another table, with the feed and the setting beside it.
    alone = [line for line in shown(verification, 1) if line.split()[1:2] == ["ok"]]
    assert [line.split()[-4:] for line in alone] == [
        [str(feed), "CPU,", "optimisations", "off"] for feed in (0, 1)
    ]
    assert [line.split()[7] for line in alone] == ["0", "5"]
