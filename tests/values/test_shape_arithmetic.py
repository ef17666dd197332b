"""Shape arithmetic: whatever is believed of an integer tensor is so in a run, at any rank."""

from __future__ import annotations

import numpy as np
import pytest

from normonnx.values.shapes import Product
from tests.graphs import model, value
from tests.values.beliefs import believed, untrue

_CONSTANTS = {
    "i0": np.int64(0),
    "v0": np.int64([0]),
    "v1": np.int64([1]),
    "v01": np.int64([0, 1]),
    "m1": np.int64([-1]),
    "m12": np.int64([-1, 2]),
    "eight": np.int64([8]),
    "halves": np.int64([2, 4]),
    "high": np.int64([1 << 20]),
}

_BODIES = {
    "rank 2, joined along the second axis": """
        a = Unsqueeze (h, v1) b = Unsqueeze (h, v1) c = Concat <axis=1> (a, b)
        y = Reshape (c, m1)""",
    "rank 2, joined along the first axis": """
        a = Unsqueeze (h, v0) b = Unsqueeze (h, v0) c = Concat <axis=0> (a, b)
        d = Gather <axis=1> (c, v01) e = Gather <axis=0> (c, v1) y = Reshape (d, m1)""",
    "rank 2, cut": """
        a = Concat <axis=0> (h, v0) c = Reshape (a, m12) d = Slice (c, v0, v1, v1)
        e = Slice (c, v0, v1, v0) f = Transpose (c) g = Reshape (f, m1) y = Reshape (d, m1)""",
    "rank 2, reduced": """
        a = Concat <axis=0> (h, v0) c = Reshape (a, m12) y = ReduceProd <axes=[1], keepdims=0> (c)
        z = ReduceProd <axes=[0]> (c)""",
    "rank 2 times rank 1": """
        a = Unsqueeze (h, v1) c = Mul (a, h) y = Reshape (c, m1)""",
    "picked by a matrix of places": """
        p = Reshape (v01, m12) a = Gather <axis=0> (h, p) y = Reshape (a, m1)""",
    "one element of rank 2": """
        b = Gather <axis=0> (h, v0) a = Unsqueeze (b, v1) c = Mul (a, eight)
        y = Reshape (c, m1)""",
    "cast to a truth value and back": """
        a = Cast <to=9> (h) y = Cast <to=7> (a)""",
    "cast to eight bits and back": """
        a = Mul (h, eight) b = Mul (a, eight) c = Cast <to=3> (b) y = Cast <to=7> (c)""",
    "cast to a float and back": """
        a = Cast <to=1> (h) b = Cast <to=7> (a) c = Mul (b, eight) y = Identity (c)""",
    "beyond 32 bits": """
        a = Gather <axis=0> (h, v0) b = Mul (high, high) c = Cast <to=6> (b) y = Cast <to=7> (c)""",
    "the larger of a negative number and none": """
        a = Mul (h, m1) y = Max (a, v0)""",
}


@pytest.mark.parametrize("body", _BODIES.values(), ids=_BODIES.keys())
def test_contents_are_what_a_run_gives(body: str) -> None:
    m = model(f"(float[n,s,8] x) => (int64[] y) {{ h = Shape (x) {body} }}", opset=15, **_CONSTANTS)
    for n, s in ((2, 3), (5, 4)):
        assert not untrue(m, {"x": np.zeros((n, s, 8), np.float32)})


_RESHAPED = {
    "the same runtime target for two tensors": """
        a = Reshape (x, k) b = Reshape (w, k)""",
    "a runtime target in parts": """
        p = Gather <axis=0> (k, v0) t = Concat <axis=0> (p, eight) a = Reshape (x, t)
        b = Reshape (w, t)""",
    "a negative multiple as a target": """
        h = Shape (u) p = Gather <axis=0> (h, v0) q = Mul (p, m1) t = Concat <axis=0> (q, eight)
        a = Reshape (x, t) b = Reshape (w, t)""",
}


@pytest.mark.parametrize("body", _RESHAPED.values(), ids=_RESHAPED.keys())
def test_an_unknown_target_may_say_what_is_left_over(body: str) -> None:
    m = model(
        f"(float[n,8] x, float[one,3] u, int64[2] k) => (float[] a, float[] b) {{ {body} }}",
        w=(6, 8),
        **_CONSTANTS,
    )
    feeds = {
        "x": np.zeros((4, 8), np.float32),
        "u": np.zeros((1, 3), np.float32),
        "k": np.int64([-1, 8]),
    }
    assert not untrue(m, feeds)


def test_the_product_of_all_dimensions_is_still_followed() -> None:
    m = model(
        """(float[n,s,8] x) => (float[] y) {
            h = Shape (x) p = ReduceProd <keepdims=0> (h) u = Unsqueeze (p, v0) y = Reshape (x, u)
        }""",
        opset=17,
        v0=np.int64([0]),
    )
    assert believed(m).dims(value(m, "y")) == (Product(8, ("n", "s")),)
