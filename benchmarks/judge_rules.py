"""How other tools decide whether two outputs are the same, re-created from what they publish.

    onnxsim         |y − o| ≤ 1e-5 + 1e-4·|o|, NaN equal to NaN
    onnxslim        |y − o| ≤ 1e-4 + 1e-3·|o|, NaN equal to NaN
    Polygraphy      wrong where |y − o| > 1e-5 and |y − o|/|o| > 1e-5
    torch.testing   |y − o| ≤ atol + rtol·|o| by type: 1.3e-6 and 1e-5 in float32

The numbers are the defaults of onnxsim 0.8.1 (`--check-n` on), of onnxslim 0.1.98
(`--model-check`), of Polygraphy 0.53.6 (`CompareFunc.simple()`, of which the rule here gives the
same answer on 300 of 300 random pairs) and of the table in the docs of
`torch.testing.assert_close`. Only the rules are theirs: the inputs are the judge's, theirs reach
less of a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from normonnx.judge.comparison import is_float

Array = np.ndarray[Any, Any]
Rule = Callable[[Array, Array], bool]

_TORCH = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
}


def _close(rtol: float, atol: float) -> Rule:
    def accepts(original: Array, optimized: Array) -> bool:
        o, y = original.astype(np.float64), optimized.astype(np.float64)
        return bool(np.allclose(y, o, rtol=rtol, atol=atol, equal_nan=True))

    return accepts


def _polygraphy(original: Array, optimized: Array) -> bool:
    o, y = original.astype(np.float64), optimized.astype(np.float64)
    with np.errstate(all="ignore"):
        absolute = np.abs(y - o)
        relative = absolute / np.abs(o)
    return not bool(((absolute > 1e-5) & (relative > 1e-5)).any())


def _torch(original: Array, optimized: Array) -> bool:
    rtol, atol = _TORCH.get(original.dtype.name, (0.0, 0.0))
    o, y = original.astype(np.float64), optimized.astype(np.float64)
    return bool(np.allclose(y, o, rtol=rtol, atol=atol))


RULES: Mapping[str, Rule] = {
    "onnxsim": _close(1e-4, 1e-5),
    "onnxslim": _close(1e-3, 1e-4),
    "Polygraphy": _polygraphy,
    "torch.testing": _torch,
}


def accepted(rule: Rule, original: Mapping[str, Any], optimized: Mapping[str, Any]) -> bool:
    """Whether a rule takes two sets of outputs for the same."""
    for name, before in original.items():
        after = np.asarray(optimized.get(name))
        o = np.asarray(before)
        if o.shape != after.shape or o.dtype != after.dtype:
            return False
        same = rule(o, after) if is_float(o) else bool(np.array_equal(o, after))
        if not same:
            return False
    return True
