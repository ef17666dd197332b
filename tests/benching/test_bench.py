"""A benchmark of real sessions: a twelfth of the work takes less time, and all of it is told."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper, parser

import normonnx
from normonnx.benching.options import BenchOptions, Setting
from normonnx.benching.profiling import difference
from normonnx.cli import main
from normonnx.errors import UnreadableModelError, UsageError
from normonnx.report import render_json
from normonnx.report.bench_table import bar, show_bench
from normonnx.report.layout import duration
from normonnx.report.terminal import console_for


def chain(length: int, width: int = 192) -> ModelProto:
    """So many MatMuls, with a Sigmoid behind each that keeps them apart."""
    lines, value = [], "x"
    for index in range(length):
        last = index == length - 1
        lines += [
            f"m{index} = MatMul({value}, w)",
            f"{'y' if last else f's{index}'} = Sigmoid(m{index})",
        ]
        value = f"s{index}"
    proto = parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]>\n'
        f"agraph (float[batch,{width}] x) => (float[batch,{width}] y) {{\n" + "\n".join(lines) + "}"
    )
    weight = np.random.default_rng(0).normal(size=(width, width)).astype(np.float32) / width
    proto.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    proto.graph.name = f"chain{length}"
    return proto


@pytest.fixture(scope="module")
def report() -> normonnx.BenchReport:
    return normonnx.bench(
        chain(24), chain(24), chain(2), seconds=0.5, sizes={"batch": 64}, profile=True,
        threads=(1,),
    )  # fmt: skip


def test_less_work_takes_less_time_than_the_same_work(report: normonnx.BenchReport) -> None:
    (comparison,) = report.comparisons
    same, less = comparison.ratios
    assert less.estimate < same.estimate
    assert report.line() == f"normonnx: {less.word.upper()} {less}"
    assert report.shapes == {"x": (64, 192)}
    first = comparison.models[0]
    assert len(first.samples) >= 11
    assert first.seconds.low <= first.seconds.median <= first.seconds.high
    assert first.throughput == pytest.approx(1 / first.seconds.median)


def test_start_and_memory_are_those_of_a_process_of_its_own(report: normonnx.BenchReport) -> None:
    for model in report.comparisons[0].models:
        assert model.session is not None
        assert 0 < model.session < 60
        assert model.first_run is not None
        assert 0 < model.first_run < 60
        assert model.peak_bytes is not None
        assert 0 < model.peak_bytes < 1 << 30


def test_profile_says_where_the_time_went(report: normonnx.BenchReport) -> None:
    _, profile = report.comparisons[0].profiles
    by_operator = {time.operator: time for time in profile}
    product = next(time for name, time in by_operator.items() if "MatMul" in name)
    assert (product.before[1], product.after[1]) == (24, 2)
    assert product.change < 0
    assert profile == tuple(sorted(profile, key=lambda time: -abs(time.change)))


def test_memory_sees_large_weights() -> None:
    found = normonnx.bench(chain(2, width=2048), seconds=0.05, sizes={"batch": 1})
    (model,) = found.comparisons[0].models
    assert model.peak_bytes is not None
    assert model.peak_bytes > 2048 * 2048 * 4


@pytest.mark.parametrize(
    "text",
    [
        "(string[2] x) => (string[2] y) { y = Identity(x) }",
        "(seq(float[2]) x) => (int64 y) { y = SequenceLength(x) }",
        "(bfloat16[2] x) => (bfloat16[2] y) { y = Identity(x) }",
    ],
)
def test_inputs_that_are_no_plain_numbers(text: str) -> None:
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>\ng {text}')
    found = normonnx.bench(model, model, seconds=0.05, threads=(1,), profile=True)
    names = ("x[0]", "x[1]", "x[2]") if "seq" in text else ("x",)
    assert found.shapes == dict.fromkeys(names, (2,))
    assert found.line().startswith("normonnx: ")


def test_settings_are_all_combinations() -> None:
    options = BenchOptions(levels=("off", "all"), threads=(1, 2))
    assert [setting.label for setting in options.settings()] == [
        "cpu · level off · 1 thread",
        "cpu · level off · 2 threads",
        "cpu · level all · 1 thread",
        "cpu · level all · 2 threads",
    ]
    assert Setting().label == "cpu · level all · default threads"


WRONG = {
    "provider": {"providers": ("tpu",)},
    "level": {"levels": ("most",)},
    "threads": {"threads": (-1,)},
    "seconds": {"seconds": 0.0},
    "size": {"sizes": {"batch": 0}},
}


@pytest.mark.parametrize("case", WRONG)
def test_options_that_make_no_sense(case: str) -> None:
    with pytest.raises(UsageError):
        BenchOptions(**WRONG[case])  # type: ignore[arg-type]


def test_unknown_dimension_and_a_model_that_does_not_run() -> None:
    with pytest.raises(UsageError, match="no such open dimension: bach"):
        normonnx.bench(chain(1), seconds=0.05, sizes={"bach": 3})
    other = chain(1, width=8)
    other.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 7
    with pytest.raises(UnreadableModelError, match="does not run the model"):
        normonnx.bench(chain(1), other, seconds=0.05, sizes={"batch": 2})


def test_profiles_are_joined_by_operator() -> None:
    joined = difference({"Conv": (2.0, 3), "Mul": (1.0, 1)}, {"Conv": (1.5, 3), "Add": (0.1, 1)})
    assert [(time.operator, time.change) for time in joined] == [
        ("Mul", -1.0), ("Conv", -0.5), ("Add", 0.1),
    ]  # fmt: skip


def test_table_and_json(report: normonnx.BenchReport) -> None:
    stream = io.StringIO()
    show_bench(report, console_for(stream))
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("cpu · level all · 1 thread  x 64×192  ")
    assert lines[1].split() == ["model", "median", "quartiles", "runs/s", "against", "the", "first"]
    assert "█" in lines[2]
    assert lines[4].endswith(report.comparisons[0].ratios[1].word)
    assert any(line.split()[:3] == ["operator", "before", "after"] for line in lines)
    data = json.loads(render_json(report))
    assert data["schema"] == "normonnx.bench/1"
    ratio = report.comparisons[0].ratios[1]
    assert data["comparisons"][0]["ratios"][1]["high"] == ratio.high


def test_bars_and_durations() -> None:
    assert bar(1.0) == "█" * 24
    assert bar(0.0) == "▏"
    assert [duration(s) for s in (2.5, 0.99996, 1.234e-3, 9.99e-4, 4.56e-7, 123e-3)] == [
        "2.5 s", "1 s", "1.23 ms", "999 µs", "456 ns", "123 ms",
    ]  # fmt: skip


def test_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["normonnx", "bench", "chain6.onnx"])
    for length in (6, 1):
        onnx.save(chain(length), tmp_path / f"chain{length}.onnx")
    with pytest.raises(SystemExit) as ended:
        main([
            "bench", str(tmp_path / "chain6.onnx"), str(tmp_path / "chain1.onnx"),
            "--seconds", "0.1", "--size", "batch=32", "--threads", "1",
            "--report", f"json={tmp_path / 'bench.json'}",
        ])  # fmt: skip
    assert ended.value.code == 0
    out = capsys.readouterr().out.splitlines()
    assert out[2].split()[0] == "chain6.onnx"
    assert re.match(r"normonnx: [A-Z]+ ", out[-1])
    data = json.loads((tmp_path / "bench.json").read_text())
    assert data["line"] == out[-1]
    assert data["command"]
    for wrong in (["--size", "batch"], ["--level", "most"], ["--seconds", "0"]):
        with pytest.raises(SystemExit) as ended:
            main(["bench", str(tmp_path / "chain6.onnx"), *wrong])
        assert ended.value.code == 2
