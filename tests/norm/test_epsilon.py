"""A rescaled epsilon is no float32 number, and the judge has to know the one that was meant."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import normonnx
from normonnx import pipeline
from normonnx.judge import Judge
from normonnx.options import Options

from .text import layer, model

UNBIASED = (
    "m = ReduceMean <axes=[-1]> (x) d = Sub (x, m) q = ReduceSumSquare <axes=[-1]> (d)"
    " v = Div (q, others) e = Add (v, tenth) r = Sqrt (e) y = Div (d, r)"
)


def unbiased(opset: int) -> onnx.ModelProto:
    """√(Σd²/(N − 1) + 0.1) = √(N/(N − 1))·√(E[d²] + 0.1·(N − 1)/N)."""
    weights = {"others": np.float32(7), "tenth": np.float32(0.1)}
    return model(layer(UNBIASED), weights, opset=opset)


@pytest.mark.parametrize(
    ("opset", "cap", "written"),
    [
        (17, None, "LayerNormalization"),
        (14, None, "LayerNormalization"),
        (14, 14, "FusedLayerNormalization"),
        (16, 16, "FusedLayerNormalization"),
    ],
)
def test_the_judge_agrees(opset: int, cap: int | None, written: str) -> None:
    result = normonnx.optimize(unbiased(opset), opset=cap)
    assert [node.op_type for node in result.model.graph] == [written]
    assert result.report.status == "pass"
    assert not result.report.reverted


def test_it_would_not_without_the_exact_one() -> None:
    original = ir.from_proto(unbiased(17))
    outcome = pipeline.run(original, Options())
    [(node, exact)] = outcome.exact_attributes.items()
    assert exact["epsilon"] != float(np.float32(exact["epsilon"]))
    judge = Judge(original)
    known = judge.judge(
        outcome.model, exact=outcome.exact, exact_attributes=outcome.exact_attributes
    )
    assert known.status == "pass"
    # And an epsilon that is not what the node holds, rounded, is none of its.
    wrong = {node: {"epsilon": exact["epsilon"] * (1 + 1e-6)}}
    verdict = judge.judge(outcome.model, exact=outcome.exact, exact_attributes=wrong)
    assert verdict.status == "fail"
    assert "epsilon" in verdict.first_failure


def test_a_scale_that_goes_elsewhere_leaves_epsilon_as_it_was() -> None:
    """The scale moves into the layer behind; the norm is written anew."""
    nodes = UNBIASED.replace("y = Div (d, r)", "n = Div (d, r) k = Mul (n, g) y = MatMul (k, w)")
    weights = {"others": np.float32(7), "tenth": np.float32(0.1), "w": (8, 8)}
    proto = model(layer(nodes), weights)
    result = normonnx.optimize(proto, rules_on=["NX006"])
    assert "NX006" in {rewrite.rule for rewrite in result.report.rewrites}
    assert result.report.status == "pass"
    assert not result.report.reverted
