"""The zoo's own judge can say no."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from .batchnorm import CONVOLUTIONS
from .case import Fires, Stays
from .comparison import difference, feeds
from .test_zoo import ROWS, broken, compare

Y = np.float32([[1.0, -2.0, 3.0], [np.nan, np.inf, 0.0]])


@pytest.mark.parametrize(
    "wrong",
    [
        Y.astype(np.float64),
        Y[:1],
        np.float32([[1.001, -2.0, 3.0], [np.nan, np.inf, 0.0]]),
        np.float32([[1.0, -2.0, 3.0], [0.0, np.inf, 0.0]]),
        np.float32([[1.0, -2.0, 3.0], [np.nan, -np.inf, 0.0]]),
        np.float32([[1.0, -2.0, np.nan], [np.nan, np.inf, 0.0]]),
    ],
    ids=["dtype", "shape", "value", "NaN gone", "infinity turned", "NaN come"],
)
def test_difference_is_seen(wrong: np.ndarray) -> None:
    assert difference(Y, wrong)
    assert not difference(Y, Y.copy())


def test_difference_within_rounding_is_none() -> None:
    assert not difference(np.float32([1, 100]), np.float32([1.0001, 100]))
    assert difference(np.float32([1, 100]), np.float32([1.01, 100]))
    assert difference(np.int64([1]), np.int64([2]))


def test_comparison_fails_where_a_model_differs() -> None:
    case = CONVOLUTIONS[0]
    model, other = case.model(), case.model()
    scale = next(tensor for tensor in other.graph.initializer if tensor.name == "s")
    values = np.frombuffer(scale.raw_data, np.float32).copy()
    values[0] *= np.float32(1.001)
    scale.raw_data = values.tobytes()
    compare(case, model, model)
    with pytest.raises(AssertionError):
        compare(case, model, other)


def test_feeds_differ_and_bind_symbols_consistently() -> None:
    case = next(case for case in CONVOLUTIONS if case.name == "conv2d symbolic size")
    shapes = [feed["x"].shape for feed in feeds(case, case.model())]
    assert len(set(shapes)) == 3
    assert all(shape[1] == 3 for shape in shapes)


def test_expectations_can_be_broken() -> None:
    found = Counter({"Conv": 1, "Relu": 1})
    assert broken(Fires("Conv"), found, [])
    assert broken(Fires(gone="Relu"), found, [])
    assert broken(Fires(has="Conv Conv"), found, [])
    assert broken(Stays("BatchNormalization"), found, [])
    assert broken(Stays("Conv", "read by"), found, ["weight is no constant"])
    assert not broken(Stays("Conv", "read by"), found, ["output is read by 'Relu_1'"])
    assert not broken(Fires("Relu Conv"), found, [])


def test_rows_have_names_of_their_own() -> None:
    assert len({row.id for row in ROWS}) == len(ROWS)
