"""A raise of the opset is a rewrite: it has to pay, and can be taken back without any other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import normonnx
from normonnx import pipeline, raising
from normonnx.opset import conversion, evidence
from normonnx.options import Options
from tests.graphs import proto

LAYERNORM = """
  m = ReduceMean <axes=[-1]> (x)
  c = Sub (x, m)
  s = Pow (c, two)
  v = ReduceMean <axes=[-1]> (s)
  e = Add (v, eps)
  r = Sqrt (e)
  n = Div (c, r)
  g = Mul (n, scale)
  o = Add (g, shift)
"""
BATCHNORM = """
  k = Conv (z, w)
  y = BatchNormalization (k, bs, bb, bm, bv)
"""
HEAD = "(float[b,4,8] x, float[1,2,6,6] z) => (float[b,4,8] {0}, float[a,d,f,h] {1}) {{"


def weights() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "two": np.float32(2),
        "eps": np.float32(1e-5),
        "scale": rng.uniform(0.5, 2, 8).astype(np.float32),
        "shift": rng.standard_normal(8, dtype=np.float32),
        "w": (3, 2, 3, 3),
        "bs": (3,),
        "bb": (3,),
        "bm": (3,),
        "bv": np.array([0.5, 1, 2], np.float32),
    }


def both(opset: int = 13) -> onnx.ModelProto:
    """A LayerNorm, which needs opset 17, and a BatchNormalization to fold, which needs none."""
    return proto(HEAD.format("o", "y") + LAYERNORM + BATCHNORM + "}", opset=opset, **weights())


def rows(opset: int = 12) -> onnx.ModelProto:
    """A LayerNorm that ONNX Runtime fuses itself, behind a Softmax that grows by the raise."""
    text = LAYERNORM + "q = Softmax <axis=1> (o)" + BATCHNORM + "}"
    return proto(HEAD.format("q", "y") + text, opset=opset, **weights())


def operators(model: ir.Model) -> Counter[str]:
    return Counter(node.op_type for node in model.graph)


def notes(result: normonnx.Optimized) -> str:
    return "\n".join(result.report.notes)


@pytest.mark.parametrize("verify", [True, False])
def test_a_raise_that_pays_is_made(verify: bool) -> None:
    result = normonnx.optimize(both(), verify=verify)
    assert "opset 13 → 17" in result.report.notes
    assert {"LayerNormalization", "Conv"} == set(operators(result.model))


@pytest.mark.parametrize("target", ["onnx", "ort"])
@pytest.mark.parametrize("verify", [True, False])
def test_a_raise_after_which_the_runtime_leaves_more_is_not_made(verify: bool, target: str) -> None:
    result = normonnx.optimize(rows(), verify=verify, target=target)
    assert result.report.status == ("pass" if verify else "unverified")
    assert result.model.opset_imports[""] == 12
    [note] = result.report.notes[:1]
    assert note.startswith("opset stays 12: ONNX Runtime leaves ")
    assert note.endswith("of it as it came (--opset 17 raises it)")
    found = operators(result.model)
    assert "BatchNormalization" not in found
    assert "Sqrt" not in found


def test_a_raise_that_is_asked_for_is_made_all_the_same() -> None:
    result = normonnx.optimize(rows(), opset=17)
    assert result.passed
    assert "LayerNormalization" in operators(result.model)
    assert notes(result).startswith("opset 12 → 17: 1 Softmax evaluated in both")


def test_targets_with_operators_of_their_own_need_no_raise() -> None:
    result = normonnx.optimize(both(), target="normonnx", verify=False)
    assert result.model.opset_imports[""] == 13
    assert result.report.notes == ()
    text = (
        HEAD.format("o", "y") + "t = Add (x, p)" + LAYERNORM.replace("(x", "(t") + BATCHNORM + "}"
    )
    text = text.replace("float[b,4,8] x,", "float[b,4,8] x, float[b,4,8] p,", 1)
    result = normonnx.optimize(proto(text, opset=13, **weights()), target="ort", verify=False)
    assert operators(result.model)["SkipLayerNormalization"] == 1
    assert result.model.opset_imports[""] == 13


def counting(*counts: int | None) -> Any:
    """The same counts in each round."""
    left: Iterator[int | None] = cycle(counts) if counts else iter(())
    return lambda *_, **__: next(left)


def test_norms_stay_where_the_runtime_makes_more_of_them_in_any_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(raising, "nodes_left", counting(10, 12, 11))
    result = normonnx.optimize(both())
    assert result.passed
    found = operators(result.model)
    assert found["Sqrt"] == 1
    assert "BatchNormalization" not in found
    assert result.model.opset_imports[""] == 13
    assert not result.model.functions
    assert result.report.notes == (
        "opset stays 13: ONNX Runtime leaves 12 nodes of the model at opset 17, "
        "10 of it as it came (--opset 17 raises it)",
        "its norms stay as they are: ONNX Runtime leaves 11 nodes of the model with functions for "
        "its norms, 10 of it as it came (--opset 13 writes them)",
    )


def test_a_tie_is_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raising, "nodes_left", counting(10, 10))
    assert normonnx.optimize(both(), verify=False).model.opset_imports[""] == 17


def test_a_raised_model_that_does_not_load_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raising, "nodes_left", counting(10, None, 10))
    result = normonnx.optimize(both())
    assert result.passed
    assert notes(result) == ("opset stays 13: ONNX Runtime does not load the model at opset 17")
    assert {"FusedLayerNormalization", "Conv"} == set(operators(result.model))


def test_where_nothing_can_be_counted_a_raise_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raising, "nodes_left", lambda *_, **__: None)
    assert normonnx.optimize(both(), verify=False).model.opset_imports[""] == 17


@pytest.mark.parametrize("counts", [(10, 9), (10, 12, 10), (10, 12, 11)])
def test_what_was_weighed_once_is_not_weighed_again(
    monkeypatch: pytest.MonkeyPatch, counts: tuple[int, ...]
) -> None:
    m = ir.from_proto(both())
    monkeypatch.setattr(raising, "nodes_left", counting(*counts))
    first = pipeline.run(m, Options())
    monkeypatch.setattr(raising, "nodes_left", counting())
    again = pipeline.run(m, Options(), settled=first.settled)
    assert [r.key for r in again.journal.made] == [r.key for r in first.journal.made]
    assert again.notes == first.notes
    assert operators(again.model) == operators(first.model)
    assert again.model.opset_imports == first.model.opset_imports


def resized() -> onnx.ModelProto:
    """A Resize that says something else at opset 17, if nobody looks."""
    head = (
        "(float[b,4,8] x, float[1,2,6,6] z, float[1,2,4,4] i) => "
        "(float[b,4,8] o, float[a,d,f,h] y, float[j,l,p,q] u) {"
    )
    text = head + LAYERNORM + BATCHNORM + 'u = Resize <mode="linear"> (i, by) }'
    return proto(text, opset=10, by=np.array([1, 1, 1.7, 2], np.float32), **weights())


def test_a_guilty_raise_is_taken_back_and_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    agreed = evidence.Agreement(worst=0.0)
    monkeypatch.setattr("normonnx.opset.raising.agreement", lambda *_, **__: agreed)
    monkeypatch.setattr(conversion, "_ASYMMETRIC_UNTIL", 0)
    result = normonnx.optimize(resized())
    assert result.passed
    [reverted] = result.report.reverted
    assert (reverted.rewrite.key, reverted.rewrite.summary) == ("opset:17", "opset 10 → 17")
    found = operators(result.model)
    assert result.model.opset_imports[""] == 10
    assert "BatchNormalization" not in found
    assert "Sqrt" not in found


def test_a_refused_raise_keeps_every_other_rewrite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "_ASYMMETRIC_UNTIL", 0)
    result = normonnx.optimize(resized())
    assert result.passed
    [note] = result.report.notes
    assert note.startswith("opset stays 10: Resize 'Resize_")
    assert note.endswith("means something else from opset 17 on")
    found = operators(result.model)
    assert {"FusedLayerNormalization", "Conv"} <= set(found)
    assert "BatchNormalization" not in found
