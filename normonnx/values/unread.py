"""Constants of which the large ones stay on disk: enough to say what would be folded where.

Inspecting a model of 10 GB must not read it. Nearly every question about a constant can be answered
without its numbers; the one that cannot, what a large weight becomes, is refused with a sentence
that says so, and who asked for the weight is then known to be able to take the map.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from normonnx.journal import RefusedError
from normonnx.operators.names import onnx_name
from normonnx.values.constants import Constants

READ_BELOW = 4 << 20
"""Tensors in data files of this many bytes and more are not read."""

_LEFT_UNREAD = "is left unread"
_ARITHMETIC = frozenset({"Add", "Div", "Mul", "Sub"})


class _UnreadError(Exception):
    """Somebody wants the numbers of a tensor that stays on disk."""


class UnreadConstants(Constants):
    """The constants of a model whose large external tensors are never read."""

    def __init__(self, model: ir.Model, *, frozen_inputs: bool = False) -> None:
        """Find the constants, and put stand-ins for the large ones into `model`.

        Args:
            model: a copy that only the caller has; its large tensors cannot be read afterwards.
            frozen_inputs: as in `Constants`.
        """
        for graph in model.graphs():
            for value in graph.initializers.values():
                tensor = value.const_value
                if isinstance(tensor, ir.ExternalTensor) and tensor.nbytes >= READ_BELOW:
                    value.const_value = _stand_in(tensor)
        super().__init__(model, frozen_inputs=frozen_inputs)

    def array(self, value: ir.Value | None) -> np.ndarray | None:
        """As in `Constants`; None for what stays unread, as if it were no constant.

        Raises:
            RefusedError: it is a quantised weight that somebody wants to scale.
        """
        try:
            return super().array(value)
        except _UnreadError:
            if value is not None and _is_read_by(value, frozenset({"DequantizeLinear"})):
                raise RefusedError(sentence(value)) from None
            return None

    def float64(self, value: ir.Value | None) -> np.ndarray | None:
        """As in `Constants`; None for an unread operand of arithmetic.

        Raises:
            RefusedError: it is the weight of a layer, and stays unread.
        """
        try:
            return super().float64(value)
        except _UnreadError:
            _refuse_layer(value)
            return None

    def unrounded(self, value: ir.Value | None) -> np.ndarray | None:
        """As `float64`."""
        try:
            return super().unrounded(value)
        except _UnreadError:
            _refuse_layer(value)
            return None


def _refuse_layer(value: ir.Value | None) -> None:
    """Refuse what is no mere operand of arithmetic, which counts as no constant."""
    if value is not None and not _is_read_by(value, _ARITHMETIC):
        raise RefusedError(sentence(value)) from None


def sentence(value: ir.Value) -> str:
    """Why a weight cannot be folded into here, although it could be."""
    return f"the large weight '{value.name}' {_LEFT_UNREAD}"


def is_left_unread(reason: str) -> bool:
    """Whether all that stands in the way of a rewrite is that a weight was not read."""
    return _LEFT_UNREAD in reason


def _stand_in(tensor: ir.ExternalTensor) -> ir.LazyTensor:
    def refuse() -> ir.TensorProtocol:
        raise _UnreadError(tensor.name)

    return ir.LazyTensor(refuse, dtype=tensor.dtype, shape=tensor.shape, name=tensor.name)


def _is_read_by(value: ir.Value, operators: frozenset[str]) -> bool:
    return any(onnx_name(use.node) in operators for use in value.uses())
