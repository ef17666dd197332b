"""The shapes of a model's values, recorded at sizes that it accepts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

import onnx_ir as ir

from normonnx.graph.interface import required_inputs
from normonnx.sizes.dimensions import OpenShapes, open_shapes
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
        self._further: tuple[Walk, ...] | None = None

    @cached_property
    def walks(self) -> tuple[Walk, ...]:
        """One for each binding, the varied sizes first."""
        return tuple(_accepted(self._model))

    def further(self) -> tuple[Walk, ...]:
        """A walk of the model as it is now where branches fit that are not taken, if there is one.

        It is looked for when it is first asked for: few rewrites are in such a branch.
        """
        if self._further is None:
            found = _for_every_branch(self._model, self.walks[0])
            self._further = () if found is None else (found,)
        return self._further

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
        for walk in (*self.walks, *(self._further or ())):
            for old, new in pairs:
                walk.adopt(new, old)
            walk.go_on(nodes, opsets)


def _accepted(model: ir.Model) -> list[Walk]:
    """Walks at the first bindings that the model takes; one with gaps where it takes none."""
    search = Search(model, _open_shapes(model))
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


def _for_every_branch(model: ir.Model, walk: Walk) -> Walk | None:
    """A walk in which less is left that does not fit, in branches that need not be taken."""
    if not walk.beside:
        return None
    found = Search(model, _open_shapes(model), every_branch=True).near(walk.binding)
    better = found is not None and len(found.beside) < len(walk.beside)
    return found if better else None


def _open_shapes(model: ir.Model) -> OpenShapes:
    inputs = [v for v in required_inputs(model) if isinstance(v.type, ir.TensorType)]
    return open_shapes(inputs)
