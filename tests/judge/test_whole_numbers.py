"""Whole numbers of any size are fed where the model takes them, and nothing is an index."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from normonnx.feeds.domains import domain_of
from tests.judge.building import graph_model, judge, run_ort

NARROWED = """({kind}[N, 6] x) => ({kind}[N, 6] y) {{
    a = Cast <to: int = {narrow}> (x)
    b = Cast <to: int = {wide}> (a)
    y = Mul(b, three)
}}"""
PLAIN = "({kind}[N, 6] x) => ({kind}[N, 6] y) {{ y = Mul(x, three) }}"
TYPES = {"int64": 7, "int32": 6}
NARROWER = {"uint8": 2, "int8": 3, "int16": 5, "int32": 6, "float16": 10, "float": 1}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("narrow", NARROWER)
def test_a_narrower_type_on_the_way_is_seen(kind: str, narrow: str) -> None:
    if kind == narrow:
        pytest.skip("it is no narrower")
    three = {"three": np.array(3, kind)}
    model = graph_model(PLAIN.format(kind=kind), **three)
    text = NARROWED.format(kind=kind, narrow=NARROWER[narrow], wide=TYPES[kind])
    other = graph_model(text, **three)
    few = {"x": np.arange(6, dtype=kind)[None]}
    assert np.array_equal(run_ort(model, few)[0], run_ort(other, few)[0])
    assert judge(model, other).status == "fail"


def test_a_sign_that_is_lost_is_seen() -> None:
    model = graph_model("(int64[N] x) => (int64[N] y) { y = Identity(x) }")
    other = graph_model("(int64[N] x) => (int64[N] y) { y = Abs(x) }")
    assert judge(model, other).status == "fail"


@pytest.mark.parametrize(
    "text",
    [
        "(int64[N] x) => (float[N, 2] y) { i = Add(x, one) y = Gather(table, i) }",
        "(int64[1] x) => (float[K] y) { n = Add(x, one) y = ConstantOfShape(n) }",
        "(int64 x) => (int64[K] y) { n = Abs(x) y = Range(zero, n, single) }",
        "(int64[N] mask) => (float[N] y) { y = Cast <to: int = 1> (mask) }",
        """(int64[N] x) => (float[N] y) {
            f = Cast <to: int = 1> (x) low = Mul(f, far) y = Exp(low) }""",
    ],
)
def test_indices_sizes_and_masks_stay_what_they_are(text: str) -> None:
    parts = {
        "one": np.array([1]),
        "zero": np.int64(0),
        "single": np.int64(1),
        "table": np.zeros((5, 2), np.float32),
        "far": np.float32(-1e9),
    }
    used = {
        name: value for name, value in parts.items() if f"{name})" in text or f"{name}," in text
    }
    model = ir.from_proto(graph_model(text, **used))
    assert domain_of(model.graph.inputs[0], {}).widest == (0, 0)


def test_a_bound_holds_for_large_numbers() -> None:
    text = "(int64[N] x) => (float[N] y) { f = Cast <to: int = 1> (x) y = Log(f) }"
    model = ir.from_proto(graph_model(text))
    low, high = domain_of(model.graph.inputs[0], {}).widest
    assert low == 1
    assert high > 2**32
