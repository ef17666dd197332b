"""The guilty rewrite and the first tensor that diverges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from normonnx.judge import verify
from normonnx.judge.locating.locate import bisect, first_divergence
from normonnx.runtime.sessions import Setting
from tests.judge.building import graph_model, replace_weight, respelled, run_ort


@pytest.mark.parametrize("count", [1, 2, 3, 10, 57])
def test_bisect_finds_every_culprit_in_few_tries(count: int) -> None:
    for guilty in range(count):
        tried: list[int] = []

        def fails(prefix: int, guilty: int = guilty, tried: list[int] = tried) -> bool:
            tried.append(prefix)
            return prefix > guilty

        assert bisect(count, fails) == guilty
        assert len(tried) <= count.bit_length() + 1
        assert 0 not in tried


def test_bisect_of_a_right_model_or_of_none() -> None:
    assert bisect(5, lambda prefix: False) is None
    assert bisect(0, lambda prefix: True) is None


TEXT = """(float[n, 4] x) => (float[n, 4] y) {
    a = MatMul(x, w1)
    b = Relu(a)
    c = MatMul(b, w2)
    d = Tanh(c)
    y = MatMul(d, w3)
}"""


def weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(2)
    return {n: random.standard_normal((4, 4)).astype(np.float32) for n in ("w1", "w2", "w3")}


def test_the_first_tensor_that_parts() -> None:
    model = graph_model(TEXT, **weights())
    wrong = replace_weight(model, "w2", weights()["w2"] * np.float32(1.01))
    feeds = {"x": np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)}
    setting = Setting("cpu", as_shipped=False)
    before, after = ir.from_proto(model), ir.from_proto(wrong)
    found = first_divergence(before, after, feeds, setting)
    assert found is not None
    assert (found.tensor, found.producer) == ("c", "MatMul 'MatMul_2'")
    assert found.excess > 100
    assert found.compared == 5
    assert found.isolated is not None
    assert found.isolated > 100
    assert found.nodes == found.replaced == ("MatMul 'MatMul_2'",)
    assert found.sentence().startswith("the models first differ at 'c' (MatMul 'MatMul_2'), by ")
    assert first_divergence(before, before, feeds, setting) is None


def renamed(factor: float) -> ir.Model:
    """The model with other names for its inner tensors, and a wrong second weight."""
    text = TEXT
    for name in "abcd":
        text = text.replace(f"    {name} =", f"    {name}_ =").replace(f"({name},", f"({name}_,")
        text = text.replace(f"({name})", f"({name}_)")
    model = graph_model(text, **weights())
    return ir.from_proto(replace_weight(model, "w2", weights()["w2"] * np.float32(factor)))


def test_tensors_are_matched_by_value_where_names_were_lost() -> None:
    before = ir.from_proto(graph_model(TEXT, **weights()))
    feeds = {"x": np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)}
    setting = Setting("cpu", as_shipped=False)
    found = first_divergence(before, renamed(1.01), feeds, setting)
    assert found is not None
    assert found.tensor == "y"
    # The first MatMul and the Relu are right, whatever they are called.
    assert [node.split()[0] for node in found.nodes] == ["MatMul", "Tanh", "MatMul"]
    assert first_divergence(before, renamed(1.0), feeds, setting) is None


def test_noise_from_upstream_blames_nobody() -> None:
    """The product is ill-conditioned: after a small fault it is far off, and yet innocent."""
    text = """(float[n, 4] x) => (float[n, 4] y) {
        a = MatMul(x, w1)
        b = Sub(a, c)
        y = MatMul(b, w3)
    }"""
    given = {**weights(), "c": np.full(4, 0.5, np.float32)}
    del given["w2"]
    model = graph_model(text, **given)
    wrong = replace_weight(model, "w1", given["w1"] * np.float32(1.0001))
    feeds = {"x": np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)}
    setting = Setting("cpu", as_shipped=False)
    before, after = ir.from_proto(model), ir.from_proto(wrong)
    found = first_divergence(before, after, feeds, setting)
    assert found is not None
    assert found.tensor == "a"


def replayed(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """What the model in a folder of ONNX's test layout makes of its data, and what it should."""
    model = onnx.load(folder / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    data = folder / "test_data_set_0"
    tensors = {
        kind: [
            onnx.load_tensor(data / f"{kind}_{i}.pb")
            for i in range(len(list(data.glob(f"{kind}_*.pb"))))
        ]
        for kind in ("input", "output")
    }
    names = [value.name for value in model.graph.input]
    assert [t.name for t in tensors["input"]] == names
    feeds = {t.name: onnx.numpy_helper.to_array(t) for t in tensors["input"]}
    (output,) = tensors["output"]
    return run_ort(model, feeds)[0], onnx.numpy_helper.to_array(output)


def test_the_smallest_failing_window_is_written(tmp_path: Path) -> None:
    before, after = ir.from_proto(graph_model(TEXT, **weights())), renamed(1.01)
    verdict = verify(before, after, repro=tmp_path / "repro")
    assert verdict.status == "fail"
    assert f"to replay the failure: {tmp_path / 'repro'}" in verdict.notes
    assert verdict.divergence is not None
    assert verdict.to_dict()["divergence"]["tensor"] == "y"
    model = onnx.load(tmp_path / "repro" / "model.onnx")
    assert [node.op_type for node in model.graph.node] == ["MatMul", "Tanh", "MatMul"]
    made, expected = replayed(tmp_path / "repro")
    assert np.abs(made - expected).max() > 1e-3
    made, expected = replayed(tmp_path / "repro" / "original")
    np.testing.assert_allclose(made, expected, rtol=1e-6)


def test_models_that_cannot_be_cut_are_written_whole(tmp_path: Path) -> None:
    before = ir.from_proto(graph_model("(float[n] x) => (float[n] y) { y = Exp(x) }"))
    text = "(float[n] x) => (float[m] y) { y = Concat <axis = 0> (x, x) }"
    verdict = verify(before, ir.from_proto(graph_model(text)), repro=tmp_path)
    assert verdict.status == "fail"
    made, expected = replayed(tmp_path)
    assert made.shape != expected.shape


def test_a_pass_writes_nothing(tmp_path: Path) -> None:
    model = ir.from_proto(graph_model(TEXT, **weights()))
    other = ir.from_proto(respelled(graph_model(TEXT, **weights())))
    verdict = verify(model, other, repro=tmp_path / "repro")
    assert verdict.passed
    assert verdict.divergence is None
    assert not (tmp_path / "repro").exists()
