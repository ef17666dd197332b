"""One call of an operator, as a kernel sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy.typing as npt
from msgspec import Struct, field

Array: TypeAlias = npt.NDArray[Any]


class Call(Struct, frozen=True):
    """The operator, the version of its schema, its attributes with the defaults filled in.

    Attributes:
        op_type: name of the operator.
        since: version of the operator set in which this form of the operator appeared.
        attributes: values by name; floats are the stored float32 values.
        outputs: how many outputs the node lists, absent ones in the middle included.
    """

    op_type: str
    since: int = 1
    attributes: Mapping[str, Any] = field(default_factory=dict)
    outputs: int = 1

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute, or ``default`` where the node does not have it."""
        value = self.attributes.get(name)
        return default if value is None else value


Inputs: TypeAlias = Sequence[Array | None]
Outputs: TypeAlias = tuple[Array, ...]
# A kernel returns None where it leaves a rare form of the operator to onnx.reference.
Kernel: TypeAlias = Callable[[Call, Inputs], Outputs | None]


def present(inputs: Inputs, index: int) -> Array:
    """The input of this index, which the operator requires.

    Raises:
        ValueError: if the node does not have it.
    """
    value = optional(inputs, index)
    if value is None:
        raise ValueError(f"input {index} is missing")
    return value


def optional(inputs: Inputs, index: int) -> Array | None:
    """The input of this index, or None where the node leaves it out."""
    return inputs[index] if index < len(inputs) else None
