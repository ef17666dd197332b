"""The elements of the small tensors that say how large others are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.graph.nesting import subgraphs
from normonnx.operators.table import facts_of
from normonnx.oracle.planner import compute
from normonnx.sizes.tensor import Tensor

Array = np.ndarray[Any, Any]

_LARGEST_VECTOR = 64
"""Elements of a tensor that may say how large another one is."""


class Elements:
    """Works out what follows from constants and shapes, each value once.

    Args:
        tensor: what is known of a value's shape.
        opsets: operator set version by domain, of each node that may be run.
    """

    def __init__(
        self,
        tensor: Callable[[ir.Value | None], Tensor | None],
        opsets: Mapping[ir.Node, Mapping[str, int]],
    ) -> None:
        self._tensor = tensor
        self._opsets = opsets
        self._arrays: dict[ir.Value, Array | None] = {}

    def of(self, value: ir.Value | None) -> Array | None:
        """The elements of a small tensor, None where they do not follow or it is large."""
        if value is None:
            return None
        pending = [value]
        while pending:
            current = pending[-1]
            missing = [] if current in self._arrays else self._needed(current)
            if missing:
                pending.extend(missing)
                continue
            pending.pop()
            if current not in self._arrays:
                self._arrays[current] = self._worked_out(current)
        return self._arrays[value]

    def _needed(self, value: ir.Value) -> list[ir.Value]:
        """The values whose elements are needed for those of this one, and are not there yet."""
        producer = value.producer()
        if producer is None or not self._may_be_run(value, producer):
            return []
        if facts_of(producer).reads_shape_only:
            return []
        return [v for v in producer.inputs if v is not None and v not in self._arrays]

    def _may_be_run(self, value: ir.Value, producer: ir.Node) -> bool:
        tensor = self._tensor(value)
        if tensor is None or tensor.size > _LARGEST_VECTOR or producer not in self._opsets:
            return False
        facts = facts_of(producer)
        if producer.domain or facts.random or facts.control_flow or subgraphs(producer):
            return False
        return not any(attribute.is_ref() for attribute in producer.attributes.values())

    def _worked_out(self, value: ir.Value) -> Array | None:
        producer = value.producer()
        if producer is None:
            stored = value.const_value
            small = stored is not None and stored.size <= _LARGEST_VECTOR
            return np.asarray(stored.numpy()) if stored is not None and small else None
        arrays = self._inputs(producer) if self._may_be_run(value, producer) else None
        if arrays is None:
            return None
        try:
            with np.errstate(all="ignore"):
                outputs = compute(producer, arrays, self._opsets[producer])
        except Exception:  # of whatever kind: its elements are not known
            return None
        return np.asarray(outputs[producer.outputs.index(value)])

    def _inputs(self, node: ir.Node) -> list[Array | None] | None:
        """What a node reads, None if a part of it is not known."""
        if facts_of(node).reads_shape_only:
            tensor = self._tensor(node.inputs[0])
            # An array without elements of its own: nothing but its shape is read.
            return None if tensor is None else [np.broadcast_to(np.float32(0), tensor.shape)]
        arrays = [None if v is None else self._arrays[v] for v in node.inputs]
        known = all(
            v is None or array is not None for v, array in zip(node.inputs, arrays, strict=True)
        )
        return arrays if known else None
