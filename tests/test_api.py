"""The story end to end: what optimize, verify and inspect give for real models and real faults."""

from __future__ import annotations

import tomllib
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

import normonnx
from normonnx import api, pipeline
from normonnx.errors import UsageError, WriteError
from normonnx.judge import Judge, Verdict
from normonnx.options import Options
from normonnx.pipeline import Outcome

BATCHNORM = "conv1d_batchnorm.onnx"
LAYERNORM = "tutorial_dense_layernorm.onnx"


def outputs(model: onnx.ModelProto | bytes | Path) -> list[Any]:
    content = model.read_bytes() if isinstance(model, Path) else model
    if isinstance(content, onnx.ModelProto):
        content = content.SerializeToString()
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(3)
    feeds = {
        value.name: random.normal(size=[d if isinstance(d, int) else 2 for d in value.shape])
        for value in session.get_inputs()
    }
    return session.run(None, {name: feed.astype(np.float32) for name, feed in feeds.items()})


def test_every_source_gives_the_same_model(models_dir: Path) -> None:
    path = models_dir / BATCHNORM
    proto = onnx.load(path)
    given = ir.from_proto(onnx.load(path))
    before = proto.SerializeToString(deterministic=True)
    model_before = ir.to_proto(given).SerializeToString(deterministic=True)
    sources = (path, str(path), path.read_bytes(), proto, given, types.SimpleNamespace(model=given))
    results = [normonnx.optimize(source, verify=False) for source in sources]
    made = {ir.to_proto(r.model).SerializeToString(deterministic=True) for r in results}
    assert len(made) == 1
    assert proto.SerializeToString(deterministic=True) == before
    assert ir.to_proto(given).SerializeToString(deterministic=True) == model_before


@pytest.mark.parametrize("name", [BATCHNORM, LAYERNORM])
def test_optimize_passes_and_saves(models_dir: Path, tmp_path: Path, name: str) -> None:
    told: list[str] = []
    result = normonnx.optimize(models_dir / name, progress=lambda what, *_: told.append(what))
    assert result.passed
    assert result.report.status == "pass"
    assert result.report.verdict is not None
    assert result.report.rewrites
    assert not result.report.reverted
    assert result.report.before is not None
    assert result.report.after is not None
    assert result.report.after.nodes < result.report.before.nodes
    assert told[:3] == ["load", "rewrite", "verify"]
    saved = result.save(tmp_path / "new.onnx")
    assert saved.path.read_bytes() == result.to_bytes()
    for old, new in zip(outputs(models_dir / name), outputs(saved.path), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-5)


def test_interface_and_metadata_stay(models_dir: Path) -> None:
    proto = onnx.load(models_dir / LAYERNORM)
    proto.doc_string = "what it is for"
    proto.producer_name, proto.model_version, proto.domain = "me", 3, "org.example"
    onnx.helper.set_model_props(proto, {"licence": "mine"})
    proto.graph.input[0].doc_string = "features"
    new = ir.to_proto(normonnx.optimize(proto, verify=False).model)
    assert new.graph.input == proto.graph.input
    assert new.graph.output == proto.graph.output
    for name in ("doc_string", "producer_name", "model_version", "domain", "metadata_props"):
        assert getattr(new, name) == getattr(proto, name)


def test_nothing_to_do_gives_the_same_bytes(models_dir: Path, tmp_path: Path) -> None:
    once = normonnx.optimize(models_dir / BATCHNORM).save(tmp_path / "once.onnx")
    again = normonnx.optimize(once.path)
    assert again.passed
    assert not again.report.rewrites
    assert again.to_bytes() == once.path.read_bytes()
    assert again.save(tmp_path / "twice.onnx").path.read_bytes() == once.path.read_bytes()


def test_cap_on_the_opset_is_kept(models_dir: Path) -> None:
    """Below opset 17 a LayerNorm becomes a function that the model carries with it."""
    result = normonnx.optimize(models_dir / LAYERNORM, opset=16)
    assert result.model.opset_imports[""] <= 16
    assert result.report.after is not None
    assert "LayerNormalization" not in result.report.after.operators
    assert result.report.after.operators["normonnx::FusedLayerNormalization"] == 2
    assert [key[:2] for key in result.model.functions] == [("normonnx", "FusedLayerNormalization")]
    assert result.passed


def sabotage(
    monkeypatch: pytest.MonkeyPatch, guilty: Callable[[Outcome], list[str]]
) -> list[dict[str, Any]]:
    """Make the pipeline spoil the model whenever a guilty rewrite is among those it made."""
    real = pipeline.run
    calls: list[dict[str, Any]] = []

    def run(model: ir.Model, options: Options, **limits: Any) -> Outcome:
        calls.append(limits)
        whole = real(model, options)
        outcome = real(model, options, **limits)
        made = {rewrite.key for rewrite in outcome.journal.rewrites}
        for key in guilty(whole):
            if key in made:
                _spoil(outcome)
        return outcome

    monkeypatch.setattr(pipeline, "run", run)
    return calls


def _spoil(outcome: Outcome) -> None:
    """Make a weight of the model one hundredth larger."""
    value = next(v for v in outcome.model.graph.initializers.values() if v.shape)
    assert value.const_value is not None
    array = value.const_value.numpy() * np.float32(1.01)
    value.const_value = ir.Tensor(array, name=value.name)
    outcome.exact.pop(str(value.name), None)


