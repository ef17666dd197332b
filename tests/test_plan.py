"""A plan makes its rewrites again on another checkpoint, exactly those, and says what is amiss."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

import normonnx
from normonnx.errors import UsageError, WriteError
from normonnx.plan import Plan
from normonnx.rules import RULES

MODEL = "conformer_batchnorm_layernorm.onnx"


def retrained(path: Path, seed: int = 1) -> ModelProto:
    """The same architecture with other weights."""
    proto = onnx.load(path)
    random = np.random.default_rng(seed)
    for tensor in proto.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            other = array * random.uniform(0.8, 1.2, array.shape).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(other, tensor.name))
    return proto


@pytest.fixture
def path(models_dir: Path) -> Path:
    return models_dir / MODEL


@pytest.fixture
def plan(path: Path) -> Plan:
    return normonnx.optimize(path, verify=False).plan


def test_a_plan_survives_its_file(plan: Plan, tmp_path: Path) -> None:
    assert len(plan.rewrites) == 14
    assert plan.model == MODEL
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan
    lines = (tmp_path / "plan.json").read_text().splitlines()
    assert sum('"key"' in line for line in lines) == 14, "a line per rewrite, to be taken out"


def test_it_makes_the_same_rewrites_on_a_new_checkpoint(plan: Plan, path: Path) -> None:
    new = retrained(path)
    result = normonnx.optimize(new, plan=plan)
    assert result.report.status == "pass"
    assert result.plan.keys == plan.keys
    assert [r.summary for r in result.report.rewrites] == [p.summary for p in plan.rewrites]
    assert result.report.unfit == ()


def test_what_depends_on_the_numbers_is_not_missed(plan: Plan, path: Path) -> None:
    by_content = [p for p in plan.rewrites if RULES[p.rule].by_content]
    assert [p.summary for p in by_content] == ["initializers with the same content → one"]
    gone = msgspec.structs.replace(by_content[0], key="NX204:gone")
    longer = msgspec.structs.replace(plan, rewrites=(*plan.rewrites, gone))
    assert normonnx.optimize(path, plan=longer, verify=False).report.unfit == ()


def test_it_makes_no_other(plan: Plan, path: Path) -> None:
    kept = tuple(p for p in plan.rewrites if p.rule == "NX001")[:2]
    result = normonnx.optimize(path, plan=msgspec.structs.replace(plan, rewrites=kept))
    assert result.report.status == "pass"
    assert [r.key for r in result.report.rewrites] == [p.key for p in kept]
    assert result.report.near_misses == (), "what was not asked for is no near miss"
    assert result.report.after is not None
    assert result.report.after.operators["BatchNormalization"] == 3


def misfit(path: Path) -> ModelProto:
    """A model of which one layer is read twice, and another is gone."""
    proto = onnx.load(path)
    conv = next(n for n in proto.graph.node if n.name == "/subsample/conv/Conv")
    proto.graph.output.append(onnx.ValueInfoProto(name=conv.output[0]))
    return proto


def test_what_no_longer_fits_is_named_and_nothing_is_written(
    plan: Plan, path: Path, tmp_path: Path
) -> None:
    gone = msgspec.structs.replace(plan.rewrites[0], key="affine:gone", site="gone")
    longer = msgspec.structs.replace(plan, rewrites=(*plan.rewrites, gone))
    result = normonnx.optimize(misfit(path), plan=longer)
    assert result.report.status == "unfit"
    assert result.report.exit_code == 1
    reasons = {miss.site: miss.reason for miss in result.report.unfit}
    assert set(reasons) == {"/subsample/norm/BatchNormalization", "gone"}
    assert "is an output of the graph" in reasons["/subsample/norm/BatchNormalization"]
    assert reasons["gone"] == "the model has no such site"
    with pytest.raises(WriteError, match="unfit"):
        result.save(tmp_path / "m.onnx")
    partial = normonnx.optimize(misfit(path), plan=longer, partial=True)
    assert partial.report.status == "pass"
    assert len(partial.report.rewrites) == 13
    assert len(partial.report.unfit) == 2


def test_options_travel_in_the_plan(path: Path) -> None:
    made = normonnx.optimize(path, verify=False, opset=17, rules_off=("NX001",))
    assert made.plan.opset == 17
    again = normonnx.optimize(path, verify=False, plan=made.plan)
    assert again.plan == made.plan


BROKEN = {
    "not json": ("{", "is not a plan"),
    "another file": ("[]", "schema"),
    "no rewrites": ('{"schema": "normonnx.plan/1"}', "no list of rewrites"),
    "unknown entry": ('{"schema": "normonnx.plan/1", "rewrites": [], "x": 1}', "'x'"),
    "wrong type": ('{"schema": "normonnx.plan/1", "rewrites": [], "opset": "17"}', "'opset'"),
    "half a rewrite": ('{"schema": "normonnx.plan/1", "rewrites": [{"key": "a"}]}', "rule"),
    "no text": (
        '{"schema": "normonnx.plan/1", "rewrites": '
        '[{"key": 1, "rule": "", "site": "", "summary": ""}]}',
        "text",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_plans(case: str, tmp_path: Path) -> None:
    text, sentence = BROKEN[case]
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(UsageError, match=sentence):
        Plan.load(tmp_path / "plan.json")
    with pytest.raises(UsageError, match="cannot read"):
        Plan.load(tmp_path / "none.json")


def test_command_line(told: Callable[..., tuple[int, str]], path: Path, tmp_path: Path) -> None:
    first = tmp_path / "first.onnx"
    shutil.copy(path, first)
    code, _ = told("optimize", first, "--dry-run", "--plan", tmp_path / "plan.json", "-q")
    assert code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["first.onnx", "plan.json"]
    onnx.save(retrained(path), tmp_path / "second.onnx")
    code, out = told("apply", tmp_path / "plan.json", tmp_path / "second.onnx")
    assert code == 0
    assert "\nnormonnx: PASS 1 model, 14 rewrites, " in out
    assert (tmp_path / "second.optimized.onnx").exists()
    onnx.save(misfit(path), tmp_path / "third.onnx")
    code, out = told("apply", tmp_path / "plan.json", tmp_path / "third.onnx")
    assert code == 1
    assert "no longer fits  NX001 '/subsample/norm/BatchNormalization': " in out
    assert not (tmp_path / "third.optimized.onnx").exists()
    report = tmp_path / "r.json"
    code, out = told(
        "apply", tmp_path / "plan.json", tmp_path / "third.onnx", "--partial", "-q",
        "--report", f"json={report}",
    )  # fmt: skip
    assert code == 0
    assert json.loads(report.read_text())["models"][0]["unfit"][0]["rule"] == "NX001"
    assert (tmp_path / "third.optimized.onnx").exists()
    code, out = told("optimize", first, path, "--output-dir", tmp_path / "o", "--plan", "x.json")
    assert (code, "for one model" in out) == (2, True)
