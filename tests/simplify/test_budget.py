"""NX201: what all constants together may add to a model."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.simplify.comparing import operators, simplified, written


def _masks(count: int, length: int) -> onnx.ModelProto:
    """So many masks of so many floats, each made of a few bytes."""
    body = " ".join(
        f"r{i} = Range (z, n, one) f{i} = Cast <to=1> (r{i}) c{i} = Mul (f{i}, k{i}) "
        f"y{i} = Pow (x, c{i})"
        for i in range(count)
    )
    parts = ", ".join(f"y{i}" for i in range(count))
    text = f"g (float[{length}] x) => (float[{length}] y) {{ {body} y = Sum ({parts}) }}"
    weights = {f"k{i}": np.float32((1 + i / 8) / length) for i in range(count)}
    sizes = {"z": np.int64(0), "n": np.int64(length), "one": np.int64(1)}
    return written(text, **weights, **sizes)


@pytest.mark.parametrize(
    ("count", "length", "is_stored"),
    [(4, 1 << 14, True), (12, 1 << 14, True), (13, 1 << 14, False), (40, 1 << 14, False),
     (60, 1000, True), (300, 1000, False)],
)  # fmt: skip
def test_all_of_them_add_no_more_than_a_mebibyte(count: int, length: int, is_stored: bool) -> None:
    """Those of one kind of size together, so that the next run finds what this one left."""
    model = _masks(count, length)
    made = simplified(model, [(length,)], part=1e-5)
    assert ("Range" not in operators(made)) is is_stored
    assert made.ByteSize() - model.ByteSize() <= 1 << 20
