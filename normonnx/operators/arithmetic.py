"""Arithmetic, element by element."""

from __future__ import annotations

import numpy as np

from normonnx.graph.dims import divide, times
from normonnx.operators import vectors
from normonnx.operators.broadcasting import broadcast, same
from normonnx.operators.facts import EVERY, Facts
from normonnx.operators.kernels import arithmetic as kernels
from normonnx.operators.kernels.call import Kernel

_OF_ONE: dict[str, Kernel | None] = {
    "Abs": kernels.unary(np.abs),
    **dict.fromkeys("Acos Acosh Asin Asinh Atan Atanh Cos Cosh Sin Sinh Tan".split()),
    "Exp": kernels.unary(np.exp),
    "Log": None,
    "Reciprocal": kernels.unary(np.reciprocal),
    "Sqrt": kernels.unary(np.sqrt),
    "Tanh": kernels.unary(np.tanh),
}

_ROUNDING: dict[str, Kernel | None] = {
    "Ceil": kernels.unary(np.ceil),
    "Floor": kernels.unary(np.floor),
    "Round": None,
    "Sign": None,
}

FACTS = (
    *(Facts(name=n, elementwise=True, dims=same, kernel=k) for n, k in _OF_ONE.items()),
    *(
        Facts(name=n, elementwise=True, jumps=True, dims=same, kernel=k)
        for n, k in _ROUNDING.items()
    ),
    Facts(
        name="Neg",
        elementwise=True,
        linear_in=(0,),
        dims=same,
        kernel=kernels.unary(np.negative),
    ),
    Facts(
        name="Add",
        elementwise=True,
        linear_in=(0, 1),
        linear_jointly=True,
        dims=broadcast,
        vector=vectors.arithmetic(vectors.total),
        kernel=kernels.binary(np.add),
    ),
    Facts(
        name="Sub",
        elementwise=True,
        linear_in=(0, 1),
        linear_jointly=True,
        dims=broadcast,
        vector=vectors.arithmetic(vectors.difference),
        kernel=kernels.binary(np.subtract),
    ),
    Facts(
        name="Mul",
        elementwise=True,
        linear_in=(0, 1),
        dims=broadcast,
        vector=vectors.arithmetic(lambda a, b: times((a, b))),
        kernel=kernels.binary(np.multiply),
    ),
    Facts(
        name="Div",
        elementwise=True,
        linear_in=(0,),
        dims=broadcast,
        vector=vectors.arithmetic(divide),
        kernel=kernels.divide,
    ),
    Facts(
        name="Sum",
        elementwise=True,
        linear_in=EVERY,
        linear_jointly=True,
        dims=broadcast,
        kernel=kernels.variadic(np.add),
    ),
    Facts(name="Mean", elementwise=True, linear_in=EVERY, linear_jointly=True, dims=broadcast),
    Facts(
        name="Max",
        elementwise=True,
        dims=broadcast,
        vector=vectors.arithmetic(vectors.largest),
        kernel=kernels.variadic(np.maximum),
    ),
    Facts(
        name="Min",
        elementwise=True,
        dims=broadcast,
        vector=vectors.arithmetic(vectors.smallest),
        kernel=kernels.variadic(np.minimum),
    ),
    Facts(name="Mod", elementwise=True, jumps=True, dims=broadcast, kernel=kernels.remainder),
    Facts(name="Pow", elementwise=True, dims=broadcast, kernel=kernels.power),
)