@pytest.mark.parametrize("positions", [[0], [2], [-1], [1, 3]])
def test_guilty_rewrites_are_taken_back_and_the_rest_kept(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch, positions: list[int]
) -> None:
    plain = normonnx.optimize(models_dir / BATCHNORM, verify=False).report.rewrites
    guilty = [plain[position].key for position in positions]
    sabotage(monkeypatch, lambda _: guilty)
    result = normonnx.optimize(models_dir / BATCHNORM)
    assert result.passed
    assert sorted(item.rewrite.key for item in result.report.reverted) == sorted(guilty)
    assert all(item.reason for item in result.report.reverted)
    assert len(result.report.rewrites) == len(plain) - len(guilty)
    assert not {miss.key for miss in result.report.near_misses} & set(guilty)


def test_fault_that_no_rewrite_is_guilty_of_fails(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = pipeline.run

    def run(model: ir.Model, options: Options, **limits: Any) -> Outcome:
        outcome = real(model, options, **limits)
        _spoil(outcome)
        return outcome

    monkeypatch.setattr(pipeline, "run", run)
    result = normonnx.optimize(models_dir / BATCHNORM)
    assert result.report.status == "fail"
    assert not result.passed
    assert not result.report.reverted
    with pytest.raises(WriteError, match="verdict on the model is 'fail'"):
        result.save(tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()
    assert result.save(tmp_path / "m.onnx", unverified=True).path.exists()


def test_search_for_the_guilty_is_bounded(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_MOST_REVERTED", 2)
    calls = sabotage(monkeypatch, lambda outcome: [r.key for r in outcome.journal.rewrites])
    result = normonnx.optimize(models_dir / BATCHNORM)
    assert result.report.status == "fail"
    assert len(result.report.reverted) == 2
    assert len(calls) < 20


def test_inconclusive_is_not_saved(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unsure = Verdict("inconclusive", first_failure="all outputs are NaN")
    monkeypatch.setattr(Judge, "judge", lambda *_, **__: unsure)
    result = normonnx.optimize(models_dir / BATCHNORM)
    assert result.report.exit_code == 4
    with pytest.raises(WriteError, match="'inconclusive'"):
        result.to_bytes()
    with pytest.raises(WriteError):
        result.save(tmp_path / "m.onnx")


def test_verify(models_dir: Path) -> None:
    original = onnx.load(models_dir / BATCHNORM)
    good = normonnx.optimize(original, verify=False).model
    verdict = normonnx.verify(original, good)
    assert verdict.passed
    assert verdict.line().startswith("parity PASS")
    wrong = onnx.load(models_dir / BATCHNORM)
    first = onnx.numpy_helper.to_array(wrong.graph.initializer[0]).copy()
    first.flat[0] += 1
    wrong.graph.initializer[0].raw_data = first.tobytes()
    assert normonnx.verify(original, wrong).status == "fail"
    assert normonnx.verify(original, wrong, rtol=1e3, atol=1e3).passed


def test_inspect(models_dir: Path) -> None:
    found = normonnx.inspect(models_dir / "conformer_batchnorm_layernorm.onnx")
    kinds = {(site.kind, site.rewritten) for site in found.sites}
    assert kinds == {("BatchNorm", True), ("LayerNorm", True)}
    assert found.facts.operators["BatchNormalization"] > 0
    fused = normonnx.optimize(models_dir / LAYERNORM, verify=False).model
    assert [site.verdict for site in normonnx.inspect(fused).sites] == ["fused", "fused"]
    assert found.to_dict()["schema"] == "normonnx.report/1"


@pytest.mark.parametrize(
    ("options", "operator"),
    [
        ({"target": "ort"}, "LayerNormalization"),
        ({"target": "normonnx"}, "normonnx::FusedLayerNormalization"),
        ({"opset": 13}, "normonnx::FusedLayerNormalization"),
    ],
)
def test_targets_and_caps(models_dir: Path, options: dict[str, Any], operator: str) -> None:
    optimized = normonnx.optimize(models_dir / LAYERNORM, **options)
    assert optimized.passed
    assert optimized.report.after is not None
    assert optimized.report.after.operators[operator] == 2


@pytest.mark.parametrize(
    "options",
    [
        {"target": "tensorrt"},
        {"opset": 0},
        {"providers": ("tpu",)},
        {"seed": -1},
        {"rules_off": ["NX999"]},
        {"rules_on": ["NX006"], "rules_off": ["NX006"]},
    ],
)
def test_options_that_make_no_sense(models_dir: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        normonnx.optimize(models_dir / BATCHNORM, **options)


def test_rules_can_be_switched_off(models_dir: Path) -> None:
    path = models_dir / "conformer_batchnorm_layernorm.onnx"
    everything = {r.rule for r in normonnx.optimize(path, verify=False).report.rewrites}
    assert {"NX001", "NX101"} <= everything
    rest = normonnx.optimize(path, verify=False, rules_off=["NX101"]).report
    assert "NX101" not in {r.rule for r in rest.rewrites}
    assert {r.rule for r in rest.rewrites} >= everything - {"NX101"}


def test_public_names() -> None:
    for name in normonnx.__all__:
        assert getattr(normonnx, name) is not None
    assert set(normonnx.__all__) <= set(dir(normonnx))
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        normonnx.missing  # noqa: B018


def test_version_is_the_package_s(models_dir: Path) -> None:
    """It stands in one file, which the build reads."""
    settings = tomllib.loads((models_dir.parent / "pyproject.toml").read_text())
    assert settings["project"]["dynamic"] == ["version"]
    source = settings["tool"]["scikit-build"]["metadata"]["version"]["input"]
    text = (models_dir.parent / source).read_text()
    assert f'__version__ = "{normonnx.__version__}"' in text


def test_results_are_frozen(models_dir: Path) -> None:
    result = normonnx.optimize(models_dir / BATCHNORM, verify=False)
    with pytest.raises(AttributeError, match="immutable"):
        result.report.name = "x"  # type: ignore[misc]
