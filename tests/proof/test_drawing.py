"""What the inputs of a window get: rows of a table, numbers of both signs, data where it lies."""

from __future__ import annotations

import numpy as np
import pytest

from normonnx.proof.drawing import around, centres_of, many_integers
from normonnx.proof.window import sides
from tests.proof.windows import certificate, pair, window


def integers(old: str, *, kind: str = "int64", tables: dict[str, np.ndarray]) -> tuple[int, int]:
    found = window(pair(f"{kind}[2,3] x, float[5,7] t", old, "z = Cast <to=1> (x)"), **tables)
    old_side, new_side = sides(found)
    x = next(value for value in old_side.inputs if value.name == "x")
    assert x.dtype is not None
    at = found.recorded.walks[0]
    return many_integers(x, x.dtype, (old_side, new_side), at)


TABLE = {"w": np.ones((9, 4), np.float32), "v": np.ones((6, 4), np.float32)}


@pytest.mark.parametrize(
    ("old", "rows"),
    [
        ("y = Gather (w, x)", 9),
        ("y = Gather <axis=1> (w, x)", 4),
        ("y = Gather (t, x)", 5),
        ("a = Gather (w, x) b = Gather (v, x) y = Add (a, b)", 6),
        ("i = Identity (x) y = Gather (w, i)", 9),
        ("u = Unsqueeze (x, zero) y = Gather (w, u)", 9),
    ],
)
def test_the_rows_of_the_shortest_table_that_is_read(old: str, rows: int) -> None:
    assert integers(old, tables={**TABLE, "zero": np.array([0])}) == (0, rows)


def test_what_counts_no_rows_gets_numbers_of_both_signs() -> None:
    cast = "y = Cast <to=1> (x)"
    assert integers(cast, tables={}) == (-20, 100)
    assert integers(cast, kind="uint8", tables={}) == (0, 256)
    assert integers(cast, kind="int8", tables={}) == (-128, 128)
    assert integers(cast, kind="uint64", tables={}) == (0, 100)


def test_rows_of_a_table_of_other_rows_are_no_rows() -> None:
    n = "n = Neg (x) m = Abs (n) y = Gather (w, m)"
    assert integers(n.replace("n = ", "a = ").replace("(n)", "(a)"), tables=TABLE) == (-20, 100)


def test_every_row_of_a_table_counts() -> None:
    table = np.random.default_rng(0).standard_normal((9, 4)).astype(np.float32)
    text = pair("int64[40] x", "y = Gather (w, x)", "z = Gather (v, x)")
    assert certificate(text, w=table, v=table)
    for row in (0, 5, 8):
        other = table.copy()
        other[row, 1] += 1
        assert not certificate(text, w=table, v=other), row


def centre(old: str, **weights: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    found = window(pair("double[2,3,4] x", old, "z = Neg (x)"), **weights)
    [centre] = [*centres_of(sides(found)[0]).values()] or [None]
    return centre


K = np.array([[1.0], [2.0], [3.0]])


@pytest.mark.parametrize(
    ("old", "sign"),
    [("y = Sub (x, k)", 1), ("y = Sub (k, x)", 1), ("y = Add (x, k)", -1), ("y = Add (k, x)", -1)],
)
def test_where_a_shift_leads_to_zero(old: str, sign: float) -> None:
    found = centre(old, k=K)
    assert found is not None
    np.testing.assert_array_equal(found[0], sign * K)
    assert found[1] == 1.0


def test_the_first_that_is_read_says_where() -> None:
    found = centre("a = Sub (x, k) b = Sub (x, l) y = Mul (b, a)", k=K, l=K + 1)
    assert found is not None
    np.testing.assert_array_equal(found[0], K)


def test_a_batch_normalization_says_where_and_how_far() -> None:
    numbers = {name: K.reshape(-1) * i for i, name in enumerate(("s", "o", "m", "v"), 1)}
    found = centre("y = BatchNormalization (x, s, o, m, v)", **numbers)
    assert found is not None
    np.testing.assert_array_equal(found[0], numbers["m"])
    np.testing.assert_allclose(found[1], np.sqrt(numbers["v"]))
    found = centre("y = BatchNormalization (x, s, o, m, v)", **{**numbers, "v": np.zeros(3)})
    assert found is not None
    assert (found[1] > 0).all()
    assert (found[1] < 1e-5).all()


@pytest.mark.parametrize("old", ["y = Mul (x, k)", "y = Add (x, x)", "y = Add (x, i)"])
def test_others_say_nothing(old: str) -> None:
    assert centre(old, k=K, i=np.array(np.inf)) is None


def test_data_is_moved_per_channel() -> None:
    drawn = np.random.default_rng(0).standard_normal((2, 3, 4))
    c, s = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    np.testing.assert_array_equal(around(drawn, c, s), c[None, :, None] + s[None, :, None] * drawn)
    np.testing.assert_array_equal(around(drawn, c, np.ones(())), c[None, :, None] + drawn)
    rows = np.arange(4.0)  # along the last axis, as it broadcasts
    np.testing.assert_array_equal(around(drawn, rows, np.ones(())), rows + drawn)
    flat = drawn[:, :, 0]
    np.testing.assert_array_equal(around(flat, c, s), c + s * flat)


def test_what_does_not_fit_leaves_the_data() -> None:
    drawn = np.ones((2, 3))
    assert around(drawn, np.ones(5), np.ones(())) is drawn
    assert around(drawn, np.ones((4, 2, 3)), np.ones(())) is drawn
