"""Models that are not run: what is said of them, on which provider, and on what it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

import normonnx
from normonnx.judge import Verdict, VerifyOptions, verify
from tests.judge.building import graph_model, respelled

Run = Callable[..., tuple[int, str, str]]

_AVAILABLE = onnxruntime.get_available_providers()

NEG = "(float[N, 3] x) => (float[N, 3] y) { y = Neg(x) }"
FOREIGN = "(float[N, 3] x) => (float[N, 3] y) { y = my.domain.Foo(x) }"
# It loads, and runs on nothing: there is no third row.
NOWHERE = """(float[N, 3] x) => (float[N, 3] y) {
    index = Constant <value = int64[1] {7}> ()
    row = Constant <value = float[1, 3] {1, 2, 3}> ()
    z = Gather <axis = 0> (row, index)
    y = Add(x, z)
}"""


def foreign(text: str) -> onnx.ModelProto:
    model = graph_model(text)
    model.opset_import.append(onnx.helper.make_opsetid("my.domain", 1))
    return model


def judged(before: onnx.ModelProto, after: onnx.ModelProto, **options: Any) -> Verdict:
    return verify(ir.from_proto(before), ir.from_proto(after), options=VerifyOptions(**options))


def test_a_model_that_does_not_load_here_is_proved_and_not_run() -> None:
    verdict = judged(foreign(FOREIGN), respelled(foreign(FOREIGN)))
    assert (verdict.status, verdict.grade, verdict.providers) == ("inconclusive", "proof", ())
    assert verdict.line().startswith(
        "parity INCONCLUSIVE  grade proof · nothing was run: the original does not load in ONNX "
        "Runtime: "
    )
    assert "CPU" not in verdict.line()
    assert verdict.to_dict()["grade"] == "proof"


def folded_then_foreign(path: Path) -> Path:
    """Conv · BatchNormalization · an operator that nobody here knows."""
    rng = np.random.default_rng(0)
    model = graph_model(
        """(float[N, 3, 8, 8] x) => (float[N, 4, 6, 6] y) {
            c = Conv(x, w)
            n = BatchNormalization(c, s, b, m, v)
            y = my.domain.Foo(n)
        }""",
        w=rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
        **{n: rng.uniform(0.5, 1.5, 4).astype(np.float32) for n in "sbmv"},
    )
    model.opset_import.append(onnx.helper.make_opsetid("my.domain", 1))
    onnx.save(model, path)
    return path


def test_optimize_says_how_it_is_written_all_the_same(run: Run, tmp_path: Path) -> None:
    model, result = folded_then_foreign(tmp_path / "m.onnx"), tmp_path / "o.onnx"
    code, out, _ = run("optimize", model, "-o", result)
    assert code == 4
    assert not result.exists()
    told = "grade proof · 1 rewrite proved one by one, nothing was run: the original does not load"
    assert told in out
    assert "; --no-verify writes it" in out
    assert run("optimize", model, "-o", result, "--no-verify")[0] == 0
    operators = [node.op_type for node in onnx.load(result).graph.node]
    assert operators == ["Conv", "Foo"]
    again = normonnx.optimize(model)
    assert again.report.verdict is not None
    assert again.report.verdict.grade == "proof"


def test_a_result_that_loads_nowhere_is_wrong_though_the_original_runs_on_nothing() -> None:
    same = judged(graph_model(NOWHERE), respelled(graph_model(NOWHERE)))
    assert (same.status, same.grade) == ("inconclusive", "proof")
    verdict = judged(graph_model(NOWHERE), foreign(FOREIGN))
    assert verdict.status == "fail"
    assert "the optimised model does not load (CPU, optimisations off)" in verdict.first_failure


def test_a_result_that_does_not_run_is_wrong_though_the_original_misses_a_feed() -> None:
    head = "(float[N, 3] x, int64[1] i) => (float[1, 3] y)"
    before = graph_model(f"{head} {{ y = Gather <axis = 0> (x, i) }}")
    after = graph_model(
        f"""{head} {{
            one = Constant <value = int64[1] {{3}}> ()
            j = Add(i, one)
            y = Gather <axis = 0> (x, j)
        }}"""
    )

    def feeds() -> Iterator[dict[str, Any]]:
        for index in (1, 9):
            yield {"x": np.eye(3, dtype=np.float32), "i": np.array([index], np.int64)}

    same = judged(before, respelled(before), data=feeds)
    assert same.status == "inconclusive"
    assert "does not run on feed 1" in same.first_failure
    verdict = judged(before, after, data=feeds)
    assert verdict.status == "fail"
    assert "the optimised model does not run on feed 0" in verdict.first_failure


def has_gpu() -> bool:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    content = graph_model(NEG).SerializeToString()
    given = [p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in _AVAILABLE]
    session = onnxruntime.InferenceSession(content, options, providers=given)
    return "CUDAExecutionProvider" in session.get_providers()


def test_the_provider_that_really_ran_is_named() -> None:
    if has_gpu():
        pytest.skip("nothing falls back where there is a GPU")
    model = graph_model(NEG)
    for asked in (("cuda",), ("cpu", "cuda")):
        verdict = judged(model, respelled(model), providers=asked, allow_cpu_fallback=True)
        assert verdict.passed
        assert verdict.line().endswith(" · CPU (CUDA asked for)")
        assert verdict.providers == ("cpu",)
        assert verdict.asked_providers == asked
        settings = [r.setting for r in verdict.outputs if r.draw == 0]
        assert settings == ["CPU, optimisations off", "CPU, optimisations on"]
