"""T2 says what was compared in float64 and how far it was, whatever decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from normonnx.judge import VerifyOptions, verify
from normonnx.judge.verdict import Tier
from tests.judge.building import graph_model, replace_weight, respelled

TEXT = "(float[N, 4] x) => (float[N, 4] y) { y = MatMul(x, w) }"
EYE = np.eye(4, dtype=np.float32)
# The largest of two scores is selected: what rounding makes of that cannot be told.
SELECTION = """(float[N, 4] x) => (float[N, 4] y) {
    h = MatMul(x, w)
    k = ArgMax <axis = 1, keepdims = 1> (h)
    c = Cast <to = 1> (k)
    y = Add(h, c)
}"""


def algebra(before: onnx.ModelProto, factor: float, **options: Any) -> Tier:
    after = respelled(replace_weight(before, "w", (EYE * factor).astype(EYE.dtype)))
    models = (ir.from_proto(model) for model in (before, after))
    verdict = verify(*models, options=VerifyOptions(**options))
    (found,) = (tier for tier in verdict.tiers if tier.code == "T2")
    return found


def test_a_difference_is_never_called_equal() -> None:
    model = graph_model(TEXT, w=EYE)
    assert algebra(model, 1.0).message.startswith("equal in float64, ")
    wrong = algebra(model, 1.01)
    assert wrong.status == "fail"
    assert (
        "'y' differs in float64 by 1.0e-02 of its size, rounding weights explains" in wrong.message
    )


@pytest.mark.parametrize("options", [{"rtol": 0.1}, {"atol": {"y": 1e3}}])
def test_what_a_tolerance_decides_is_told_all_the_same(options: dict[str, Any]) -> None:
    found = algebra(graph_model(TEXT, w=EYE), 1.01, **options)
    assert found.status == "info"
    assert "'y' differs in float64 by 1.0e-02 of its size, on which what was asked for" in (
        found.message
    )


def test_what_a_selection_reads_is_compared() -> None:
    found = algebra(graph_model(SELECTION, w=EYE), 1.01)
    assert found.status == "fail"
    assert "differs in float64 by" in found.message


def test_what_explains_a_difference_is_named() -> None:
    text = TEXT.replace("float[", "float16[")
    half = EYE.astype(np.float16) / 3
    before = graph_model(text, w=half)
    after = replace_weight(before, "w", np.nextafter(half, np.float16(1)))
    verdict = verify(ir.from_proto(before), ir.from_proto(after))
    (found,) = (tier for tier in verdict.tiers if tier.code == "T2")
    assert found.status == "pass"
    assert "explained by weights in float16, which move it by up to" in found.message


def test_without_a_float_there_is_nothing_to_compare() -> None:
    text = "(int32[N, 4] x) => (int32[N, 4] y) { y = Add(x, k) }"
    model = graph_model(text, k=np.array([3], np.int32))
    verdict = verify(ir.from_proto(model), ir.from_proto(respelled(model)))
    (found,) = (tier for tier in verdict.tiers if tier.code == "T2")
    assert (found.status, found.message) == ("skipped", "no output is a floating-point number")


@pytest.mark.parametrize(("factor", "status"), [(1.001, "fail"), (1.0, "pass")])
def test_an_output_in_half_precision_hides_no_weight(factor: float, status: str) -> None:
    text = """(float[N, 16] x) => (float16[N, 16] y) {
        h = MatMul(x, w)
        p = Mul(h, k)
        y = Cast <to = 10> (p)
    }"""
    random = np.random.default_rng(3)
    weight = random.standard_normal((16, 16)).astype(np.float32)
    before = graph_model(text, w=weight, k=np.float32(400))
    other = (weight * np.float32(400)).astype(np.float32)
    other[:, 3] *= np.float32(factor)
    after = graph_model(text.replace("p = Mul(h, k)", "p = Identity(h)"), w=other)
    verdict = verify(ir.from_proto(before), ir.from_proto(after))
    (found,) = (tier for tier in verdict.tiers if tier.code == "T2")
    assert found.status == status, found.message


@pytest.mark.parametrize(("types", "status"), [("float", "fail"), ("float16", "pass")])
def test_what_new_weights_are_stored_in_excuses_nothing(types: str, status: str) -> None:
    """Only weights that the original rounded so, stored or cast, may be rounded so again."""
    stored = 10 if types == "float16" else 1
    text = """(float[N, 16] x) => (float16[N, 16] y) {
        k = Cast <to = %d> (w)
        c = Cast <to = 1> (k)
        h = MatMul(x, c)
        y = Cast <to = 10> (h)
    }"""
    weight = np.random.default_rng(3).uniform(1, 2, (16, 16)).astype(np.float32)
    before = graph_model(text % stored, w=weight)
    weight[:, 3] *= np.float32(1.0003)
    after = graph_model(text % 10, w=weight.astype(np.float16))
    verdict = verify(ir.from_proto(before), ir.from_proto(after))
    (found,) = (tier for tier in verdict.tiers if tier.code == "T2")
    assert found.status == status, found.message
