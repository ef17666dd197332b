"""Masks of which only places differ that are far behind what drawn feeds reach."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from normonnx.judge import Judge
from tests.judge.building import Array, graph_model, replace_weight

N = 16
TEXT = """(float[b, n, 16] x) => (float[b, n, 16] y) {{
    q = MatMul(x, query)
    k = MatMul(x, key)
    t = Transpose <perm = [0, 2, 1]> (k)
    s = MatMul(q, t)
    shape = Shape(x)
    n = Slice(shape, one, two)
    {masked}
    p = Softmax(a)
    v = MatMul(x, value)
    y = MatMul(p, v)
}}"""
MASKED = {
    "cut at once": """nn = Concat <axis = 0> (n, n)
        zeros = Sub(nn, nn)
        m = Slice(mask, zeros, nn)
        a = Add(s, m)""",
    "cut twice, truth values": """rows = Slice(mask, zero, n, zero)
        m = Slice(rows, zero, n, one)
        a = Where(m, fill, s)""",
    "rows of a range": """length = Squeeze(n)
        places = Range(first, length, step)
        rows = Gather(mask, places)
        m = Slice(rows, zero, n, one)
        a = Add(s, m)""",
}


def masked(kind: str, places: int) -> tuple[onnx.ModelProto, Array]:
    random = np.random.default_rng(0)
    names = ("query", "key", "value")
    weights = {n: (random.standard_normal((N, N)) / 4).astype(np.float32) for n in names}
    mask = np.triu(np.full((places, places), -1e9, np.float32), 1)
    if "truth" in kind:
        mask = mask != 0
    numbers = {"zero": np.array([0]), "one": np.array([1]), "two": np.array([2])}
    numbers |= {"first": np.int64(0), "step": np.int64(1), "fill": np.float32(-1e9)}
    text = TEXT.format(masked=MASKED[kind])
    read = {name: array for name, array in numbers.items() if name in text}
    return graph_model(text, mask=mask, **weights, **read), mask


@pytest.mark.parametrize("places", [64, 256])
@pytest.mark.parametrize("kind", MASKED)
def test_the_far_corner_of_a_mask_is_seen(kind: str, places: int) -> None:
    model, mask = masked(kind, places)
    wrong = mask.copy()
    wrong[-1, 0] = mask[0, -1]
    other = replace_weight(model, "mask", wrong)
    verdict = Judge(ir.from_proto(model)).judge(ir.from_proto(other))
    assert verdict.status == "fail"
    assert max(feed.binding["n"] for feed in verdict.feeds) == places
