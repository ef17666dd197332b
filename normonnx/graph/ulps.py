"""Units in the last place: how far the numbers of a type are from each other."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

Array = np.ndarray[Any, Any]


def ulps_at(magnitudes: Array, dtype: np.dtype[Any]) -> Array:
    """The distance between neighbouring numbers of this type at each of these magnitudes."""
    info = ml_dtypes.finfo(dtype)
    clipped = np.clip(np.asarray(magnitudes, np.float64), float(info.tiny), float(info.max))
    exponents = np.frexp(clipped)[1] - 1
    spacing: Array = np.ldexp(1.0, exponents - info.nmant)
    return spacing
