"""A result as JSON: the schema is versioned, keys keep their order, and NaN is no literal."""

from __future__ import annotations

import json
import math
from typing import Any, Protocol


class Reportable(Protocol):
    """Anything that can be a report."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""


def render_json(result: Reportable) -> str:
    """The result as indented JSON in ASCII, whatever names are in it, with a final newline."""
    return json.dumps(_finite(result.to_dict()), indent=2, allow_nan=False) + "\n"


def _finite(data: Any) -> Any:
    """NaN and infinities become null: JSON has no word for them."""
    if isinstance(data, dict):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data
