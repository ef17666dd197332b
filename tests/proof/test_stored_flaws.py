"""What is stored has the shape of what was certified, and is read as 1/N for a whole N alone."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from normonnx.proof.stored import flaw_of
from tests.proof.windows import pair, window

TEXT = pair("float[2,4] x", "m = Mul (x, k) y = Neg (m)", "n1 = Neg (x) z = Mul (n1, k)")


def reason(held: np.ndarray, *, exact: object = None, reading: object = None) -> str:
    """Why `k`, which holds this, is not what it is said to be; "" where it is."""
    found = window(TEXT, k=held)
    [k] = [v for side in found.old[0].producer().inputs for v in side.producer().inputs[1:]]  # type: ignore[union-attr]
    flaw = flaw_of(
        replace(
            found,
            exact={} if exact is None else {k: np.asarray(exact)},
            readings={} if reading is None else {k: np.asarray(reading)},
        )
    )
    return "" if flaw is None else flaw.reason


@pytest.mark.parametrize(
    ("exact", "said"),
    [
        (np.ones(4), ""),
        (np.ones((1, 4)), "another shape"),
        (np.ones(()), "another shape"),
        (np.ones(4) + 2.0**-23, "rounded once"),
    ],
)
def test_a_stored_weight(exact: np.ndarray, said: str) -> None:
    found = reason(np.ones(4, np.float32), exact=exact)
    assert said in found
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("held", "reading", "said"),
    [
        (1 / 24, 1 / 24, ""),
        (0.4, 0.4, "no 1/N"),
        (1 / 24, 1 / 23, "no 1/N"),
        (1 / 24, [1 / 24], "read exactly"),
    ],
)
def test_a_reading(held: float, reading: object, said: str) -> None:
    found = reason(np.float32(held), reading=reading)
    assert said in found
    assert bool(found) == bool(said)
