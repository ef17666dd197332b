"""A division by the length of a row is no RMSNorm unless a factor makes a mean of the sum."""

from __future__ import annotations

import numpy as np
import pytest

from normonnx.norm.match.follow import LENGTH

from .fusing import difference, fuse, random_feeds
from .text import ROW, layer, model

ROOT_OF_N = np.sqrt(np.float64(ROW))


@pytest.mark.parametrize(
    ("factor", "fused"),
    [(1.0, True), (-1.0, True), (1.005, False), (0.995, False), (1 / ROOT_OF_N, False)],
)
def test_the_factor_is_the_root_of_the_length(factor: float, fused: bool) -> None:
    proto = model(
        layer("s = ReduceSumSquare <axes=[-1]> (x) r = Sqrt (s) n = Div (x, r) y = Mul (n, k)"),
        {"k": np.float32(factor * ROOT_OF_N)},
    )
    made = fuse(proto, target="normonnx")
    assert bool(made.norms) == fused
    assert fused or any(LENGTH in reason for reason in made.reasons)
    assert difference(proto, made.proto, random_feeds(proto, 0), readings=made.readings) < 1e-6


@pytest.mark.parametrize("nodes", [
    "r = ReduceL2 <axes=[-1]> (x) y = Div (x, r)",
    "r = ReduceL2 <axes=[-1]> (x) i = Reciprocal (r) y = Mul (x, i)",
    "s = ReduceSumSquare <axes=[-1]> (x) r = Sqrt (s) y = Div (x, r)",
])  # fmt: skip
def test_a_length_is_told(nodes: str) -> None:
    made = fuse(model(layer(nodes)), target="normonnx")
    assert not made.norms
    assert any(LENGTH in reason for reason in made.reasons)


def test_a_row_of_one_has_no_length_to_tell() -> None:
    one = {"x": "float[2,3,1] x", "y": "float[2,3,1] y"}
    made = fuse(
        model(layer("r = ReduceL2 <axes=[-1]> (x) y = Div (x, r)", **one)), target="normonnx"
    )
    assert not any(LENGTH in reason for reason in made.reasons)
