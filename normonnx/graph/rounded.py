"""Whether stored numbers are exact values that were rounded once."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

Array = np.ndarray[Any, Any]

_SLACK = 1 + 1e-12
"""On half a unit, for the arithmetic of the check itself."""


def is_rounded(stored: Array, exact: Array) -> Array:
    """Which elements are within half a unit in the last place of their float64 value.

    Args:
        stored: floats of any type.
        exact: float64, of the same shape.

    Returns:
        A truth value for each element.
    """
    if np.array_equal(exact.astype(stored.dtype), stored):
        return np.ones(stored.shape, dtype=bool)
    # There may be another number just as near, or NumPy may have rounded twice.
    wide = stored.astype(np.float64)
    info = ml_dtypes.finfo(stored.dtype)
    # In the binade of the stored number a unit is eps·2^e, and never below the smallest denormal;
    # a number that was rounded up to a power of two may be half a unit of the binade below away.
    _, exponent = np.frexp(np.abs(wide))
    unit = np.maximum(np.ldexp(float(info.eps), exponent - 1), float(info.smallest_subnormal))
    with np.errstate(invalid="ignore"):
        near = np.abs(wide - exact) <= unit / 2 * _SLACK
    same: Array = near | (wide == exact) | (np.isnan(wide) & np.isnan(exact))
    return same
