"""The engines as passes: in a row with others, in place, and the same as `optimize`."""

from __future__ import annotations

import logging
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest
from onnx_ir.passes import Sequential
from onnx_ir.passes.common import RemoveUnusedNodesPass, TopologicalSortPass

import normonnx
from normonnx.passes import FoldAffine, FuseNorms, Simplify
from normonnx.rules import RULES

MODEL = "conformer_batchnorm_layernorm.onnx"


def operators(model: ir.Model) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in model.graph:
        found[node.op_type] = found.get(node.op_type, 0) + 1
    return found


@pytest.fixture
def path(models_dir: Path) -> Path:
    return models_dir / MODEL


def test_in_a_row_they_are_what_optimize_does(path: Path) -> None:
    model = ir.load(path)
    engines = FuseNorms(), FoldAffine(), Simplify()
    result = Sequential(TopologicalSortPass(), *engines, RemoveUnusedNodesPass())(model)
    assert result.modified
    assert result.model is model
    expected = normonnx.optimize(path, verify=False).model
    assert operators(model) == operators(expected)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    assert normonnx.verify(path, model).passed


def test_each_alone(path: Path) -> None:
    folded, fused, shortened = (ir.load(path) for _ in range(3))
    assert FoldAffine()(folded).modified
    assert "BatchNormalization" not in operators(folded)
    assert "LayerNormalization" not in operators(folded)
    assert folded.opset_imports[""] == 14
    assert FuseNorms()(fused).modified
    assert operators(fused)["LayerNormalization"] == 7
    assert operators(fused)["BatchNormalization"] == 5
    assert (fused.opset_imports[""], fused.ir_version) == (17, 8)
    assert Simplify()(shortened).modified
    assert "Constant" not in operators(shortened)
    assert operators(shortened)["BatchNormalization"] == 5
    assert shortened.opset_imports[""] == 14
    for model in (folded, fused, shortened):
        assert normonnx.verify(path, model).passed


def test_a_second_time_there_is_nothing_to_do(path: Path) -> None:
    model = ir.load(path)
    both = Sequential(FuseNorms(), FoldAffine(), Simplify())
    both(model)
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    assert not both(model).modified
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before


def test_options(path: Path) -> None:
    model = ir.load(path)
    folds = [code for code in RULES if code.startswith("NX0")]
    assert not FoldAffine(rules_off=folds)(model).modified
    assert not FuseNorms(rules_off=["NX101"])(model).modified
    assert FuseNorms(target="normonnx")(model).modified
    assert {node.domain for node in model.graph if "Norm" in node.op_type} == {"", "normonnx"}
    assert model.opset_imports["normonnx"] == 1


def test_rewrites_are_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "normonnx.passes"):
        FuseNorms()(ir.load(path))
    assert "opset 14 → 17" in caplog.messages
    assert sum("NX101" in message for message in caplog.messages) == 7
