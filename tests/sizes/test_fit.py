"""Sizes that a node does not take are refused, with the size that it would take."""

from __future__ import annotations

import numpy as np
import pytest

from normonnx.graph.interface import required_inputs
from normonnx.sizes.dimensions import open_shapes
from normonnx.sizes.recorded import Recorded
from normonnx.sizes.tensor import ContradictionError
from normonnx.sizes.walk import Walk
from tests.graphs import model, value


@pytest.mark.parametrize(
    ("text", "weights", "fixed"),
    [
        ("(float[n,t,d] x) => (float[] y) { y = LayerNormalization (x, w) }", {"w": (768,)}, 768),
        ("(float[n,d] x) => (float[] y) { y = Einsum <equation=\"nd,dm->nm\"> (x, w) }",
         {"w": (95, 3)}, 95),
        ("(float[t,n,d] x) => (float[] y) { y, h, c = LSTM <hidden_size=4> (x, w, r) }",
         {"w": (1, 16, 7), "r": (1, 16, 4)}, 7),
        ("(float[n,d] x) => (float[] y) { y = PRelu (x, w) }", {"w": (23,)}, 23),
        ("(float[n,d] x) => (float[] y) { y = Max (x, w, v) }", {"w": (1,), "v": (23,)}, 23),
        ("(float[n,d] x) => (float[] y) { y, z = Split <axis=1> (x, w) }",
         {"w": np.array([35, 60])}, 95),
    ],
)  # fmt: skip
def test_what_a_weight_fixes_is_found(
    text: str, weights: dict[str, tuple[int, ...] | np.ndarray], fixed: int
) -> None:
    m = model(text, opset=17, **weights)
    walks = Recorded(m).walks
    assert all(walk.tensor(value(m, "y")) is not None for walk in walks)
    assert fixed in [walk.binding["d"] for walk in walks]


def test_a_block_fixes_a_multiple() -> None:
    m = model("(float[n,c,h,w] x) => (float[] y) { y = DepthToSpace <blocksize=3> (x) }")
    assert all(walk.binding["c"] % 9 == 0 for walk in Recorded(m).walks)


def test_a_row_fixes_a_multiple() -> None:
    m = model("(float[n,m] x) => (float[] y) { y = Reshape (x, w) }", w=np.array([-1, 1001]))
    for walk in Recorded(m).walks:
        assert walk.binding["n"] * walk.binding["m"] % 1001 == 0


def test_norms_of_other_sizes_are_refused() -> None:
    m = model("(float[n,d] x) => (float[] y) { y = LayerNormalization (x, w) }", w=(768,))
    with pytest.raises(ContradictionError) as raised:
        Walk(m, open_shapes(required_inputs(m)), {"n": 2, "d": 17})
    assert (raised.value.found, raised.value.wanted) == (17, 768)


def test_sizes_differ_in_some_walk() -> None:
    """Of two symbols with one size each, or the same two, some walk has others."""
    m = model("(float[n,m] x) => (float[] y) { y = Reshape (x, w) }", w=np.array([-1, 12]))
    bindings = [walk.binding for walk in Recorded(m).walks]
    assert len({binding["m"] for binding in bindings}) > 1
    assert len({binding["n"] for binding in bindings}) > 1
    m = model("(float[a] x, float[b] w) => (float[] y) { y = Add (x, w) }")
    assert any(walk.binding["a"] != walk.binding["b"] for walk in Recorded(m).walks)


def test_a_function_that_is_called_at_two_sizes_has_none() -> None:
    m = model(
        """(float[2,4] x, float[2,8] u) => (float[] y, float[] z) {
          y = local.twice (x) z = local.twice (u)
        }""",
        functions='<opset_import: ["" : 17], domain: "local"> twice (x) => (y) '
        "{ a = Neg (x) y = Neg (a) }",
    )
    [walk] = Recorded(m).walks
    [function] = m.functions.values()
    assert walk.tensor(value(m, "y")) is not None
    assert walk.tensor(value(m, "z")) is not None
    assert [walk.tensor(node.outputs[0]) for node in function] == [None, None]


def test_a_state_that_grows_has_no_size() -> None:
    m = model(
        """(float[4] x) => (float[] y) {
          y = Loop (turns, go, x) <
            body = b (int64 i, bool g, float[] s) => (bool o, float[] t) {
              o = Identity (g) t = Concat <axis=0> (s, s)
            }
          >
        }""",
        turns=np.array(3), go=np.array(True),
    )  # fmt: skip
    [walk] = Recorded(m).walks
    body = next(iter(m.graph)).attributes["body"].as_graph()
    assert walk.tensor(body.inputs[2]) is None
