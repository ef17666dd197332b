"""Comparisons, logic and bits, element by element."""

from __future__ import annotations

import numpy as np

from normonnx.operators.broadcasting import broadcast, same
from normonnx.operators.facts import Facts
from normonnx.operators.kernels import arithmetic as kernels
from normonnx.operators.kernels.call import Kernel

_COMPARED: dict[str, Kernel] = {
    "Equal": kernels.comparison(np.equal),
    "Greater": kernels.comparison(np.greater),
    "GreaterOrEqual": kernels.comparison(np.greater_equal),
    "Less": kernels.comparison(np.less),
    "LessOrEqual": kernels.comparison(np.less_equal),
}

_OF_TWO: dict[str, Kernel | None] = {
    "And": kernels.comparison(np.logical_and),
    "Or": kernels.comparison(np.logical_or),
    "Xor": kernels.comparison(np.logical_xor),
    **dict.fromkeys("BitShift BitwiseAnd BitwiseOr BitwiseXor".split()),
}

FACTS = (
    *(
        Facts(name=n, elementwise=True, jumps=True, dims=broadcast, kernel=k)
        for n, k in _COMPARED.items()
    ),
    *(Facts(name=n, elementwise=True, dims=broadcast, kernel=k) for n, k in _OF_TWO.items()),
    *(
        Facts(name=name, elementwise=True, dims=same)
        for name in ("BitwiseNot", "IsInf", "IsNaN", "Not")
    ),
)
