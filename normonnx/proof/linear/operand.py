"""An operator of a window with what it reads, as the rules get it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.operators.attributes import attribute_int
from normonnx.proof.linear.form import Array, Form, OtherOperatorError, Table

_WITHOUT_IS_TEST = 7
"""From which opset on inference is the default form."""

Operand: TypeAlias = "Form | Array | None"
"""A value that depends on the inputs, a constant, or an input that is absent."""


class Operator(Struct, frozen=True):
    """One node of a window.

    Attributes:
        node: the node.
        operands: what it reads.
        shape: of its first output.
        table: the sources of both sides.
        key: the operator and its attributes, as far as they are no numbers of their own.
        exact: float attributes as they were before float32.
        reads_floats: whether its first input is of a floating type.
        opset: version of its operator set.
        compute: the node in float64 for other arrays.
    """

    node: ir.Node
    operands: Sequence[Operand]
    shape: tuple[int, ...]
    table: Table
    key: tuple[Any, ...]
    exact: Mapping[str, float]
    reads_floats: bool
    opset: int
    compute: Callable[[Sequence[Array | None]], Array]

    @property
    def trains(self) -> bool:
        """Whether it is an operator in training form."""
        if self.opset < _WITHOUT_IS_TEST:
            return not attribute_int(self.node, "is_test", 0)
        return bool(attribute_int(self.node, "training_mode", 0))

    def number(self, name: str, default: float) -> float:
        """A float attribute, exactly as it was meant."""
        if name in self.exact:
            return self.exact[name]
        attribute = self.node.attributes.get(name)
        return float(np.float32(default if attribute is None else attribute.as_float()))

    def constants(self, start: int) -> list[Array | None]:
        """The operands from a position on, which have to be constants.

        Raises:
            OtherOperatorError: if one is none.
        """
        found: list[Array | None] = []
        for operand in self.operands[start:]:
            if isinstance(operand, Form):
                raise OtherOperatorError(f"{self.node.op_type} reads two values that vary")
            found.append(operand)
        return found
