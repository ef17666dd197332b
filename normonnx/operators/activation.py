"""Activations."""

from __future__ import annotations

from normonnx.operators.broadcasting import same
from normonnx.operators.facts import Facts
from normonnx.operators.kernels import activation as kernels
from normonnx.operators.kernels import arithmetic
from normonnx.operators.kernels.call import Kernel

_ELEMENTWISE: dict[str, Kernel | None] = {
    **dict.fromkeys("Celu Clip Elu HardSigmoid HardSwish LeakyRelu Mish Selu Shrink".split()),
    **dict.fromkeys("Softplus Softsign Swish ThresholdedRelu".split()),
    "Erf": kernels.erf,
    "Gelu": kernels.gelu,
    "PRelu": arithmetic.prelu,
    "Relu": arithmetic.relu,
    "Sigmoid": kernels.sigmoid,
}

FACTS = (
    *(Facts(name=n, elementwise=True, dims=same, kernel=k) for n, k in _ELEMENTWISE.items()),
    Facts(name="Softmax", dims=same, kernel=kernels.softmax),
    Facts(name="LogSoftmax", dims=same, kernel=kernels.log_softmax),
    Facts(name="Hardmax", jumps=True, dims=same, kernel=kernels.hardmax),
)
