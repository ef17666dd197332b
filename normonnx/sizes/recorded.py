"""The shapes of a model's values, recorded at sizes that it accepts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

import onnx_ir as ir

from normonnx.graph.interface import required_inputs
from normonnx.sizes.dimensions import Binding, OpenShapes, open_shapes
from normonnx.sizes.node import ContradictionError
from normonnx.sizes.walk import Walk

_WALKS = 2
"""At how many bindings a model with open dimensions is walked: two that are equal by chance at one
of them are not at the other.
"""

_MOST_TRIES = 12
_MOST_FIXED = 16


class Recorded:
    """Walks of a model as it came, made when the first shape is asked for.

    Args:
        model: it may change afterwards, as long as `replaced` is told.
    """

    def __init__(self, model: ir.Model) -> None:
        self._model = model

    @cached_property
    def walks(self) -> tuple[Walk, ...]:
        """One for each binding, the varied sizes first."""
        return tuple(_accepted(self._model))

    def replaced(
        self,
        pairs: Iterable[tuple[ir.Value, ir.Value]],
        nodes: Iterable[ir.Node],
        opsets: Mapping[str, int],
    ) -> None:
        """Take over what is known when new nodes stand for old values.

        Args:
            pairs: old values, each with the new one that stands for it.
            nodes: the new nodes, in order.
            opsets: operator set version by domain, where they are.
        """
        pairs, nodes = list(pairs), list(nodes)
        for walk in self.walks:
            for old, new in pairs:
                walk.adopt(new, old)
            walk.go_on(nodes, opsets)


def _accepted(model: ir.Model) -> list[Walk]:
    """Walks at the first bindings that the model takes; one with gaps where it takes none."""
    inputs = [v for v in required_inputs(model) if isinstance(v.type, ir.TensorType)]
    shapes = open_shapes(inputs)
    walks: list[Walk] = []
    fixed: dict[str, int] = {}
    for tried, candidate in enumerate(shapes.candidates()):
        if len(walks) == _WALKS or tried == _MOST_TRIES:
            break
        walk = _walked(model, shapes, candidate, fixed)
        if walk is not None and all(walk.binding != other.binding for other in walks):
            walks.append(walk)
    if walks:
        return walks
    first = next(iter(shapes.candidates()))
    return [Walk(model, shapes, {**first, **fixed}, tolerant=True)]


def _walked(
    model: ir.Model, shapes: OpenShapes, candidate: Binding, fixed: dict[str, int]
) -> Walk | None:
    """A walk at a binding, sizes that a weight fixes set to what it wants; None if none fits."""
    for _ in range(_MOST_FIXED):
        binding = {**candidate, **fixed}
        if not shapes.admissible(binding):
            return None
        try:
            return Walk(model, shapes, binding)
        except ContradictionError as error:
            learned = _learned(error, binding)
            if not learned or learned.items() <= fixed.items():
                return None
            fixed.update(learned)
    return None


def _learned(error: ContradictionError, binding: Binding) -> dict[str, int]:
    """Symbols that have the size that does not fit, with the one that does."""
    for found, wanted in ((error.found, error.wanted), (error.wanted, error.found)):
        symbols = [symbol for symbol, size in binding.items() if size == found]
        if symbols and wanted is not None:
            return dict.fromkeys(symbols, wanted)
    return {}
