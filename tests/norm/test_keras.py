"""Keras's LayerNorm: a BatchNormalization over rows, with the batch's own statistics."""

from __future__ import annotations

import numpy as np
import pytest

from .fusing import difference, fuse, random_feeds
from .text import model

X, Y = "float[n,8] x", "float[n,8] y"
VIEW = "v = Reshape (x, flat)"
BACK = "s = Shape (x) n = Reshape (t, s) k = Mul (n, g) y = Add (k, b)"
ROWS = "h = Shape (x) rows = Slice (h, first, second, first)"
FILLED = f"{ROWS} ones = Expand (one, rows) nil = ConstantOfShape (rows)"
TRAINING = "t, a, c = BatchNormalization <training_mode=1, epsilon=1e-3> (v, ones, nil, nil, ones)"
COUNTED = (
    "m = ReduceMean <axes=[0,2,3]> (v) d = Sub (v, m) w = Shape (v) o = Gather (w, others)"
    " z = ReduceProd (o) c = Cast <to=1> (z)"
    " q = ReduceSumSquare <axes=[0,2,3], keepdims=0> (d) u = Div (q, c) e = Squeeze (m, others)"
)
GIVEN = f"{COUNTED} t = BatchNormalization <epsilon=1e-3> (v, ones, nil, e, u)"
WEIGHTS = {
    "flat": np.array([1, -1, 8, 1]), "first": np.array([0]), "second": np.array([1]),
    "one": np.float32(1), "others": np.array([0, 2, 3]),
}  # fmt: skip


def keras(core: str) -> str:
    return f"({X}) => ({Y}) {{ {FILLED} {VIEW} {core} {BACK} }}"


@pytest.mark.parametrize("core", [TRAINING, GIVEN], ids=["in training mode", "statistics given"])
def test_one_node_is_left(core: str) -> None:
    proto = model(keras(core), WEIGHTS)
    fused = fuse(proto)
    assert fused.operators == ["LayerNormalization"]
    epsilon = {a.name: a.f for a in fused.node("LayerNormalization").attribute}["epsilon"]
    assert epsilon == np.float32(1e-3)
    for seed, spread in enumerate((1.0, 1e-2)):
        feeds = random_feeds(proto, seed, spread=spread)
        assert difference(proto, fused.proto, feeds) < 1e-6


def test_the_statistics_of_the_batch_are_no_row_s() -> None:
    core = "v = Identity (x) t, a, c = BatchNormalization <training_mode=1> (v, g, b, b, g)"
    fused = fuse(model(f"({X}) => ({Y}) {{ {core} y = Identity (t) }}"))
    assert not fused.norms


def test_the_variance_of_another_value() -> None:
    core = GIVEN.replace("(v, ones", "(other, ones")
    proto = model(
        keras(f"other = Reshape (o2, flat) {core}").replace(X, f"{X}, float[n,8] o2"), WEIGHTS
    )
    fused = fuse(proto)
    assert not fused.norms


def test_a_length_that_only_the_run_knows() -> None:
    body = (
        "h = Shape (x) l = Gather (h, last) c = Cast <to=1> (l) t = ReduceSum (x, last)"
        " m = Div (t, c) d = Sub (x, m) p = Mul (d, d) q = ReduceSum (p, last) v = Div (q, c)"
        " e = Add (v, eps) r = Sqrt (e) y = Div (d, r)"
    )
    graph = f"(float[2,3,n] x) => (float[2,3,n] y) {{ {body} }}"
    fused = fuse(model(graph, {"last": np.array([-1])}))
    assert not fused.norms
    assert any("length of the normalised axes is not static" in told for told in fused.reasons)


@pytest.mark.parametrize(
    ("layout", "sizes"),
    [
        ("1,h,w,8", "i1 i2"),
        ("1,h,w,8", "i2 i1"),
        ("n,h,w,8", "i0 i1 i2"),
        ("n,h,8", "i0 i1"),
    ],
)
def test_rows_counted_by_a_product_of_open_sizes(layout: str, sizes: str) -> None:
    first, *others = sizes.split()
    counted = [f"{i}s = Gather (s, {i})" for i in (first, *others)]
    product = f"{first}s"
    for i in others:
        counted.append(f"{i}p = Mul ({product}, {i}s)")
        product = f"{i}p"
    proto = model(
        f"(float[{layout}] x) => (float[{layout}] y) {{ s = Shape (x) {' '.join(counted)}"
        f" f = Concat <axis=0> (i1, {product}, i8, i1) v = Reshape (x, f)"
        f" ones = ConstantOfShape <value: tensor = float[1] {{1}}> ({product})"
        f" nil = ConstantOfShape ({product}) {TRAINING} n = Reshape (t, s)"
        " k = Mul (n, g) y = Add (k, b) }",
        {f"i{i}": np.array([i]) for i in (0, 1, 2, 8)},
    )
    fused = fuse(proto)
    assert fused.operators == ["LayerNormalization"]
    assert difference(proto, fused.proto, random_feeds(proto, 0)) < 1e-6
