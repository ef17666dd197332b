"""Comparisons, logic and bits, element by element."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

from normonnx.operators import vectors
from normonnx.operators.broadcasting import broadcast, same
from normonnx.operators.facts import Facts
from normonnx.operators.kernels import arithmetic as kernels
from normonnx.operators.kernels.call import Kernel

_COMPARED: dict[str, tuple[Kernel, Callable[[int, int], bool]]] = {
    "Equal": (kernels.comparison(np.equal), operator.eq),
    "Greater": (kernels.comparison(np.greater), operator.gt),
    "GreaterOrEqual": (kernels.comparison(np.greater_equal), operator.ge),
    "Less": (kernels.comparison(np.less), operator.lt),
    "LessOrEqual": (kernels.comparison(np.less_equal), operator.le),
}

_OF_TWO: dict[str, Kernel | None] = {
    "And": kernels.comparison(np.logical_and),
    "Or": kernels.comparison(np.logical_or),
    "Xor": kernels.comparison(np.logical_xor),
    **dict.fromkeys("BitShift BitwiseAnd BitwiseOr BitwiseXor".split()),
}

_VECTORS = {"And": vectors.arithmetic(vectors.both), "Or": vectors.arithmetic(vectors.either)}

FACTS = (
    *(
        Facts(
            name=n,
            elementwise=True,
            jumps=True,
            dims=broadcast,
            vector=vectors.compared(decide),
            kernel=k,
        )
        for n, (k, decide) in _COMPARED.items()
    ),
    *(
        Facts(name=n, elementwise=True, dims=broadcast, vector=_VECTORS.get(n), kernel=k)
        for n, k in _OF_TWO.items()
    ),
    Facts(name="Not", elementwise=True, dims=same, vector=vectors.negated),
    *(Facts(name=name, elementwise=True, dims=same) for name in ("BitwiseNot", "IsInf", "IsNaN")),
)
