"""The shapes of a model's values, recorded at sizes that it accepts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

import onnx_ir as ir

from normonnx.graph.interface import required_inputs
from normonnx.sizes.dimensions import open_shapes
from normonnx.sizes.search import Search
from normonnx.sizes.walk import Walk

_WALKS = 2
"""At how many bindings a model with open dimensions is walked: two that are equal by chance at one
of them are not at the other.
"""


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
    search = Search(model, open_shapes(inputs))
    walks, partly = list[Walk](), list[Walk]()
    for candidate in search.starts():
        if len(walks) == _WALKS or (search.gives_up and len(partly) >= _WALKS):
            break
        walk = search.near(candidate)
        if walk is not None and all(walk.binding != other.binding for other in (*walks, *partly)):
            (partly if walk.misfits else walks).append(walk)
    walks = [*walks, *partly][:_WALKS]
    if walks:
        varied = search.varied(walks)
        return walks if varied is None else [*walks, varied]
    return [Walk(model, search.shapes, next(iter(search.shapes.candidates())), tolerant=True)]
