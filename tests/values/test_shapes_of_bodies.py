"""What If, Loop and Scan leave: what every turn and every branch agrees on, and no more."""

from __future__ import annotations

import numpy as np
import pytest

from normonnx.graph.dims import Dim, Product
from tests.graphs import model, value
from tests.values.beliefs import believed, untrue

N = Product(1, ("n",))


def _open(name: str, place: int) -> Dim:
    return Product(1, (f"?{name}:{place}",))


_LOOP = """(float[n,3,d] x) => (float[] y) {{
    z = Loop (turns, go, x) <
        body = b (int64 i, bool g, float[n,3,d] s) => (bool o, float[n,3,d] t) {{
            o = Identity (g) {body}
        }}
    >
    y = Relu (z)
}}"""


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("a = Relu (s) t = Mul (a, k)", (N, 3, _open("z", 2))),
        ("a = Transpose <perm=[1,0,2]> (s) t = Neg (a)", (_open("z", 0), _open("z", 1), None)),
        ("a = Transpose <perm=[1,2,0]> (s) t = Neg (a)",
         (_open("z", 0), _open("z", 1), _open("z", 2))),
        ("t = Concat <axis=2> (s, s)", (N, 3, _open("z", 2))),
        ("t = Concat <axis=2> (s, k)", (N, 3, _open("z", 2))),
        ("t = Unsqueeze (s, zero)", None),
        ("t = Exp (s)", (N, 3, Product(1, ("d",)))),
    ],
)  # fmt: skip
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_what_every_turn_of_a_loop_agrees_on(
    body: str, left: tuple[Dim | None, ...] | None, turns: int
) -> None:
    k = np.ones((2, 3, 1) if "Concat" in body else (1, 4), np.float32)
    m = model(
        _LOOP.format(body=body), turns=np.array(turns), go=np.array(True), k=k, zero=np.array([0])
    )
    dims = believed(m).dims(value(m, "z"))
    if left is None:
        assert dims is None
    else:
        expected = zip(left, dims or (), strict=True)
        assert all(want is None or dim == want for want, dim in expected)
    for size in (1, 4):
        assert not untrue(m, {"x": np.ones((2, 3, size), np.float32)})


def test_a_state_that_follows_another_is_followed_as_often() -> None:
    """The second is what the first was a turn ago, and changes a turn later."""
    m = model(
        """(float[n,d] x) => (float[] y) {
          y, z = Loop (turns, go, x, x) <
            body = b (int64 i, bool g, float[n,d] s, float[n,d] t)
              => (bool o, float[n,d] u, float[n,d] v) {
                o = Identity (g) u = Concat <axis=0> (s, s) v = Identity (s)
            }
          >
        }""",
        turns=np.array(3), go=np.array(True),
    )  # fmt: skip
    shapes, d = believed(m), Product(1, ("d",))
    assert shapes.dims(value(m, "y")) == (_open("y", 0), d)
    assert shapes.dims(value(m, "z")) == (_open("z", 0), d)
    assert not untrue(m, {"x": np.ones((2, 5), np.float32)})


@pytest.mark.parametrize(
    ("then", "other", "left"),
    [
        ("a = Mul (x, k)", "b = Neg (x)", (N, 3, _open("y", 2))),
        ("a = ReduceSumSquare (x, axes)", "b = ReduceMean (x, axes)", (N, 3, 1)),
        ("a = ReduceSumSquare (x, axes)", "b = Neg (x)", (N, 3, _open("y", 2))),
        ("a = ReduceSum <keepdims=0> (x, axes)", "b = Neg (x)", None),
    ],
)
@pytest.mark.parametrize("taken", [True, False])
def test_what_the_branches_of_an_if_agree_on(
    then: str, other: str, left: tuple[Dim, ...] | None, taken: bool
) -> None:
    m = model(
        f"""(bool c, float[n,3,d] x) => (float[] e) {{
            y = If (c) <
                then_branch = t () => (float[] a) {{ {then} }},
                else_branch = f () => (float[] b) {{ {other} }}
            >
            e = Exp (y)
        }}""",
        opset=18,
        axes=np.array([-1]),
        k=np.ones((1, 4), np.float32),
    )
    assert believed(m).dims(value(m, "y")) == left
    for size in (1, 4):
        feeds = {"c": np.array(taken), "x": np.ones((2, 3, size), np.float32)}
        assert not untrue(m, feeds)


@pytest.mark.parametrize("taken", [True, False])
def test_what_onnx_infers_behind_what_it_does_not_follow(taken: bool) -> None:
    """A Tile, of which only onnx tells, behind a Loop and an If, which only the rules follow."""
    m = model(
        """(bool c, float[n,3,4] x) => (float[] y) {
            z = Loop (turns, go, x) <
                body = l (int64 i, bool g, float[] s) => (bool o, float[] t) {
                    o = Identity (g) t = Relu (s)
                }
            >
            d = Tile (z, twice)
            e = If (c) <
                then_branch = t () => (float[] a) { a = ReduceMean (d, axes) },
                else_branch = f () => (float[] b) { b = ReduceSumSquare (d, axes) }
            >
            y = Tile (e, twice)
        }""",
        opset=18,
        turns=np.array(2),
        go=np.array(True),
        twice=np.array([1, 2, 1]),
        axes=np.array([-1]),
    )
    shapes = believed(m)
    assert (shapes.dims(value(m, "d")) or ())[1:] == (6, 4)
    assert (shapes.dims(value(m, "y")) or ())[1:] == (12, 1)
    assert not untrue(m, {"c": np.array(taken), "x": np.ones((2, 3, 4), np.float32)})
