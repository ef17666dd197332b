"""The numbers of a verdict as people see them."""

from __future__ import annotations

import io

import numpy as np
import onnx_ir as ir

from normonnx.judge import VerifyOptions, verify
from normonnx.report import Verification
from normonnx.report.parity_table import COLUMNS, rows, ulp_histogram, worst_element, worst_of_each
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
    chosen = worst_of_each(verdict)
    cells = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in rows(verdict, chosen)}
    assert list(cells) == ["y", "z", "k"]
    assert [row[""] for row in cells.values()] == ["FAIL", "ok", "ok"]
    assert cells["z"]["max abs"] == "0"
    # Equal to the original: as far from the truth as that one, which counts as what its types
    # promise where another output broke the rule.
    assert float(cells["z"]["ratio"].removesuffix("×")) <= 1
    assert float(cells["y"]["SQNR dB"]) < 10
    assert cells["k"]["max abs"] == "equal"
    worst = worst_element(chosen[0])
    metrics = chosen[0].metrics
    assert metrics is not None
    assert metrics.worst is not None
    assert worst.startswith(f"{list(metrics.worst.index)} was {metrics.worst.original:.8g}, is ")
    assert ulp_histogram(metrics).endswith("%")
    assert "> 4096 ulp" in ulp_histogram(metrics)


def test_the_terminal_shows_metrics_where_and_the_stable_line_last() -> None:
    lines = shown(verification(1.5))
    assert lines[-1].startswith("normonnx: FAIL 1 model")
    assert any(line.strip().startswith("first parts at 'y' (Mul 'Mul_0')") for line in lines)
    assert any("y: worst at [" in line for line in lines)
    assert any("from run to run the original differs by nothing" in line for line in lines)
    assert shown(verification(1.0))[-1] == "normonnx: PASS 1 model, 1.00x"


def test_verbosity_lists_every_comparison() -> None:
    result = verification(1.0)
    few, all_ = (
        [line for line in shown(result, verbosity) if line.split()[1:2] == ["ok"]]
        for verbosity in (0, 1)
    )
    assert len(few) == 3
    assert len(all_) == len(result.verdict.outputs) > 9
    assert "CPU, as shipped" in all_[-1]
