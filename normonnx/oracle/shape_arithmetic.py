"""Values that follow from dimensions only, computed in the types of the model.

Exporters compute the output size of a resize or a pooling in float32 and make an integer of it. In
float64 that integer could be another one, and the tensors would not even have the same shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir
from msgspec import Struct, field

from normonnx.operators.kernels import Array, Inputs, Outputs
from normonnx.operators.table import facts_of

# Longer tensors are data, not dimensions.
_LONGEST = 64


class Followed(Struct):
    """What has been followed so far.

    Attributes:
        native: values of dimensions, and small constants, in the model's own types.
        derived: those of them that follow from dimensions.
    """

    native: dict[ir.Value, Array] = field(default_factory=dict)
    derived: set[ir.Value] = field(default_factory=set)

    def follow(
        self, node: ir.Node, inputs: Inputs, run: Callable[[Inputs], Outputs]
    ) -> Outputs | None:
        """Follow one node.

        Args:
            node: the node.
            inputs: its inputs as the oracle has them.
            run: computes the node in the types of the inputs it is given.

        Returns:
            The outputs, if they follow from dimensions and none of them is a float.
        """
        for value in node.outputs:
            self.derived.discard(value)
            self.native.pop(value, None)
        if node.domain != "" or any(
            a.type == ir.AttributeType.GRAPH for a in node.attributes.values()
        ):
            return None
        if facts_of(node).reads_shape_only:
            outputs = run(inputs)
        elif self.derived.isdisjoint(node.inputs):
            return None
        else:
            native = [self._native(v) for v in node.inputs]
            if any(a is None for a, v in zip(native, node.inputs, strict=True) if v is not None):
                return None
            outputs = run(native)
        if not self._note(node, outputs):
            return None
        self.derived.update(node.outputs)
        return None if any(a.dtype.kind == "f" for a in outputs) else outputs

    def hold(self, node: ir.Node, outputs: Sequence[Array]) -> None:
        """Note the outputs of a node that reads nothing but constants."""
        self.derived.difference_update(node.outputs)
        self._note(node, outputs)

    def _note(self, node: ir.Node, outputs: Sequence[Array]) -> bool:
        if not all(isinstance(a, np.ndarray) and a.size <= _LONGEST for a in outputs):
            return False
        self.native.update(zip(node.outputs, outputs, strict=False))
        return True

    def _native(self, value: ir.Value | None) -> Array | None:
        if value is None:
            return None
        if value in self.native:
            return self.native[value]
        stored = value.const_value if value.is_initializer() else None
        return np.asarray(stored.numpy()) if stored and stored.size <= _LONGEST else None
